"""From series to plans on a real database: whatever comes twice, late, in the wrong order, or not at all."""

import asyncio

import pytest

from services.executor.check_queue.handlers import Rechecking, handlers, reconcile, say_hands
from services.executor.check_queue.ordering import order
from services.executor.check_queue.planning import drop
from services.executor.check_queue.store import SQL
from services.executor.checking.sink import Task
from services.executor.checks.base import Said
from shared import recheck
from shared.db.work import claim
from shared.events import SeriesApplied, SeriesArrived, SeriesChanged
from shared.events.base import Event
from shared.ledger import Opening
from tests.services.executor.check_queue.world import FINE, RACK, World, a_series, applied, becomes, until


def arrived(series: int, revision: int = 1) -> SeriesArrived:
    return SeriesArrived(
        project="netdev", series=series, revision=revision, message_id="s1@x", title="s1", author="Ann", patches=2,
        trees=("net-next",),
    )  # fmt: skip


def on_tree(series: int) -> SeriesApplied:
    return SeriesApplied(
        project="netdev", series=series, revision=1, message_id="s1@x", tree="net-next", base="b" * 40, head="a" * 40,
        ref="refs/series/s1",
    )  # fmt: skip


def changed(series: int, state: str) -> SeriesChanged:
    return SeriesChanged(
        project="netdev", series=series, revision=1, message_id="s1@x", state=state, reason="Superseded by v2"
    )


async def handle(world: World, event: Event) -> None:
    async with world.floor.pool.acquire() as conn, conn.transaction():
        await handlers(world.planner)[type(event)](conn, event)


async def test_arrival_plans_the_mails_and_shows_what_will_follow(world: World) -> None:
    series = await a_series(world.owner)
    await asyncio.gather(*(handle(world, arrived(series)) for _ in range(4)))
    assert await world.plans(series) == [("mail", 0, "planned"), ("tree", 0, "waiting"), ("build", 0, "waiting")]
    assert await world.open_work() == [("checks:mail", "ready")]
    assert await world.grid(series) == dict.fromkeys(
        ("series_format 0", "verify_signedoff 1", "verify_signedoff 2", "checkpatch 1", "checkpatch 2", "build_clang 1",
         "build_clang 2"), "planned",
    )  # fmt: skip
    assert await world.why(series, "checkpatch") == "waits until the series is applied"


async def test_application_starts_the_rest_whichever_comes_first(world: World) -> None:
    one, other = await a_series(world.owner), await a_series(world.owner, "s2")
    await handle(world, arrived(one))
    for series in (one, other):
        await applied(world.owner, series)
        await handle(world, on_tree(series))
        await handle(world, arrived(series))
        assert {state for _, _, state in await world.plans(series)} == {"planned"}
    assert len(await world.open_work()) == 6
    row = await world.owner.fetchrow("select * from executor.check_plans where lane = 'build' and series_id = $1", one)
    assert row is not None
    assert (row["tree"], row["kind"], row["base"], row["head"]) == ("net-next", "next", "b" * 40, "a" * 40)


async def test_a_refused_series_is_not_asked_what_needs_its_tree(world: World) -> None:
    series = await a_series(world.owner)
    await applied(world.owner, series, outcome="refused", reason="patch 1 does not apply to net-next")
    await handle(world, arrived(series))
    assert await world.plans(series) == [("mail", 0, "planned"), ("tree", 0, "unasked"), ("build", 0, "unasked")]
    assert await world.why(series, "checkpatch") == "the series is not applied: patch 1 does not apply to net-next"
    await applied(world.owner, series)
    assert await world.look(series) == 2
    assert {state for _, _, state in await world.plans(series)} == {"planned"}
    assert set((await world.grid(series)).values()) == {"planned"}


