"""Report as a whole, from what the other rooms record to the checks on Patchwork."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from services.report.app import ReportRoom
from services.report.by_hand import Word, say
from services.report.deciding import Deciding
from services.report.rebuild import rebuild_rollups
from services.report.store import SQL
from shared.db.pool import connect
from shared.ledger.write import Ending
from shared.model.results import CheckState
from shared.pauses import pause, resume
from shared.practice.patchwork.changes import post_check
from tests.services.report.builders import (
    a_case,
    a_cut,
    a_run,
    a_series,
    an_outcome,
    announce,
    end,
    leave,
    start,
    supersede,
)
from tests.services.report.conftest import World, WorldFor

BRANCH = "net-next-2026-11-23--09-00"


async def said(world: World, series: int, context: str = "contest") -> tuple[str, str] | None:
    row = await world.owner.fetchrow(
        "select state, text from report.verdicts where series_id = $1 and context = $2", series, context
    )
    return (row["state"], row["text"]) if row else None


def checks(world: World, patch: int) -> list[tuple[str, str, str | None]]:
    return [(c.context, c.state, c.description) for c in world.site.patchwork.checks_of(patch)]


async def test_a_green_branch_is_success_on_every_patch_of_every_series_once(world_for: WorldFor) -> None:
    world = await world_for()
    one, two = await a_series(world.owner, patches=(1, 2)), await a_series(world.owner, patches=(3,))
    cut = await a_cut(world.owner, [one, two])
    async with world.report():
        await a_run(world.executor, cut, [a_case("tls"), a_case("udp")])
        await world.settled(3)
    assert world.posted() == {(n, "contest", "success"): 1 for n in (1, 2, 3)}
    assert checks(world, 2) == [("contest", "success", f"{BRANCH} (tests: 2)")]
    check = world.site.patchwork.checks_of(1)[0]
    assert check.target_url == "https://ci.example.org/series/series-1@example.org"
    events = await world.owner.fetch("select type, body from floor.events where type like '%verdict%'")
    assert [(e["body"]["data"]["state"], e["body"]["data"]["before"]) for e in events] == [("success", "")] * 2


async def test_red_is_pending_and_the_next_green_branch_makes_it_success(world_for: WorldFor) -> None:
    world = await world_for()
    series = await a_series(world.owner)
    async with world.report():
        red = await a_cut(world.owner, [series])
        await a_run(world.executor, red, [a_case("tls", "fail"), a_case("udp")])
        await world.settled(1)
        again = await a_cut(world.owner, [series], name="net-next-2026-11-23--12-00")
        await a_run(world.executor, again, [a_case("tls", "fail"), a_case("udp")])
        await world.until("select state from report.branches where cut_id = $1", "red", again)
        green = await a_cut(world.owner, [series], name="net-next-2026-11-23--15-00")
        await a_run(world.executor, green, [a_case("tls")])
        await world.settled(2)
    assert checks(world, 1) == [
        ("contest", "pending", f"{BRANCH} (tests: 2, failing: 1)"),
        ("contest", "success", "net-next-2026-11-23--15-00 (tests: 1)"),
    ]


async def test_a_conflict_is_posted_at_the_cut_and_names_the_rival(world_for: WorldFor) -> None:
    world = await world_for()
    one = await a_series(world.owner, "tcp: be quick", patches=(1,))
    two = await a_series(world.owner, "tcp: be slow", patches=(2,))
    cut = await a_cut(world.owner, [one])
    await leave(world.owner, cut, two, rival=one)
    async with world.report():
        async with world.owner.acquire() as conn, conn.transaction():
            await announce(conn, cut)
        await world.settled(1)
    assert checks(world, 1) == []
    text = (
        f"Conflicts with pending/net patches ({BRANCH}): patch 1 of this series (tcp: be slow, part 1) in "
        "net/ipv4/tcp.c, with series 'tcp: be quick' (series-1@example.org)"
    )
    assert checks(world, 2) == [("contest", "fail", text)]


async def test_a_flake_counts_as_pass_and_is_counted(world_for: WorldFor) -> None:
    world = await world_for()
    cut = await a_cut(world.owner, [await a_series(world.owner)])
    async with world.report():
        await a_run(world.executor, cut, [a_case("tls", "fail"), a_case("tls", "pass", attempt=1)])
        await world.settled(1)
    assert world.posted() == {(1, "contest", "success"): 1}
    assert await world.owner.fetchval("select flaky from report.branches") == 1
    assert await world.owner.fetchval("select flakes->0->>'test' from report.rollups") == "tls"


async def test_executors_that_do_not_count_are_neither_waited_for_nor_heard(world_for: WorldFor) -> None:
    world = await world_for()
    cut = await a_cut(world.owner, [await a_series(world.owner)])
    async with world.report():
        await a_run(world.executor, cut, [a_case("tls", "fail")], remote="new")
        await a_run(world.executor, cut, [a_case("tls")])
        await world.settled(1)
    assert world.posted() == {(1, "contest", "success"): 1}


async def test_a_silent_lab_is_waited_for_then_named(world_for: WorldFor) -> None:
    world = await world_for(labs=2)
    series = await a_series(world.owner)
    cut = await a_cut(world.owner, [series], announced=datetime.now(UTC))
    async with world.report():
        await a_run(world.executor, cut, [a_case("tls")])
        await world.until("select missing::text from report.branches", "{}")
        await world.until("select state from report.branches", "waiting")
        assert await said(world, series) is None
        # Its time is up: expected end and grace lie behind us now.
        await start(world.executor, cut, "wood", "drv", datetime.now(UTC) - timedelta(hours=1))
        await world.settled(1)
    assert checks(world, 1) == [("contest", "success", f"{BRANCH} (tests: 1), without wood")]


async def test_a_wait_that_ends_is_noticed_without_any_event(world_for: WorldFor) -> None:
    world = await world_for()
    nearly_over = datetime.now(UTC) - timedelta(hours=3, minutes=30) + timedelta(seconds=1)
    await a_cut(world.owner, [await a_series(world.owner)], announced=nearly_over)
    async with world.report():
        await world.until("select state from report.branches", "waiting")
        await world.until("select state from report.branches", "infra")
    assert await world.owner.fetchval("select missing from report.branches") == ["metal"]
    assert world.posted() == {}


async def test_infra_posts_nothing(world_for: WorldFor) -> None:
    world = await world_for()
    series = await a_series(world.owner)
    cut = await a_cut(world.owner, [series])
    async with world.report():
        run = await start(world.executor, cut)
        await end(world.executor, run, [a_case("tls", "fail")], Ending("abandoned", "infra", "host vm1 is gone"))
        await world.until("select state from report.branches", "infra")
    assert await said(world, series) is None
    assert world.posted() == {}


async def test_tree_selection_and_apply(world_for: WorldFor) -> None:
    world = await world_for()
    good, bad = await a_series(world.owner, patches=(1,)), await a_series(world.owner, patches=(2, 3))
    seen = await a_series(world.owner, patches=(4,), state="ignored", reason="Series ignored based on subject")
    await an_outcome(world.owner, good)
    await an_outcome(world.owner, bad, "refused", patch_number=2, files=["net/ipv4/tcp.c", "a", "b", "c"])
    async with world.report():
        await world.settled(7)
        assert await said(world, seen, "tree_selection") == ("success", "Series ignored based on subject")
        await an_outcome(world.owner, bad)  # The tree moved, and now it applies.
    async with world.report():
        await world.settled(9)
    assert checks(world, 1) == [
        ("tree_selection", "success", "Clearly marked for net-next"),
        ("apply", "success", "Applies to net-next"),
    ]
    refused = "Patch 2 does not apply to net-next: net/ipv4/tcp.c, a, b and 1 more"
    for patch in (2, 3):
        assert checks(world, patch)[1:] == [("apply", "fail", refused), ("apply", "success", "Applies to net-next")]


async def test_a_superseded_series_is_told_nothing_more(world_for: WorldFor) -> None:
    world = await world_for()
    old, new = await a_series(world.owner, patches=(1,)), await a_series(world.owner, patches=(2,))
    cut = await a_cut(world.owner, [old, new])
    async with world.report():
        run = await start(world.executor, cut)
        await supersede(world.owner, old)
        await end(world.executor, run, [a_case()])
        await world.settled(1)
    assert world.posted() == {(2, "contest", "success"): 1}
    assert await said(world, old) is None


async def test_an_intent_written_before_the_new_version_came_is_dropped_at_its_sending(world_for: WorldFor) -> None:
    world = await world_for()
    series = await a_series(world.owner)
    cut = await a_cut(world.owner, [series])
    async with world.owner.acquire() as conn:
        await pause(conn, "post", "net-next", "looking into it", "ann")
    async with world.report():
        await a_run(world.executor, cut, [a_case()])
        await world.until("select status from report.posts", "intent")
        await supersede(world.owner, series)
        async with world.owner.acquire() as conn:
            assert await resume(conn, "post", "net-next", "found it", "ann")
        await world.until("select status from report.posts", "dropped")
    assert world.posted() == {}


async def test_a_pause_holds_posts_back_and_resume_lets_them_go(world_for: WorldFor) -> None:
    world = await world_for()
    series = await a_series(world.owner)
    await an_outcome(world.owner, series)
    async with world.owner.acquire() as conn:
        await pause(conn, "post", "net-next", "the lab moves", "ann")
    cut = await a_cut(world.owner, [series])
    async with world.report():
        await a_run(world.executor, cut, [a_case()])
        await world.until("select count(*) from report.posts where status = 'posted'", 2)
        await world.until("select count(*) from report.posts where status = 'intent'", 1)
        async with world.owner.acquire() as conn:
            await resume(conn, "post", "net-next", "moved", "ann")
        await world.settled(3)
    assert world.posted()[1, "contest", "success"] == 1


async def test_shadow_posts_nothing_and_records_what_others_say(world_for: WorldFor) -> None:
    world = await world_for(post="shadow")
    pw = world.site.patchwork
    post_check(pw, pw.patches[1], pw.user("maintainer"), {"state": "warning", "context": "contest"}, False)
    before = world.posted()
    cut = await a_cut(world.owner, [await a_series(world.owner)])
    async with world.report():
        await a_run(world.executor, cut, [a_case()])
        await world.settled(1)
    assert world.posted() == before
    assert len(pw.checks) == 1
    assert await world.owner.fetchval("select status from report.posts") == "shadowed"
    assert await world.owner.fetchval("select found from report.posts") == "maintainer: warning"


async def test_after_shadow_comes_on_and_what_stands_is_posted(world_for: WorldFor) -> None:
    world = await world_for(post="shadow")
    cut = await a_cut(world.owner, [await a_series(world.owner)])
    async with world.report():
        await a_run(world.executor, cut, [a_case()])
        await world.settled(1)
    on = await world_for(post="on")
    async with on.report():
        await on.settled(2)
    assert on.posted() == {(1, "contest", "success"): 1}


async def test_post_off_decides_and_asks_nothing(world_for: WorldFor) -> None:
    world = await world_for(post="off")
    series = await a_series(world.owner)
    cut = await a_cut(world.owner, [series])
    async with world.report():
        await a_run(world.executor, cut, [a_case()])
        await world.until("select state from report.verdicts", "success")
    assert world.site.counters.total == 0
    assert await world.owner.fetchval("select count(*) from report.posts") == 0


async def test_a_verdict_set_by_hand_is_posted_and_stays(world_for: WorldFor) -> None:
    world = await world_for()
    series = await a_series(world.owner)
    cut = await a_cut(world.owner, [series])
    async with world.report():
        await a_run(world.executor, cut, [a_case("tls", "fail")])
        await world.settled(1)
        async with world.owner.acquire() as conn, conn.transaction():
            word = Word("series-1@example.org", "contest", CheckState.SUCCESS, "tls fails for all", "ann")
            await say(conn, world.floor.settings, word, datetime.now(UTC))
        await world.settled(2)
        after = await a_cut(world.owner, [series], name="net-next-2026-11-23--12-00")
        await a_run(world.executor, after, [a_case("tls", "fail")])
        await world.until("select state from report.branches where cut_id = $1", "red", after)
    assert [c[1:] for c in checks(world, 1)] == [
        ("pending", f"{BRANCH} (tests: 1, failing: 1)"),
        ("success", "Set by ann: tls fails for all"),
    ]


async def test_a_base_cut_is_folded_and_nobody_is_told(world_for: WorldFor) -> None:
    world = await world_for()
    cut = await a_cut(world.owner, [await a_series(world.owner)], purpose="base")
    async with world.report():
        await a_run(world.executor, cut, [a_case("tls", "fail")])
        await world.until("select state from report.branches", "red")
    assert world.posted() == {}


async def test_losing_every_queue_costs_nothing_but_time(world_for: WorldFor) -> None:
    world = await world_for()
    series = await a_series(world.owner)
    await an_outcome(world.owner, series)
    cut = await a_cut(world.owner, [series])
    await a_run(world.executor, cut, [a_case()])
    await world.owner.execute("truncate floor.outbox, floor.inbox, floor.queues cascade")
    async with world.report():
        await world.settled(3)
    assert set(world.posted()) == {(1, c, "success") for c in ("tree_selection", "apply", "contest")}


async def test_a_second_fold_changes_and_posts_nothing(world_for: WorldFor) -> None:
    world = await world_for()
    cut = await a_cut(world.owner, [await a_series(world.owner)])
    async with world.report():
        await a_run(world.executor, cut, [a_case()])
        await world.settled(1)
    async with AsyncExitStack() as stack:
        conn = await connect(world.floor.dsn, "report")
        stack.push_async_callback(conn.close)
        before = await conn.fetchrow("select * from report.verdicts")
        async with conn.transaction():
            await Deciding(world.floor.settings).branch(conn, cut, datetime.now(UTC))
        assert await conn.fetchrow("select * from report.verdicts") == before
        assert await conn.fetchval("select count(*) from report.posts") == 1


async def test_many_runs_that_end_together_are_folded_few_times(world_for: WorldFor) -> None:
    world = await world_for()
    cut = await a_cut(world.owner, [await a_series(world.owner)])
    for n in range(20):
        await a_run(world.executor, cut, [a_case()], remote="new", executor=f"x{n}")
    await a_run(world.executor, cut, [a_case()])
    async with world.report():
        await world.settled(1)
        await world.until("select count(*) from floor.inbox where state = 'due'", 0)
    assert world.posted() == {(1, "contest", "success"): 1}
    assert await world.owner.fetchval("select count(*) from report.rollups") == 21


async def test_rollups_can_be_rebuilt(world_for: WorldFor) -> None:
    world = await world_for()
    cut = await a_cut(world.owner, [await a_series(world.owner)])
    async with world.report():
        await a_run(world.executor, cut, [a_case("tls", "fail"), a_case("udp")])
        await world.settled(1)
    query = "select run_id, cut_id, tests, passed, failed, failing from report.rollups"
    before = await world.owner.fetch(query)
    await world.owner.execute("delete from report.rollups")
    async with world.owner.acquire() as conn:
        assert await rebuild_rollups(conn, lambda run: None) == 1
    assert await world.owner.fetch(query) == before


async def test_every_statement_is_understood_with_the_rights_of_report(world_for: WorldFor) -> None:
    world = await world_for()
    owners = {"retry_refused", "replay_work"}
    async with world.floor.pool.acquire() as conn:
        for name in SQL.keys() - owners:
            await conn.prepare(SQL[name])


async def test_the_whole_room_becomes_ready_pages_and_all(world_for: WorldFor) -> None:
    world = await world_for()
    floor = world.floor
    quiet = floor.settings.model_copy(update={"web": floor.settings.web.model_copy(update={"listen": "127.0.0.1:0"})})
    cut = await a_cut(world.owner, [await a_series(world.owner)])
    ready = asyncio.Event()
    running = asyncio.ensure_future(ReportRoom(replace(floor, settings=quiet)).run(ready.set))
    try:
        async with asyncio.timeout(10):
            await ready.wait()
        await a_run(world.executor, cut, [a_case()])
        await world.settled(1)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert world.posted() == {(1, "contest", "success"): 1}
