"""An executor on a real database: branches announced by hand, runs claimed, killed and taken over."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from services.executor.drivers.base import Driver
from services.executor.handlers import plan_cut
from services.executor.runs import Bench, Runs
from services.executor.store import work_kind
from services.executor.suites.base import Suite
from services.executor.table_work import TableClaim, TableWork
from services.executor.trees import Trees
from shared.blobs.disk import DiskBlobs
from shared.db.pool import Pool
from shared.db.work import Work, claim
from shared.errors import NetciError
from shared.floor import Floor
from shared.practice.hosts import Fleet
from shared.settings import ExecutorTable, Settings, parse
from tests.services.executor.builders import driver_of

TOML = """
data = "{data}"
[disk]
free = {free}
[projects.netdev]
[projects.netdev.trees.net-next]
git = "https://git.example.org/net-next.git"
[projects.netdev.streams.net-next]
tree = "net-next"
push = "/nowhere"
[[remotes]]
name = "metal"
"""

EXECUTOR = """
[[executors]]
remote = "metal"
name = "{name}"
streams = ["net-next"]
suite = {{ kind = "kselftest", targets = ["net"] }}
driver = {{ kind = "ssh", hosts = ["root@vm1"], key_file = "/nowhere/key", known_hosts = "/nowhere/hosts" }}
deadline = "{deadline}"
hold = "3s"
"""


def some_settings(data: Path, *names: str, free: int = 0, deadline: str = "170m") -> Settings:
    """One stream; executors `metal/NAME`, "net" if none is named."""
    executors = "".join(EXECUTOR.format(name=name, deadline=deadline) for name in names or ("net",))
    return parse(TOML.format(data=data, free=free) + executors)


async def a_cut(
    owner: Pool, commit: str = "c" * 40, name: str = "net-next-2026-11-23--09-00", url: str = "", ago: float = 0
) -> int:
    """A branch announced `ago` seconds ago. Gives its id."""
    now = datetime.now(UTC) - timedelta(seconds=ago)
    return int(await owner.fetchval(
        """insert into branch.cuts (project, stream, slot, purpose, name, state, tree, base, commit,
                                     public_url, announced)
           values ('netdev', 'net-next', $1, 'by-hand', $2, 'announced', 'net-next', $4, $3, $5, $1) returning id""",
        now, name, commit, "b" * 40, url,
    ))  # fmt: skip


@dataclass
class World:
    """One executor of the settings on `floor`. `owner` may do everything."""

    floor: Floor
    owner: Pool
    table: ExecutorTable
    bench: Bench
    cut: int

    @property
    def kind(self) -> str:
        return work_kind("metal", self.table.name)

    @property
    def runs(self) -> Runs:
        return Runs(self.bench, self.floor.clock)

    async def take_up(self, work: Work) -> TableClaim | None:
        return await TableWork(self.floor, self.table, self.bench.driver.hosts).take_up(work)

    async def plan(self) -> int:
        async with self.floor.pool.acquire() as conn, conn.transaction():
            return await plan_cut(self.floor, conn, self.cut)

    async def claim(self) -> Work:
        """Take the run up, whoever has it and whenever it is due."""
        await self.owner.execute("update floor.work set lease_until = now(), due = now() where kind = $1", self.kind)
        work = await claim(self.floor.pool, "executor", [self.kind], self.floor.holder, timedelta(minutes=5))
        assert work is not None
        return work

    async def do(self, work: Work | None = None) -> None:
        if claim := await self.take_up(work or await self.claim()):
            await self.runs.do(claim)

    async def at_desk(self, work: Work) -> None:
        """As `do`, with all that is done about exceptions and heartbeats."""
        if claim := await self.take_up(work):
            await self.runs.keep(claim)

    @asynccontextmanager
    async def killed_inside(self) -> AsyncIterator[Work]:
        """A run that goes on beside the block and is cancelled at its end."""
        work = await self.claim()
        running = asyncio.ensure_future(self.do(work))
        try:
            yield work
        finally:
            assert not running.done() or running.exception() is None
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def plan_row(self) -> Mapping[str, Any]:
        row = await self.owner.fetchrow(
            "select * from executor.plans where cut_id = $1 and executor = $2", self.cut, self.table.name
        )
        assert row is not None
        return dict(row)

    async def run_row(self) -> Mapping[str, Any]:
        row = await self.owner.fetchrow(
            "select * from ledger.runs where cut_id = $1 and executor = $2", self.cut, self.table.name
        )
        assert row is not None
        return dict(row)

    async def results(self) -> dict[tuple[str, int], str]:
        rows = await self.owner.fetch(
            """select c.test, c.attempt, c.result from ledger.cases_v c join ledger.runs r on r.id = c.run_id
               where c.subtest = '' and r.executor = $1""", self.table.name
        )  # fmt: skip
        return {(row["test"], row["attempt"]): row["result"] for row in rows}

    async def events(self, kind: str) -> int:
        """How many events of a kind were staged, moved to the log or not yet."""
        return int(await self.owner.fetchval(
            """select count(distinct id) from (select event_id as id from floor.outbox where type like '%' || $1 || '%'
               union all select id from floor.events where type like '%' || $1 || '%') e""", kind
        ))  # fmt: skip


def a_world(
    floor: Floor, owner: Pool, fleet: Fleet, suite: Suite, cut: int, number: int = 0, driver: Driver | None = None
) -> World:
    table = floor.settings.executors[number]
    trees = Trees(floor.settings.data, "netdev")
    made = Bench(f"{table.remote}/{table.name}", table.retries, driver or driver_of(fleet), suite, trees, patience=0.05)
    return World(floor, owner, table, made, cut)


class HeldBlobs(DiskBlobs):
    """Blobs that cannot be read until `release` is set: folding a run's logs waits. `asked` tells when."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked, self.release = asyncio.Event(), asyncio.Event()

    async def get(self, sha256: str) -> bytes:
        self.asked.set()
        await self.release.wait()
        return await super().get(sha256)


def with_blobs(world: World, blobs: DiskBlobs) -> World:
    return replace(world, floor=replace(world.floor, blobs=blobs))


def counting(folder: Path, name: str) -> str:
    """A shell line that leaves a line in a file of ours each time it is run."""
    return f'echo . >>"{folder}/{name}.ran"; '


def ran(folder: Path, name: str) -> int:
    with contextlib.suppress(FileNotFoundError):
        return len((folder / f"{name}.ran").read_text().splitlines())
    return 0


async def refused(error: type[NetciError], *acts: Callable[[], Awaitable[object]]) -> None:
    """Each of `acts` must raise `error`."""
    for act in acts:
        try:
            await act()
        except error:
            continue
        raise AssertionError("it was let through")


def files_open() -> set[str]:
    """What this process has open, by name."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(f"/proc/self/fd/{fd}"))
    return found