async def test_a_superseded_series_is_dropped_and_one_that_is_back_asked(world: World) -> None:
    series = await a_series(world.owner)
    await applied(world.owner, series)
    await handle(world, arrived(series))
    await becomes(world.owner, series, "superseded", "Superseded by v2")
    await handle(world, changed(series, "superseded"))
    await handle(world, arrived(series))
    assert {state for _, _, state in await world.plans(series)} == {"cancelled"}
    assert set((await world.grid(series)).values()) == {"cancelled"}
    assert await world.why(series, "checkpatch") == "superseded by v2"
    assert await world.open_work() == []
    await becomes(world.owner, series, "active")
    await handle(world, changed(series, "active"))
    assert [plan for plan in await world.plans(series) if plan[2] == "planned"] == [
        ("mail", 1, "planned"), ("tree", 1, "planned"), ("build", 1, "planned"),
    ]  # fmt: skip
    assert set((await world.grid(series)).values()) == {"planned"}


async def test_series_that_are_not_ours_have_no_plans(world: World) -> None:
    ignored = await a_series(world.owner, state="ignored")
    foreign = await a_series(world.owner, "s2", project="bpf")
    for series in (ignored, foreign, 4711):
        await handle(world, arrived(series))
        assert await world.plans(series) == []


async def test_the_tables_alone_are_enough(world: World) -> None:
    series = await a_series(world.owner)
    old = await a_series(world.owner, "s2")
    await world.owner.execute("update ingest.series set arrived = now() - interval '8 days' where id = $1", old)
    await reconcile(world.floor, world.planner)
    assert await world.plans(old) == []
    assert await world.plans(series) == [("mail", 0, "planned"), ("tree", 0, "waiting"), ("build", 0, "waiting")]
    await applied(world.owner, series)
    await reconcile(world.floor, world.planner)
    assert {state for _, _, state in await world.plans(series)} == {"planned"}
    await world.owner.execute("delete from floor.work")
    await reconcile(world.floor, world.planner)
    assert len(await world.open_work()) == 3
    await becomes(world.owner, series, "withdrawn", "Accepted")
    await reconcile(world.floor, world.planner)
    assert {state for _, _, state in await world.plans(series)} == {"cancelled"}
    assert await reconcile(world.floor, world.planner) == 0


async def test_a_series_that_came_back_is_found_without_an_event(world: World) -> None:
    series = await a_series(world.owner)
    await world.look(series)
    await world.do()
    await becomes(world.owner, series, "withdrawn", "gone")
    await world.look(series)
    await becomes(world.owner, series, "active")
    await reconcile(world.floor, world.planner)
    assert (await world.plans(series))[3:] == [("tree", 1, "waiting"), ("build", 1, "waiting")]
    assert await reconcile(world.floor, world.planner) == 0


async def test_a_moved_base_is_found_without_an_event(world: World) -> None:
    series = await a_series(world.owner)
    await applied(world.owner, series)
    await world.look(series)
    for lane in ("mail", "tree", "build"):
        await world.do(lane)
    assert await reconcile(world.floor, world.planner) == 0
    await applied(world.owner, series, head="c" * 40)
    await reconcile(world.floor, world.planner)
    assert (await world.plans(series))[3:] == [("tree", 1, "planned"), ("build", 1, "planned")]
    assert await reconcile(world.floor, world.planner) == 0


async def test_what_was_asked_beside_a_recheck_is_not_lost(world: World) -> None:
    series = await a_series(world.owner)

    async def dies(task: Task) -> Said:
        if task.check == "verify_signedoff":
            raise asyncio.CancelledError
        return FINE

    world.script.answer = dies
    await world.look(series)
    with pytest.raises(asyncio.CancelledError):
        await world.do()
    async with world.floor.pool.acquire() as conn, conn.transaction():
        await world.planner.again(conn, series, ["series_format"], "again", "ann")
    for state in ("withdrawn", "active"):
        await becomes(world.owner, series, state)
        await world.look(series)
    grid = await world.grid(series)
    assert {grid[cell] for cell in ("series_format 0", "verify_signedoff 1", "verify_signedoff 2")} == {"planned"}


