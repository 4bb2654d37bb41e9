"""Our own checks, from what they say to what stands on Patchwork: each patch is told of itself, all of the series."""

from collections import Counter
from typing import Any

from shared.ledger.write import Ending
from tests.services.report.builders import a_series, check_run, end, say, supersede
from tests.services.report.conftest import World, WorldFor

NAMES = tuple(f"check_{n:02}" for n in range(25))


def told(world: World, patch: int) -> list[tuple[str, str, str | None]]:
    return [(c.context, c.state, c.description) for c in world.site.patchwork.checks_of(patch)]


async def test_a_patch_is_told_of_itself_and_every_patch_of_the_series(world_for: WorldFor) -> None:
    world = await world_for()
    series = await a_series(world.owner, patches=(1, 2, 3))
    run = await check_run(world.executor, series)
    async with world.report():
        await say(world.executor, run, series, ("checkpatch", 2, "fail", "ERROR: space required"))
        await world.settled(1)
        await say(world.executor, run, series, ("series_format", 0, "warning", "Target tree name not specified"))
        await world.settled(4)
    format_ = ("series_format", "warning", "Target tree name not specified")
    assert told(world, 2) == [("checkpatch", "fail", "ERROR: space required"), format_]
    assert told(world, 1) == told(world, 3) == [format_]
    urls = {c.context: c.target_url for c in world.site.patchwork.checks_of(2)}
    assert urls["checkpatch"] == "https://ci.example.org/series/series-1@example.org/checks/checkpatch/2"
    assert urls["series_format"] == "https://ci.example.org/series/series-1@example.org/checks/series_format"
    rows = await world.owner.fetch("select body->'data' as data from floor.events where type like '%verdict%'")
    assert sorted((r["data"]["context"], r["data"]["patch"] or 0) for r in rows) == [
        ("checkpatch", 2), ("series_format", 0)
    ]  # fmt: skip


async def test_what_is_said_of_a_patch_goes_before_what_is_said_of_its_series(world_for: WorldFor) -> None:
    world = await world_for()
    series = await a_series(world.owner, patches=(1, 2))
    run = await check_run(world.executor, series)
    async with world.report():
        await say(world.executor, run, series, ("kdoc", 0, "success", "all"))
        await world.settled(2)
        await say(world.executor, run, series, ("kdoc", 2, "fail", "of 2"))
        await world.settled(3)
    assert [state for _, state, _ in told(world, 1)] == ["success"]
    assert [state for _, state, _ in told(world, 2)][-1] == "fail"
    before = world.posted()
    async with world.report():  # Looks at all that stands anew.
        await say(world.executor, run, series, ("other", 1, "success", "so that something comes after it"))
        await world.settled(4)
    assert world.posted() == before | {(1, "other", "success"): 1}


async def test_a_recheck_turns_what_stands_and_an_older_attempt_does_not(world_for: WorldFor) -> None:
    world = await world_for()
    series = await a_series(world.owner)
    first = await check_run(world.executor, series)
    # Before report looks: it may as well have told what was pending for a moment.
    await say(world.executor, first, series, ("kdoc", 1, "pending", "soon"), ("kdoc", 1, "success", "well"))
    async with world.report():
        await say(world.executor, first, series, ("kdoc", 1, "fail", "no more"))
        second = await check_run(world.executor, series, attempt=1)
        await world.until("select text from report.verdicts", "well")
        await say(world.executor, second, series, ("kdoc", 1, "fail", "on a newer base"))
        await world.until("select text from report.verdicts", "on a newer base")
        await say(world.executor, first, series, ("kdoc", 1, "warning", "late"))
        await world.until("select state from report.verdicts", "warning")
        await world.settled(3)
    assert [state for _, state, _ in told(world, 1)] == ["success", "fail", "warning"]


async def test_a_pending_one_is_told_when_its_run_ends(world_for: WorldFor) -> None:
    world = await world_for()
    series = await a_series(world.owner)
    run = await check_run(world.executor, series)
    async with world.report():
        await say(world.executor, run, series, ("ai_review", 1, "pending", "submitted"))
        await end(world.executor, run, [], Ending())
        await world.settled(1)
    assert told(world, 1) == [("ai_review", "pending", "submitted")]


async def test_nothing_is_told_of_what_is_superseded_or_of_an_old_revision(world_for: WorldFor) -> None:
    world = await world_for()
    series = await a_series(world.owner)
    run = await check_run(world.executor, series)
    async with world.report():
        await say(world.executor, run, series, ("kdoc", 1, "success", ""))
        await world.settled(1)
        await world.owner.execute("update ingest.series set revision = 2")
        await say(world.executor, run, series, ("checkpatch", 1, "fail", "of the first"))
        await supersede(world.owner, series)
        await say(world.executor, run, series, ("checkpatch", 1, "fail", "too late"), revision=2)
        await world.heard("check.done", 3)
    assert world.posted() == {(1, "kdoc", "success"): 1}


async def test_lost_events_cost_nothing_but_time(world_for: WorldFor) -> None:
    world = await world_for()
    series = await a_series(world.owner, patches=(1, 2))
    run = await check_run(world.executor, series)
    await say(world.executor, run, series, *((name, patch, "success", "") for name in NAMES[:3] for patch in (1, 2)))
    await world.owner.execute("truncate floor.outbox, floor.inbox, floor.queues cascade")
    async with world.report():
        await world.settled(6)
    assert set(world.posted().values()) == {1}


async def test_a_hundred_checks_of_one_series_go_out_once_each(world_for: WorldFor) -> None:
    world = await world_for()
    series = await a_series(world.owner, patches=(1, 2, 3, 4, 5))
    run = await check_run(world.executor, series)
    said: list[Any] = [(name, patch, "success", f"{name} of {patch}") for patch in range(1, 6) for name in NAMES]
    async with world.report():
        await say(world.executor, run, series, *said)
        await world.heard("check.done", 125)
        await world.settled(125)
    assert set(world.posted().values()) == {1}
    assert Counter(patch for patch, _, _ in world.posted()) == dict.fromkeys(range(1, 6), 25)
    assert await world.owner.fetchval("select max(changes) from report.verdicts") == 1
