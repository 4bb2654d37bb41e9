"""The whole room: from an event to the next, and from the tables alone when events were lost."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.branch.app import BranchRoom
from shared.db.outbox import stage
from shared.db.work import enqueue
from shared.events import SeriesArrived, SeriesChanged
from shared.floor import Floor
from shared.model.ids import SeriesId
from tests.conftest import FloorFor
from tests.services.branch.conftest import WorldFor
from tests.services.branch.test_cli import netci
from tests.services.branch.test_cutter import request
from tests.services.branch.world import World
from tests.services.ingest.api.lab import served
from tests.shared.git.build import commit


@asynccontextmanager
async def a_room(floor: Floor) -> AsyncIterator[None]:
    """The room at work."""
    ready = asyncio.Event()
    running = asyncio.ensure_future(BranchRoom(floor).run(ready.set))
    try:
        async with asyncio.timeout(20):
            await ready.wait()
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def seen(world: World, wanted: str, count: int = 1) -> list[dict[str, object]]:
    """The events of a type, once there are that many; rung by the log itself."""
    async with asyncio.timeout(30):
        while True:
            bell = world.floor.bells.count("netci_events")
            rows = await world.owner.fetch("select body->'data' as data from floor.events where type = $1", wanted)
            if len(rows) >= count:
                return [row["data"] for row in rows]
            await world.floor.bells.wait("netci_events", bell, 1)


async def tell(world: World, floor: Floor, series: SeriesId) -> None:
    async with floor.pool.acquire() as conn, conn.transaction():
        event = SeriesArrived(
            project="netdev", series=series, revision=1, message_id="x", title="x", author="a", patches=1
        )
        await stage(conn, "ingest", event)


async def test_from_arrival_to_a_branch(world_for: WorldFor, floor_for: FloorFor) -> None:
    world = await world_for()
    ingest = await floor_for("ingest", world.settings)
    async with a_room(world.floor):
        series = await world.series(world.change("README", 2, "one"))
        await tell(world, ingest, series)
        (event,) = await seen(world, "dev.netci.series.applied.v1")
        assert event["series"] == series
        assert world.tags()
        await request(world)
        await world.owner.execute("select pg_notify('netci_orders', 'next')")
        (cut,) = await seen(world, "dev.netci.branch.cut.v1")
        assert cut["taken"] == 1
        assert world.branches() == {cut["branch"]: cut["commit"]}
    assert await world.owner.fetchval("select count(*) from floor.leases") == 0


async def test_the_command_line_waits_for_the_branch(world_for: WorldFor, capsys: pytest.CaptureFixture[str]) -> None:
    world = await world_for()
    async with a_room(world.floor):
        assert await netci(world, "cut", "next", "--wait", "30") == 0
    (name,) = world.branches()
    assert f"{name} {world.branches()[name]}: 0 series taken, 0 left out" in capsys.readouterr().out


async def test_without_any_event_the_tables_are_enough(world_for: WorldFor) -> None:
    world = await world_for()
    series = await world.series(world.change("README", 2, "one"))
    async with a_room(world.floor):
        (event,) = await seen(world, "dev.netci.series.applied.v1")
    assert event["series"] == series


async def test_a_tree_that_moves_gives_refused_series_another_chance(world_for: WorldFor) -> None:
    world = await world_for()
    letters = world.change("README", 2, "one")
    commit(world.next, "in the way", {"README": "other\n"})
    await world.series(letters)
    async with a_room(world.floor):
        await seen(world, "dev.netci.series.refused.v1")
        commit(world.next, "out of the way", {"README": "".join(f"readme line {n}\n" for n in range(1, 6))})
        await world.trees.refresh("netdev", "next")
        await seen(world, "dev.netci.series.applied.v1")


async def test_a_hook_has_a_tree_fetched_at_once(world_for: WorldFor, floor_for: FloorFor, tmp_path: Path) -> None:
    secret, body = tmp_path / "hook", b'{"ref": "refs/heads/main"}'
    secret.write_text("as-long-as-it-needs-to-be")
    secret.chmod(0o600)
    world = await world_for(more=f'[[hooks]]\nproject = "netdev"\ntree = "next"\nsecret_file = "{secret}"\n')
    ingest = await floor_for("ingest", world.settings)
    signature = hmac.new(secret.read_bytes(), body, hashlib.sha256).hexdigest()
    async with a_room(world.floor), served(ingest) as outside:
        await seen(world, "dev.netci.tree.moved.v1", 2)
        made = commit(world.next, "pushed", {"README": "pushed\n"})
        # The next regular fetch is in five minutes.
        status, told = await outside.ask(
            "POST", "/hooks/git/netdev/next", headers={"X-Hub-Signature-256": f"sha256={signature}"}, data=body
        )
        assert (status, told) == (202, {"woken": True})
        moved = (await seen(world, "dev.netci.tree.moved.v1", 3))[2]
    assert (moved["tree"], moved["head"]) == ("next", made)


async def test_a_superseded_series_is_let_go(world_for: WorldFor, floor_for: FloorFor) -> None:
    world = await world_for()
    ingest = await floor_for("ingest", world.settings)
    series = await world.series(world.change("README", 2, "one"))
    async with world.floor.pool.acquire() as conn:
        await enqueue(conn, "branch", "apply", str(series), wait=3600)
    await world.owner.execute("update ingest.series set state = 'superseded' where id = $1", series)
    async with a_room(world.floor):
        async with ingest.pool.acquire() as conn, conn.transaction():
            await stage(conn, "ingest", SeriesChanged(project="netdev", series=series, revision=1, message_id="x",
                                                      state="superseded", reason="v2"))  # fmt: skip
        async with asyncio.timeout(20):
            while await world.owner.fetchval("select state from floor.work where kind = 'apply'") != "cancelled":
                bell = world.floor.bells.count("netci_events")
                await world.floor.bells.wait("netci_events", bell, 0.2)


async def test_a_tree_that_was_away_at_the_start_is_followed_once_it_is_back(world_for: WorldFor) -> None:
    world = await world_for()
    world.next.rename(world.folder / "away")
    async with a_room(world.floor):
        await seen(world, "dev.netci.tree.moved.v1")
        async with asyncio.timeout(20):
            while (
                await world.owner.fetchval("select ok from floor.health where name = 'tree netdev/next'") is not False
            ):
                await world.floor.bells.wait("netci_work", world.floor.bells.count("netci_work"), 0.1)
        (world.folder / "away").rename(world.next)
        moved = await seen(world, "dev.netci.tree.moved.v1", 2)
    assert {event["tree"] for event in moved} == {"net", "next"}
