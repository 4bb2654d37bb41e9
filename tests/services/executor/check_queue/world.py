"""Series as ingest and branch would record them, checks that answer what they are told to, and a room on a floor."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from services.executor.check_queue.asking import Gate, Order
from services.executor.check_queue.decide import Lane
from services.executor.check_queue.planning import Planner
from services.executor.check_queue.questions import NEEDS_OF, tasks_of
from services.executor.check_queue.store import kind_of
from services.executor.check_queue.work import CheckWork
from services.executor.checking.sink import CheckSink, Task
from services.executor.checks.base import Check, Level, Needs, OurCheck, Said, success
from shared.db.pool import Pool
from shared.db.work import Work, claim
from shared.floor import Floor
from shared.ledger import Ledger
from shared.settings import Settings, parse

TOML = """
data = "{data}"
[disk]
free = {free}
[projects.netdev]
[projects.netdev.checking]
[projects.netdev.trees.net-next]
git = "https://git.example.org/net-next.git"
[projects.netdev.trees.net]
git = "https://git.example.org/net.git"
kind = "fixes"
"""


def some_settings(data: Path, free: int = 0) -> Settings:
    return parse(TOML.format(data=data, free=free))


class Format(OurCheck):
    name, help, level, needs = "series_format", "how it is posted", Level.SERIES, Needs.MAIL


class Signed(OurCheck):
    name, help, needs = "verify_signedoff", "who signed it", Needs.MAIL


class Pedantic(OurCheck):
    name, help, needs = "checkpatch", "style", Needs.TREE


class Build(OurCheck):
    name, help, needs = "build_clang", "whether it builds", Needs.BUILD


RACK: tuple[Check, ...] = (Format(), Signed(), Pedantic(), Build())

FINE = success("Fine")

Answer = Callable[[Task], Awaitable[Said]]


async def fine(task: Task) -> Said:
    return FINE


@dataclass
class Script:
    """Asks nothing: it answers what `answer` says, one question after the other."""

    answer: Answer = fine
    asked: list[Task] = field(default_factory=list)
    running: int = 0

    async def ask(self, order: Order, sink: CheckSink, gate: Gate) -> None:
        checks = [check for check in order.checks if check.needs is NEEDS_OF[order.plan.lane]]
        for task in tasks_of(checks, len(order.series.patches)):
            if task in order.settled:
                continue
            while not await gate():
                pass
            await sink.began(task)
            self.asked.append(task)
            self.running += 1
            try:
                said = await self.answer(task)
            finally:
                self.running -= 1
            await sink.answered(task, said, 0.01)


async def a_series(
    owner: Pool, name: str = "s1", patches: int = 2, author: str = "Ann@example.org", state: str = "active", **more: Any
) -> int:
    """A series with its patches; gives its id."""
    columns: dict[str, Any] = {
        "project": "netdev", "source": "patchwork", "external_id": abs(hash(name)) % 10**9, "message_id": f"{name}@x",
        "subject": name, "title": name, "author_email": author, "total": patches, "received": patches, "state": state,
        "trees": ["net-next"], **more,
    }  # fmt: skip
    names = ", ".join(columns)
    values = ", ".join(f"${n}" for n in range(1, len(columns) + 1))
    id_ = await owner.fetchval(
        f"insert into ingest.series ({names}) values ({values}) returning id", *columns.values()
    )  # fmt: skip
    for number in range(1, patches + 1):
        await owner.execute(
            "insert into ingest.patches (series_id, number, external_id, message_id, title) "
            "values ($1, $2, $3, $4, '')",
            id_, number, id_ * 100 + number, f"{name}-{number}@x",
        )  # fmt: skip
    return int(id_)


async def applied(owner: Pool, series: int, head: str = "a" * 40, outcome: str = "applied", **more: Any) -> None:
    """What the branch room made of it."""
    columns: dict[str, Any] = {
        "series_id": series, "revision": 1, "project": "netdev", "outcome": outcome, "tree": "net-next",
        "base": "b" * 40, "head": head, "commits": [head], "reason": "", **more,
    }  # fmt: skip
    names = ", ".join([*columns, "published"])
    values = ", ".join([*(f"${n}" for n in range(1, len(columns) + 1)), "now()"])
    await owner.execute(
        f"insert into branch.applied ({names}) values ({values}) on conflict (series_id, revision) do update "
        "set outcome = excluded.outcome, head = excluded.head, base = excluded.base, reason = excluded.reason",
        *columns.values(),
    )


async def becomes(owner: Pool, series: int, state: str, reason: str = "") -> None:
    await owner.execute("update ingest.series set state = $2, reason = $3 where id = $1", series, state, reason)


@dataclass
class World:
    """The queue on `floor`. `owner` may do everything."""

    floor: Floor
    owner: Pool
    script: Script = field(default_factory=Script)
    rack: tuple[Check, ...] = RACK

    @property
    def planner(self) -> Planner:
        return Planner(self.floor.settings, {"netdev": self.rack}, self.floor.clock, Ledger("checks"))

    @property
    def work(self) -> CheckWork:
        return CheckWork(self.floor, self.planner, self.script, waits=(0.0, 0.0, 0.0))

    async def look(self, series: int) -> int:
        async with self.floor.pool.acquire() as conn, conn.transaction():
            return await self.planner.look(conn, series)

    async def take(self, lane: Lane = "mail") -> Work | None:
        return await claim(self.floor.pool, "checks", [kind_of(lane)], self.floor.holder, timedelta(minutes=5))

    async def taken(self, lane: Lane = "mail") -> Work:
        """The next one, whoever holds it and whenever it is due."""
        await self.owner.execute("update floor.work set due = now(), lease_until = now() where room = 'checks'")
        work = await self.take(lane)
        assert work is not None
        return work

    async def do(self, lane: Lane = "mail") -> None:
        await self.work.do(await self.taken(lane))

    @asynccontextmanager
    async def going_on(self, lane: Lane = "mail") -> AsyncIterator["asyncio.Future[None]"]:
        """Work that goes on beside the block; killed at its end if it has not ended."""
        going = asyncio.ensure_future(self.work.do(await self.taken(lane)))
        try:
            yield going
        finally:
            going.cancel()
            await asyncio.gather(going, return_exceptions=True)

    async def plans(self, series: int) -> list[tuple[str, int, str]]:
        rows = await self.owner.fetch(
            "select lane, attempt, state from executor.check_plans where series_id = $1 order by id", series
        )
        return [(r["lane"], r["attempt"], r["state"]) for r in rows]

    async def grid(self, series: int) -> dict[str, str]:
        """State by check and patch, as pages see it."""
        rows = await self.owner.fetch("select * from executor.checks_v where series_id = $1", series)
        return {f"{r['check_name']} {r['patch']}": r["state"] for r in rows}

    async def why(self, series: int, check: str) -> str:
        return str(await self.owner.fetchval(
            "select why from executor.checks_v where series_id = $1 and check_name = $2 order by patch limit 1",
            series, check,
        ))  # fmt: skip

    async def said(self, series: int) -> dict[str, str]:
        """What stands in the ledger."""
        rows = await self.owner.fetch("select * from ledger.checks where series_id = $1", series)
        return {f"{r['context']} {r['patch']}": r["state"] for r in rows}

    async def runs(self, series: int) -> list[tuple[str, int, str]]:
        rows = await self.owner.fetch("select * from ledger.runs where series_id = $1 order by id", series)
        return [(r["executor"], r["attempt"], r["state"]) for r in rows]

    async def told(self, kind: str) -> int:
        """How many events of a kind were staged, moved to the log or not yet."""
        return int(await self.owner.fetchval(
            """select count(distinct id) from (select event_id as id from floor.outbox where type like '%' || $1 || '%'
               union all select id from floor.events where type like '%' || $1 || '%') e""", kind
        ))  # fmt: skip

    async def open_work(self) -> list[tuple[str, str]]:
        rows = await self.owner.fetch(
            "select kind, state from floor.work where room = 'checks' and state in ('ready', 'leased') order by kind"
        )
        return [(r["kind"], r["state"]) for r in rows]


async def until(true: Callable[[], Awaitable[bool]], seconds: float = 30.0) -> None:
    """Wait until `true`. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not await true():
            await asyncio.sleep(0.05)
