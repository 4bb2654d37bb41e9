"""Fixtures that need teardown: one PostgreSQL for the session, one database a test, a floor on it."""

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import hypothesis
import pytest

from shared.blobs.disk import DiskBlobs
from shared.clock import Clock, wall
from shared.db.bells import Bells
from shared.db.embedded import Embedded, running
from shared.db.migrate import migrate
from shared.db.pool import Pool, connect, open_pool
from shared.db.sequencer import sequence
from shared.floor import Floor, make_bus
from shared.settings import Settings

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("netci", deadline=None)
hypothesis.settings.load_profile("netci")

_numbers = itertools.count(1)

SLOW = (
    "tests/chaos/", "tests/e2e/", "tests/browser/", "tests/contract/test_drivers.py", "tests/shared/practice/",
    "tests/corpus/",
    "tests/shared/git/test_hostile.py", "tests/shared/git/test_pulls.py", "tests/services/executor/drivers/",
    "tests/services/executor/test_runs.py", "tests/services/executor/test_runner.py",
    "tests/services/executor/test_outages.py", "tests/services/branch/test_cutter.py",
    "tests/services/branch/test_compose.py", "tests/services/ingest/test_app.py",
    "tests/services/ingest/test_outages.py", "tests/services/report/test_room.py",
    "tests/services/report/test_dispatch.py", "tests/services/report/hooks/test_killed.py",
    "tests/services/test_upkeep.py", "tests/services/test_main.py", "tests/services/ingest/api/test_limits.py",
)  # fmt: skip
"""What plays out over machines, outages and minutes: `make test` runs it, `make check` does not."""


LONGEST = (
    "tests/chaos/test_chaos.py", "tests/services/report/hooks/test_killed.py", "tests/shared/practice/test_hosts.py",
    "tests/e2e/test_stream_stress.py", "tests/e2e/test_openapi.py", "tests/e2e/test_hostile.py",
    "tests/chaos/test_outages.py", "tests/e2e/test_run_a_remote.py", "tests/contract/test_bus.py",
    "tests/e2e/", "tests/services/ingest/", "tests/contract/",
)  # fmt: skip
"""Begun first, in this order: a long one that is left for the end has one worker wait for the other."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker("slow")
    items.sort(key=lambda item: next((n for n, name in enumerate(LONGEST) if item.nodeid.startswith(name)), 99))


TEMPLATE = "netci_template"
MEMORY, ENOUGH = Path("/dev/shm"), 2 << 30
"""Bytes. A database is some 400 files, which cost a disk many times what they cost memory."""


def _in_memory() -> Path:
    """Where databases of tests lie: in memory if there is room."""
    return MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ENOUGH else Path("/var/tmp")


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The DSN of a PostgreSQL of our own without fsync, holding the migrated template database."""
    folder = Path(tempfile.mkdtemp(prefix="netci-tests-", dir=_in_memory()))
    folder.chmod(0o711)
    loop = asyncio.new_event_loop()
    place = running(Embedded(folder, fsync=False))
    dsn = loop.run_until_complete(place.__aenter__())
    try:
        loop.run_until_complete(_make_template(dsn))
        yield dsn
    finally:
        loop.run_until_complete(place.__aexit__(None, None, None))
        loop.close()
        shutil.rmtree(folder, ignore_errors=True)


def _in(dsn: str, database: str) -> str:
    return dsn.replace("/netci?", f"/{database}?")


async def _make_template(dsn: str) -> None:
    conn = await connect(dsn)
    await conn.execute(f"create database {TEMPLATE}")
    await conn.close()
    await migrate(_in(dsn, TEMPLATE))


@dataclass
class Database:
    """A fresh migrated database. Pools opened through it are closed with the test."""

    dsn: str
    stack: AsyncExitStack = field(repr=False)

    async def pool(self, room: str = "", size: int = 4) -> Pool:
        """A pool with the rights of `room`; with the owner's if empty."""
        return await self.stack.enter_async_context(open_pool(self.dsn, room, size))


@pytest.fixture
async def database(server: str) -> AsyncIterator[Database]:
    name = f"t{os.getpid()}_{next(_numbers)}"
    owner = await connect(server)
    await owner.execute(f"create database {name} template {TEMPLATE} strategy file_copy")
    async with AsyncExitStack() as stack:
        yield Database(_in(server, name), stack)
    await owner.execute(f"drop database {name} with (force)")
    await owner.close()


FloorFor = Callable[..., Awaitable[Floor]]


@pytest.fixture
async def floor_for(database: Database, tmp_path: Path) -> AsyncIterator[FloorFor]:
    """Makes floors on `database`: `await floor_for("branch", settings)`; bells and sequencer run meanwhile."""
    bells = Bells()
    tasks = [
        asyncio.ensure_future(bells.listen(database.dsn)),
        asyncio.ensure_future(sequence(database.dsn, "", bells)),
    ]

    async def make(room: str, settings: Settings, clock: Clock = wall) -> Floor:
        pool = await database.pool(room)
        bus = make_bus(settings, pool, bells, database.dsn, room)
        blobs = DiskBlobs(tmp_path / "blobs")
        return Floor(settings, room, database.dsn, pool, bus, bells, blobs, clock, f"test:{room}")

    yield make
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