async def test_a_check_that_is_configured_since_is_asked_of_all_that_are_pending(world: World) -> None:
    few = World(world.floor, world.owner, world.script, RACK[:1])
    series, old = await a_series(world.owner), await a_series(world.owner, "s2")
    for one in (series, old):
        await applied(world.owner, one)
        await few.look(one)
        await few.do()
    await world.owner.execute("update ingest.series set arrived = now() - interval '80 days' where id = $1", old)
    assert await reconcile(few.floor, few.planner) == 0
    await reconcile(world.floor, world.planner)
    for one in (series, old):
        assert await world.plans(one) == [
            ("mail", 0, "done"), ("mail", 1, "planned"), ("tree", 0, "planned"), ("build", 0, "planned"),
        ]  # fmt: skip
        assert (await world.grid(one))["series_format 0"] == "answered"
    assert await reconcile(world.floor, world.planner) == 0


async def test_whoever_opens_a_run_while_it_is_dropped_leaves_none_open(world: World) -> None:
    series = await a_series(world.owner)
    await world.look(series)
    work = await world.taken()
    plan = int(work.payload["plan"])
    async with world.owner.acquire() as opener, world.owner.acquire() as dropper:
        async with opener.transaction():
            opening = Opening("netdev", "netci", "checks-mail", series_id=series, lease_number=work.number)
            run = await world.planner.ledger.open(opener, opening)
            await opener.execute(SQL["plan_running"], plan, run.id)

            async def dropping() -> None:
                async with dropper.transaction():
                    await drop(dropper, world.planner.ledger, plan, "superseded")

            going = asyncio.ensure_future(dropping())
            await until(lambda: _waits_for_a_lock(world))
        await asyncio.wait_for(going, 30)
    assert (await world.plans(series))[0] == ("mail", 0, "cancelled")
    assert await world.runs(series) == [("checks-mail", 0, "abandoned")]


async def _waits_for_a_lock(world: World) -> bool:
    """The one row that two want is the plan's."""
    found = (
        "select exists (select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database())"
    )
    return bool(await world.owner.fetchval(found))


async def test_nobody_opens_a_run_while_its_series_is_looked_at(world: World) -> None:
    series = await a_series(world.owner)
    await world.look(series)
    async with world.owner.acquire() as looking:
        async with looking.transaction():
            await looking.execute(SQL["lock_series"], series)
            going = asyncio.ensure_future(world.do())
            await until(lambda: _waits_for_a_lock(world))
            await becomes(world.owner, series, "withdrawn", "gone")
        await asyncio.wait_for(going, 30)
    assert [world.script.asked, await world.runs(series)] == [[], []]
    assert (await world.plans(series))[0] == ("mail", 0, "cancelled")


async def test_old_plans_are_forgotten(world: World) -> None:
    series = await a_series(world.owner)
    await world.look(series)
    await world.owner.execute(
        "update executor.check_plans set state = 'done', settled = now() - interval '900 days', planned = '2020-01-01'"
    )
    await becomes(world.owner, series, "withdrawn")
    await reconcile(world.floor, world.planner)
    assert await world.plans(series) == []
    assert await world.owner.fetchval("select count(*) from executor.check_tasks") == 0


async def test_mails_wait_for_the_tree_only_where_it_matters(world: World) -> None:
    trees = ["net-next", "net"]
    unmarked = await a_series(world.owner, trees=trees)
    marked = await a_series(world.owner, "s2", trees=trees, marked=True)
    for series in (unmarked, marked):
        await world.look(series)
    assert (await world.plans(unmarked))[0] == ("mail", 0, "waiting")
    assert (await world.plans(marked))[0] == ("mail", 0, "planned")
    await applied(world.owner, unmarked, tree="net")
    await world.look(unmarked)
    row = await world.owner.fetchrow(
        "select state, tree, kind from executor.check_plans where series_id = $1 and lane = 'mail'", unmarked
    )
    assert row is not None
    assert tuple(row) == ("planned", "net", "fixes")


async def test_a_pull_request_is_one_patch(world: World) -> None:
    series = await a_series(world.owner, patches=3, pull_url="https://git.example.org/x.git tag")
    await world.look(series)
    assert set(await world.grid(series)) == {"series_format 0", "verify_signedoff 1", "checkpatch 1", "build_clang 1"}


