"""A practice remote, two branches of ours, and the poller of that remote without its loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from services.ingest.api.desk import LabDesk
from services.ingest.remotes.fetch import Fetcher, fetcher
from services.ingest.remotes.poller import RemotePoller
from shared.db.pool import Pool
from shared.floor import Floor
from shared.net import Reach
from shared.practice.nipa_remote import NipaRemote, served_remote
from shared.settings import Settings, parse
from tests.conftest import Database, FloorFor
from tests.services.report.web.builders import a_cut

BRANCH = "net-next-2026-11-25--12-00"
OLDER = "net-next-2026-11-25--09-00"

CONFIG = """
data = "/nonexistent"
[outgoing]
allow_private = ["127.0.0.0/8"]
[labs]
body = 1000000
[projects.netdev.trees.net-next]
git = "/nowhere"
[projects.netdev.streams.net-next]
tree = "net-next"
push = "/nowhere"
[[remotes]]
name = "nipa-lab"
report = true
streams = ["net-next"]
executors = ["nic", "vm"]
manifest = "{manifest}"
poll = "50ms"
"""


def settings_of(manifest: str) -> Settings:
    return parse(CONFIG.format(manifest=manifest))


@dataclass
class Clock:
    """A clock that a test moves on."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **more: float) -> None:
        self.now += timedelta(**more)


@dataclass
class Polled:
    """What a test needs: the remote, the poller, and the tables as the owner sees them."""

    remote: NipaRemote
    floor: Floor
    owner: Pool
    poller: RemotePoller
    files: Fetcher
    clock: Clock
    cut: int

    async def round(self) -> str:
        """One round of the poller; gives what its manifest's trouble is."""
        trouble = await self.poller.look(self.files)
        await self.poller.work_off(self.files, float("inf"))
        return str(trouble or "")

    async def runs(self) -> list[tuple[Any, ...]]:
        """executor, attempt, state, cause of the runs in the ledger."""
        rows = await self.owner.fetch(
            "select executor, attempt, state, coalesce(cause, '') from ledger.runs order by executor, attempt"
        )
        return [tuple(row) for row in rows]

    async def rejections(self) -> list[str]:
        rows = await self.owner.fetch("select detail from ingest.rejections order by id")
        return [row["detail"] for row in rows]

    async def events(self) -> list[str]:
        rows = await self.owner.fetch("select type from floor.outbox union all select type from floor.events")
        return sorted(row["type"].removeprefix("dev.netci.").removesuffix(".v1") for row in rows)


@pytest.fixture
async def polled(database: Database, floor_for: FloorFor, tmp_path: Path) -> AsyncIterator[Polled]:
    async with served_remote(tmp_path) as remote, polling(database, floor_for, remote) as made:
        yield made


@asynccontextmanager
async def polling(database: Database, floor_for: FloorFor, remote: NipaRemote) -> AsyncIterator[Polled]:
    clock = Clock()
    floor = await floor_for("ingest", settings_of(remote.manifest), clock)
    owner = await database.pool()
    await a_cut(owner, OLDER, clock.now - timedelta(hours=4))
    cut = await a_cut(owner, BRANCH, clock.now - timedelta(hours=1))
    async with AsyncExitStack() as stack:
        reach = Reach((ip_network("127.0.0.0/8"),))
        files = await stack.enter_async_context(fetcher("nipa-lab", reach, "tests", 5.0))
        poller = RemotePoller(LabDesk(floor), floor.settings.remotes[0], asyncio.Lock())
        yield Polled(remote, floor, owner, poller, files, clock, cut)
