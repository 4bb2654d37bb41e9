"""Posting while Patchwork misbehaves: everything arrives, nothing twice."""

from contextlib import AsyncExitStack

import pytest

from shared.pauses import pause, resume
from shared.practice.patchwork import Served
from tests.services.report.builders import a_case, a_cut, a_run, a_series
from tests.services.report.conftest import World, WorldFor

ONCE = {(n, "contest", "success"): 1 for n in (1, 2, 3)}


async def a_green_cut(world: World) -> None:
    cut = await a_cut(world.owner, [await a_series(world.owner, patches=(1, 2, 3))])
    await a_run(world.executor, cut, [a_case()])


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("drop-after", {"count": 3}),
        ("reset", {"count": 5}),
        ("truncated", {"count": 4}),
        ("html", {"count": 4}),
        ("slow", {"count": 3, "delay": 0.2}),
        ("status", {"status": 502, "count": 4}),
        ("status", {"status": 503, "count": 4}),
        ("status", {"status": 504, "count": 4}),
        ("status", {"status": 500, "count": 4}),
        ("status", {"status": 429, "count": 2, "retry_after": 0}),
    ],
)
@pytest.mark.parametrize("method", ["POST", ""])
async def test_a_server_in_trouble_gets_each_check_once(
    world_for: WorldFor, site: Served, kind: str, options: dict[str, float], method: str
) -> None:
    world = await world_for()
    site.misbehave.add(kind, path="/checks/", method=method, **options)  # type: ignore[arg-type]
    async with world.report():
        await a_green_cut(world)
        await world.settled(3)
    assert world.posted() == ONCE
    assert await world.owner.fetchval("select count(*) from report.posts where status = 'posted'") == 3


async def test_a_server_that_is_away_is_seen_on_the_status_page_and_gets_everything_later(
    world_for: WorldFor, site: Served
) -> None:
    world = await world_for()
    await site.down()
    async with world.report():
        await a_green_cut(world)
        await world.until("select ok from floor.health where name = 'netdev/patchwork'", False)
        await site.up()
        await world.settled(3)
        await world.until("select ok from floor.health where name = 'netdev/patchwork'", True)
    assert world.posted() == ONCE


async def test_the_first_doubt_of_all_is_settled_before_we_know_who_we_are(world_for: WorldFor, site: Served) -> None:
    world = await world_for()
    site.misbehave.add("drop-after", path="/checks/", method="POST", count=1)
    async with world.report():
        cut = await a_cut(world.owner, [await a_series(world.owner)])
        await a_run(world.executor, cut, [a_case()])
        await world.settled(1)
    assert site.counters.of("/api/patches/N/checks/", "POST") == 1
    assert await world.owner.fetchval("select answer from report.posts") == "found after a doubt"
    user = site.patchwork.user("nipa-bot").id
    assert await world.owner.fetchval("select external_user from report.posts") == user


@pytest.mark.parametrize("stored", [True, False])
async def test_a_poster_killed_between_request_and_answer_looks_before_it_repeats(
    world_for: WorldFor, site: Served, stored: bool
) -> None:
    """Killed: its intent is marked as sent and never settled, whether the check was stored or not."""
    world = await world_for()
    async with world.report():
        cut = await a_cut(world.owner, [await a_series(world.owner, patches=(1, 2))])
        await a_run(world.executor, cut, [a_case()])
        await world.settled(2)
    await world.owner.execute(
        """update report.posts set status = 'intent', sent = now(), settled = null, external_check = null,
                                   external_user = case when patch_id = 1 then null else external_user end
           where patch_id = (select min(patch_id) from report.posts)"""
    )
    if not stored:
        del site.patchwork.checks_by_patch[1]
    site.counters.reset()
    async with world.report():
        await world.settled(2)
    assert site.counters.of("/api/patches/N/checks/", "POST") == (0 if stored else 1)


async def test_what_patchwork_refuses_is_final_logged_and_seen(world_for: WorldFor, site: Served) -> None:
    world = await world_for()
    async with world.report():
        cut = await a_cut(world.owner, [await a_series(world.owner, patches=(999, 1))])
        await a_run(world.executor, cut, [a_case()])
        await world.settled(2)
    rows = await world.owner.fetch("select status, answer from report.posts order by external_patch")
    assert [r["status"] for r in rows] == ["posted", "refused"]
    assert "No Patch matches" in rows[1]["answer"]


async def test_one_patch_that_always_fails_holds_nobody_else_up(world_for: WorldFor, site: Served) -> None:
    world = await world_for()
    site.misbehave.add("status", path="/patches/1/checks/", status=500)
    async with world.report():
        await a_green_cut(world)
        await world.until("select count(*) from report.posts where status = 'posted'", 2)
    assert set(world.posted()) == {(2, "contest", "success"), (3, "contest", "success")}


async def test_a_pause_amid_a_batch_stops_it_at_once_and_leaves_no_doubt(world_for: WorldFor, site: Served) -> None:
    world = await world_for()
    site.misbehave.add("slow", path="/checks/", delay=0.3)
    async with world.report():
        cut = await a_cut(world.owner, [await a_series(world.owner, patches=(1, 2, 3, 4, 5, 6))])
        await a_run(world.executor, cut, [a_case()])
        await world.until("select count(*) from report.posts where sent is not null", 6)
        async with world.owner.acquire() as conn:
            await pause(conn, "post", "netdev", "wait", "ann")
        await world.until("select count(*) from report.posts where status = 'posted'", 4)
        await world.until("select count(*) from report.posts where status = 'intent' and sent is null", 2)
        async with world.owner.acquire() as conn:
            await resume(conn, "post", "netdev", "go on", "ann")
        await world.settled(6)
    assert set(world.posted().values()) == {1}
    assert site.counters.of("/api/patches/N/checks/", "GET") == 0


async def test_few_requests_are_in_flight_at_once(world_for: WorldFor, site: Served) -> None:
    world = await world_for()
    site.misbehave.add("slow", path="/checks/", delay=0.05)
    async with world.report():
        cut = await a_cut(world.owner, [await a_series(world.owner, patches=(1, 2, 3, 4, 5, 6))])
        await a_run(world.executor, cut, [a_case()])
        await world.settled(6)
    assert 2 <= site.counters.most_at_once <= 4


async def test_two_posters_post_once(world_for: WorldFor) -> None:
    world, other = await world_for(), await world_for()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(world.report())
        await stack.enter_async_context(other.report())
        await a_green_cut(world)
        await world.settled(3)
    assert world.posted() == ONCE
