"""The database goes away in the middle: what tests said on machines is kept and written when it is back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from services.executor import app
from services.executor.app import ExecutorRoom
from shared.blobs.disk import DiskBlobs
from shared.clock import wall
from shared.db.bells import Bells
from shared.db.migrate import migrate
from shared.db.pool import Pool, connect, open_pool
from shared.floor import Floor, make_bus
from shared.practice.hosts import served_hosts
from tests.services.executor.builders import Shells, barrier, until
from tests.services.executor.world import a_cut, a_world, counting, ran, some_settings
from tests.support.lasting import LastingPostgres

pytestmark = pytest.mark.timeout(120)


@asynccontextmanager
async def served_database() -> AsyncIterator[LastingPostgres]:
    server = LastingPostgres()
    server.start()
    try:
        await server.ready()
        owner = await connect(server.dsn.replace("/netci?", "/postgres?"))
        await owner.execute("create database netci")
        await owner.close()
        await migrate(server.dsn)
        yield server
    finally:
        server.close()


async def a_floor(stack: AsyncExitStack, server: LastingPostgres, folder: Path) -> tuple[Floor, Pool]:
    pool = await stack.enter_async_context(open_pool(server.dsn, "executor", 4))
    owner = await stack.enter_async_context(open_pool(server.dsn, "", 2))
    settings, bells = some_settings(folder / "data"), Bells()
    bus = make_bus(settings, pool, bells, server.dsn, "executor")
    blobs = DiskBlobs(folder / "blobs")
    return Floor(settings, "executor", server.dsn, pool, bus, bells, blobs, wall, "test:executor"), owner


async def test_results_outlast_a_killed_database(tmp_path: Path) -> None:
    wait = f'until [ -e "{tmp_path}/go" ]; do sleep 0.02; done; touch "{tmp_path}/said"'
    suite = Shells({"a": counting(tmp_path, "a") + barrier(tmp_path, "here") + wait, "b": counting(tmp_path, "b")})
    async with AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(served_hosts(1))
        server = await stack.enter_async_context(served_database())
        floor, owner = await a_floor(stack, server, tmp_path)
        world = a_world(floor, owner, fleet, suite, await a_cut(owner))
        await world.plan()
        running = asyncio.ensure_future(world.at_desk(await world.claim()))
        await until((tmp_path / "here").exists)
        server.kill()
        (tmp_path / "go").touch()
        # The result is on its way while nothing can take it.
        await until((tmp_path / "said").exists)
        server.start()
        await server.ready()
        await running
        assert await world.results() == {("a", 0): "pass", ("b", 0): "pass"}
        assert [ran(tmp_path, name) for name in "ab"] == [1, 1]
        assert (await world.run_row())["state"] == "done"
        assert await world.events("run.done") == 1


async def test_the_room_reconciles_through_an_outage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A branch that no event told of is planned once the database is back, and the room never ended."""
    monkeypatch.setattr(app, "RECONCILE", 0.05)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(served_database())
        floor, owner = await a_floor(stack, server, tmp_path)
        room = asyncio.ensure_future(ExecutorRoom(floor)._reconcile())
        await until(lambda: _count(owner, "select count(*) from floor.health where name = 'disk:executor'", 1))
        server.kill()
        await asyncio.to_thread(server.start)
        await server.ready()
        cut = await a_cut(owner)
        await until(lambda: _count(owner, "select count(*) from executor.plans", 1))
        # Its row of work lost, the plan asks for it again.
        await owner.execute("delete from floor.work")
        await until(lambda: _count(owner, f"select count(*) from floor.work where key = '{cut}'", 1))
        assert not room.done()
        room.cancel()
        await asyncio.gather(room, return_exceptions=True)


async def _count(owner: Pool, query: str, wanted: int) -> bool:
    return bool(await owner.fetchval(query) == wanted)