async def test_by_hand_through_work_that_anybody_may_leave(world: World) -> None:
    series = await a_series(world.owner)
    await applied(world.owner, series)
    await world.look(series)
    for lane in ("mail", "tree", "build"):
        await world.do(lane)
    for _ in range(2):
        async with world.floor.pool.acquire() as conn, conn.transaction():
            await recheck.ask(conn, series, ["checkpatch"], "a flaky tool", "ann")
    work = await claim(world.floor.pool, "checks", [recheck.KIND], world.floor.holder)
    assert work is not None
    await Rechecking(world.floor, world.planner).do(work)
    assert (await world.plans(series))[3:] == [("tree", 1, "planned")]
    assert (await world.grid(series))["checkpatch 1"] == "planned"
    assert await world.owner.fetchval("select count(*) from floor.audit where what = 'recheck' and who = 'ann'") == 2
    await world.do("tree")
    assert await world.runs(series) == [
        ("checks-mail", 0, "done"), ("checks-tree", 0, "done"), ("checks-build", 0, "done"), ("checks-tree", 1, "done"),
    ]  # fmt: skip
    assert await claim(world.floor.pool, "checks", [recheck.KIND], world.floor.holder) is None


async def test_wishes_for_other_checks_are_other_wishes(world: World) -> None:
    series = await a_series(world.owner)
    long = [f"{n:03d}" + "x" * 200 for n in range(3)]
    async with world.floor.pool.acquire() as conn, conn.transaction():
        for names in ([*long, "a"], [*long, "b"], ["b", *long], [], ["a b"], ["a", "b"]):
            await recheck.ask(conn, series, names, "why", "ann")
    rows = await world.owner.fetch("select payload from floor.work where kind = $1", recheck.KIND)
    assert sorted(row["payload"]["checks"] for row in rows) == sorted(
        [[*long, "a"], [*long, "b"], [], ["a b"], ["a", "b"]]
    )


async def test_a_moved_base_is_a_new_attempt(world: World) -> None:
    series = await a_series(world.owner)
    await applied(world.owner, series)
    await world.look(series)
    await applied(world.owner, series, head="c" * 40)
    await handle(world, on_tree(series))
    assert (await world.plans(series))[1:] == [
        ("tree", 0, "cancelled"), ("build", 0, "cancelled"), ("tree", 1, "planned"), ("build", 1, "planned"),
    ]  # fmt: skip
    heads = await world.owner.fetch("select head from executor.check_plans where attempt = 1")
    assert {row["head"] for row in heads} == {"c" * 40}


async def test_the_queue_is_in_order_and_says_when(world: World) -> None:
    flood = [await a_series(world.owner, f"flood{n}", patches=1) for n in range(3)]
    large = await a_series(world.owner, "large", patches=9, author="bob@example.org")
    fix = await a_series(world.owner, "fix", patches=3, author="cat@example.org")
    for series in (*flood, large, fix):
        await applied(world.owner, series, tree="net" if series == fix else "net-next")
        await world.look(series)
    await say_hands(world.floor, {"mail": 2, "tree": 2, "build": 1})
    assert await order(world.floor, "build") == 5
    assert await order(world.floor, "build") == 0
    rows = await world.owner.fetch("select * from executor.check_queue_v where lane = 'build' order by position")
    assert [row["series_id"] for row in rows] == [fix, flood[0], large, flood[1], flood[2]]
    assert [row["position"] for row in rows] == [1, 2, 3, 4, 5]
    starts = [row["expected_start"] for row in rows]
    assert starts == sorted(starts)
    # A build of a patch is taken for two minutes as long as nobody knows better.
    waits = [round((start - starts[0]).total_seconds() / 120) for start in starts]
    assert waits == [0, 3, 4, 13, 14]
    first = await world.take("build")
    assert first is not None
    plan = await world.owner.fetchval("select series_id from executor.check_plans where id = $1", int(first.key))
    assert plan == fix
