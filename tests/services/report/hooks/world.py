"""Webhooks at work against practice receivers: a sender whose clock is set and whose names resolve as a test says."""

import base64
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.report.hooks.carry import Carrier, client
from services.report.hooks.manage import Asker, Desk, Order
from services.report.hooks.seal import Seal, seal_of
from services.report.hooks.sees import Wish
from services.report.hooks.sender import LEASE, Sender
from services.report.hooks.store import SQL
from shared.clock import wall
from shared.db.outbox import SQL as FLOOR
from shared.db.outbox import stage
from shared.db.pool import Pool
from shared.events import Event, SeriesArrived
from shared.events.base import Visibility
from shared.floor import Floor
from shared.net import Reach
from shared.settings import Settings, parse
from tests.services.branch.world import Clock

OURS = "127.0.0.2"
"""Where receivers listen that may be reached; 127.0.0.1 is not allowed."""
NAME = "hook.example.org"

TOML = """
data = "{folder}"
[web]
public_url = "https://ci.example.org"
[webhooks]
key_file = "{folder}/webhooks.key"
{webhooks}
[outgoing]
allow_private = ["127.0.0.2/32"]
[projects.netdev]
post = "off"
[projects.netdev.trees.net-next]
git = "/nowhere"
[projects.netdev.streams.net-next]
tree = "net-next"
push = "/nowhere"
[[remotes]]
name = "metal"
[[remotes]]
name = "wood"
"""


def make_key(file: Path) -> Path:
    file.write_text(base64.b64encode(os.urandom(32)).decode())
    file.chmod(0o600)
    return file


def some_settings(folder: Path, webhooks: str = "") -> Settings:
    make_key(folder / "webhooks.key")
    return parse(TOML.format(folder=folder, webhooks=webhooks))


def an_arrival(number: int = 1, project: str = "netdev") -> SeriesArrived:
    return SeriesArrived(
        project=project, series=number, revision=1, message_id=f"s{number}@example.org", title=f"tcp: {number}",
        author="Ann", patches=1,
    )  # fmt: skip


@dataclass
class Names:
    """A resolver: the answers of each name in turn, the last for ever. Addresses are their own."""

    answers: dict[str, list[Sequence[str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        given = self.answers.get(host, [[host]])
        return given.pop(0) if len(given) > 1 else given[0]


@dataclass
class World:
    """Report's webhooks on a database. `owner` may do everything, as the command line does."""

    floor: Floor
    owner: Pool
    clock: Clock
    names: Names
    seal: Seal
    carrier: Carrier
    sender: Sender
    number: int = 0

    async def lease(self, holder: str = "test") -> int:
        """Take the lease, from whoever has it, as a process that starts after a crash."""
        await self.owner.execute("delete from floor.leases where name = $1", LEASE)
        self.number = await self.floor.pool.fetchval(FLOOR["take_lease"], LEASE, holder, 3600.0)
        await self.sender.begin(self.number)
        return self.number

    @property
    def desk(self) -> Desk:
        return Desk(self.seal, self.carrier.reach, 20)

    async def add(self, url: str, *, asker: Asker | None = None, sees: str = "public", **wish: Any) -> tuple[str, str]:
        """Register; gives id and secret."""
        async with self.floor.pool.acquire() as conn:
            asker = asker or Asker("operator", all=True)
            return await self.desk.add(conn, asker, Order(url, wish=Wish(**wish), sees=sees), self.clock())

    async def happens(self, *events: Event, visibility: Visibility | None = None) -> None:
        """The events are in the log when this returns."""
        async with self.floor.pool.acquire() as conn, conn.transaction():
            before = await conn.fetchval("select last from floor.sequencer")
            await stage(conn, "ingest", *events, now=self.clock(), visibility=visibility)
        while True:
            seen = self.floor.bells.count("netci_events")
            if await self.owner.fetchval("select last from floor.sequencer") >= before + len(events):
                return
            await self.floor.bells.wait("netci_events", seen, 1)

    async def rounds(self) -> int:
        """All that is due now, and what comes of it without waiting. Returns how many attempts were made."""
        total = 0
        while made := await self.sender.round():
            total += made
        return total

    async def due(self) -> float | None:
        """Seconds until the next attempt; None if there is none."""
        at = await self.owner.fetchval(SQL["next_due"], [])
        return None if at is None else round((at - self.clock()).total_seconds(), 3)

    async def attempts(self, hook: str) -> list[Any]:
        """All attempts to reach an endpoint, the earliest first."""
        return list(
            await self.owner.fetch(
                "select a.*, d.event_id from report.attempts a join report.deliveries d on d.id = a.delivery_id "
                "where d.hook_id = $1 order by a.began, d.sequence, a.number",
                hook,
            )
        )

    async def states(self, hook: str) -> list[tuple[int, str]]:
        """(sequence, state) of all deliveries to an endpoint."""
        rows = await self.owner.fetch(
            "select sequence, state from report.deliveries where hook_id = $1 order by sequence, id", hook
        )
        return [(row["sequence"], row["state"]) for row in rows]

    async def hook(self, ident: str) -> Any:
        return await self.owner.fetchrow("select * from report.hooks where id = $1", ident)


async def a_world(stack: AsyncExitStack, floor: Floor, owner: Pool, clock: Clock, patience: float) -> World:
    """`patience` is how many seconds a receiver has to answer."""
    names, seal = Names(), seal_of(floor.settings)
    assert seal is not None
    reach = Reach(floor.settings.outgoing.allow_private, resolve=names, patience=5)
    http = await stack.enter_async_context(client(floor.settings.public_url, floor.settings.webhooks.ca_file))
    carrier = Carrier(http, reach, seal, patience)
    world = World(floor, owner, clock, names, seal, carrier, Sender(floor, carrier, chance=lambda: 0.0))
    await world.lease()
    return world


class Wall(Clock):
    """The machine's clock, for what is played with those who know no other: the command line."""

    def __call__(self) -> datetime:
        return wall()


def a_clock() -> Clock:
    """A clock that can be set, and begins now: others verify signatures by the machine's."""
    return Clock(datetime.now(UTC).replace(microsecond=0))
