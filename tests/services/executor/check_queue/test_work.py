"""Plans worked off: answers one by one, killed and taken over, paused, given up, and dropped while they run."""

import asyncio
from dataclasses import replace

import asyncpg
import pytest

from services.executor.check_queue.work import MOST_BEGUN, MOST_TROUBLES, PAUSE
from services.executor.checking.sink import Task
from services.executor.checks.base import Finding, Said, fail, success, warning
from shared.blobs.disk import DiskBlobs
from shared.db.work import Postpone
from shared.errors import InfraError, Superseded
from shared.formats.check_report import artifact, load
from shared.model.results import Cause, CheckState
from shared.pauses import pause
from tests.services.executor.check_queue.world import World, a_series, applied, becomes, fine, some_settings, until

ALL_MAIL = ("series_format 0", "verify_signedoff 1", "verify_signedoff 2")


async def test_each_answer_is_said_with_its_documents(world: World) -> None:
    series = await a_series(world.owner)
    found = Finding("trailing space", "net/core/dev.c", 3, context=((2, "a"), (3, "b ")))
    answers = {
        0: warning("No cover letter", notes=("judged by the base's scripts",), counts={"patches": 2}),
        1: fail("bad \x1b[31msign", findings=(found,), log="the whole \x00 output\n", files={"diff": b"--- a"}),
        2: success("Signed"),
    }

    async def answer(task: Task) -> Said:
        return answers[task.patch]

    world.script.answer = answer
    await world.look(series)
    await world.do()
    assert await world.said(series) == dict(zip(ALL_MAIL, ("warning", "fail", "success"), strict=True))
    assert await world.grid(series) | dict.fromkeys(ALL_MAIL, "answered") == await world.grid(series)
    assert await world.plans(series) == [("mail", 0, "done"), ("tree", 0, "waiting"), ("build", 0, "waiting")]
    assert await world.runs(series) == [("checks-mail", 0, "done")]
    assert [await world.told("check.done"), await world.told("run.done")] == [3, 1]
    kept = await world.owner.fetch("select name, sha256 from ledger.artifacts order by name")
    names = {row["name"]: row["sha256"] for row in kept}
    assert set(names) == {
        artifact(0, "series_format"), artifact(1, "verify_signedoff"), artifact(1, "verify_signedoff", "log"),
        artifact(1, "verify_signedoff", "files/diff"), artifact(2, "verify_signedoff"),
    }  # fmt: skip
    blobs = DiskBlobs(world.floor.settings.data / "blobs")
    report = load(await blobs.get(names[artifact(1, "verify_signedoff")]))
    assert (report.state, report.findings[0].line, report.log) == ("fail", 3, artifact(1, "verify_signedoff", "log"))
    assert report.files == (artifact(1, "verify_signedoff", "files/diff"),)
    row = await world.owner.fetchrow("select text, link from ledger.checks where patch = 1")
    assert row is not None
    assert (row["text"], row["link"]) == ("bad sign", "")


async def test_durations_are_learned(world: World) -> None:
    await world.look(await a_series(world.owner))
    await world.do()
    rows = await world.owner.fetch("select check_name, runs from executor.check_durations_v")
    assert {row["check_name"]: row["runs"] for row in rows} == {"series_format": 1, "verify_signedoff": 2}


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0, 1e9])
async def test_no_table_takes_a_duration_that_is_none(world: World, seconds: float) -> None:
    for column, statement in (
        ("seconds", "insert into executor.check_durations (project, check_name, seconds) values ('netdev', 'x', $1)"),
        ("seconds", "update executor.check_tasks set seconds = $1"),
        ("expected", "update executor.check_plans set expected = $1 * 'infinity'::real"),
    ):
        await world.look(await a_series(world.owner, f"{column}{len(statement)}"))
        with pytest.raises(asyncpg.CheckViolationError, match=column):
            await world.owner.execute(statement, seconds)


async def test_killed_in_the_middle_it_goes_on_and_says_nothing_twice(world: World) -> None:
    series = await a_series(world.owner, patches=4)
    held = asyncio.Event()

    async def third(task: Task) -> Said:
        if task.patch == 3 and not held.is_set():
            held.set()
            await asyncio.Event().wait()
        return success(f"patch {task.patch}")

    world.script.answer = third
    await world.look(series)
    async with world.going_on():
        await asyncio.wait_for(held.wait(), 30)
        assert (await world.grid(series))["verify_signedoff 3"] == "running"
    assert world.script.running == 0
    await world.do()
    asked = [task.patch for task in world.script.asked if task.check == "verify_signedoff"]
    assert asked == [1, 2, 3, 3, 4]
    assert await world.told("check.done") == 5
    assert await world.runs(series) == [("checks-mail", 0, "done")]


async def test_a_former_owner_is_told_and_writes_nothing(world: World) -> None:
    series = await a_series(world.owner)
    go = asyncio.Event()

    async def slowly(task: Task) -> Said:
        await go.wait()
        return fail("of the former owner")

    world.script.answer = slowly
    await world.look(series)
    async with world.going_on() as former:
        await until(lambda: _is(world.script.running == 1))
        world.script.answer = fine
        await world.do()
        go.set()
        with pytest.raises(Superseded):
            await asyncio.wait_for(asyncio.shield(former), 30)
    assert set((await world.said(series)).values()) == {"success"}
    assert await world.told("check.done") == 3


async def _is(value: bool) -> bool:
    return value


async def test_superseded_while_it_runs_it_ends_at_once(world: World) -> None:
    series = await a_series(world.owner)
    world.script.answer = _for_ever
    await world.look(series)
    async with world.going_on() as going:
        await until(lambda: _is(world.script.running == 1))
        await becomes(world.owner, series, "superseded", "Superseded by v2")
        await world.look(series)
        with pytest.raises(Superseded):
            await asyncio.wait_for(asyncio.shield(going), 5)
    assert world.script.running == 0
    assert await world.plans(series) == [("mail", 0, "cancelled"), ("tree", 0, "cancelled"), ("build", 0, "cancelled")]
    assert await world.runs(series) == [("checks-mail", 0, "abandoned")]
    assert set((await world.grid(series)).values()) == {"cancelled"}
    assert [await world.said(series), await world.open_work()] == [{}, []]


async def _for_ever(task: Task) -> Said:
    await asyncio.Event().wait()
    raise AssertionError


async def test_the_tables_end_it_where_no_event_does(world: World) -> None:
    series = await a_series(world.owner)
    world.script.answer = _for_ever
    await world.look(series)
    async with world.going_on() as going:
        await until(lambda: _is(world.script.running == 1))
        await becomes(world.owner, series, "withdrawn", "Accepted")
        with pytest.raises(Superseded):
            await asyncio.wait_for(asyncio.shield(going), 30)
    assert (await world.plans(series))[0] == ("mail", 0, "cancelled")
    assert await world.runs(series) == [("checks-mail", 0, "abandoned")]


async def test_what_nobody_wants_is_not_begun(world: World) -> None:
    series = await a_series(world.owner)
    await world.look(series)
    await becomes(world.owner, series, "superseded", "Superseded by v2")
    await world.do()
    assert [world.script.asked, await world.runs(series)] == [[], []]
    assert (await world.plans(series))[0] == ("mail", 0, "cancelled")


async def test_our_own_troubles_are_said_of_nobody_and_tried_again(world: World) -> None:
    series = await a_series(world.owner)
    broken = Said(CheckState.FAIL, "no such tool: checkpatch", cause=Cause.INFRA)

    async def answer(task: Task) -> Said:
        return broken if task.patch == 1 else await fine(task)

    world.script.answer = answer
    await world.look(series)
    with pytest.raises(Postpone, match="1 without an answer: no such tool"):
        await world.do()
    assert (await world.grid(series))["verify_signedoff 1"] == "infra"
    assert await world.said(series) == {"series_format 0": "success", "verify_signedoff 2": "success"}
    world.script.answer = fine
    await world.do()
    assert await world.said(series) == dict.fromkeys(ALL_MAIL, "success")
    assert len(world.script.asked) == 4
    assert await world.runs(series) == [("checks-mail", 0, "done")]


async def test_troubles_end_some_time(world: World) -> None:
    series = await a_series(world.owner)

    async def answer(task: Task) -> Said:
        raise InfraError("no cage can be made")

    world.script.answer = answer
    await world.look(series)
    for _ in range(MOST_TROUBLES - 1):
        with pytest.raises(Postpone, match="no cage"):
            await world.do()
    assert await world.why(series, "series_format") == "no cage can be made"
    await world.do()
    assert (await world.plans(series))[0] == ("mail", 0, "done")
    assert {(await world.grid(series))[cell] for cell in ALL_MAIL} == {"infra"}
    assert [await world.said(series), await world.open_work()] == [{}, []]
    run = await world.owner.fetchrow("select state, cause, reason from ledger.runs")
    assert run is not None
    assert tuple(run) == ("done", "infra", "no cage can be made")


async def test_a_question_that_kills_whoever_asks_it_is_given_up(world: World) -> None:
    series = await a_series(world.owner)
    await world.look(series)
    await world.owner.execute(
        "update executor.check_tasks set state = 'running', begun = $1 where check_name = 'series_format'", MOST_BEGUN
    )
    await world.do()
    assert Task("series_format") not in world.script.asked
    assert (await world.grid(series))["series_format 0"] == "infra"
    assert await world.why(series, "series_format") == f"interrupted {MOST_BEGUN} times, not tried again"
    assert (await world.plans(series))[0] == ("mail", 0, "done")


async def test_nor_is_it_asked_when_others_are_tried_again(world: World) -> None:
    series = await a_series(world.owner)
    await world.look(series)
    await world.owner.execute(
        "update executor.check_tasks set state = 'running', begun = $1 where check_name = 'series_format'", MOST_BEGUN
    )

    async def answer(task: Task) -> Said:
        return Said(CheckState.FAIL, "no such tool", cause=Cause.INFRA)

    world.script.answer = answer
    with pytest.raises(Postpone, match="3 without an answer"):
        await world.do()
    world.script.answer = fine
    await world.do()
    assert Task("series_format") not in world.script.asked
    assert [(await world.grid(series))[cell] for cell in ALL_MAIL] == ["infra", "answered", "answered"]


async def test_what_is_pending_is_said_and_settled_by_a_later_attempt(world: World) -> None:
    series = await a_series(world.owner)

    async def answer(task: Task) -> Said:
        return Said(CheckState.PENDING, "asked elsewhere")

    world.script.answer = answer
    await world.look(series)
    await world.do()
    assert set((await world.said(series)).values()) == {"pending"}
    world.script.answer = fine
    async with world.floor.pool.acquire() as conn, conn.transaction():
        assert await world.planner.again(conn, series, [], "now", "ann") == 1
    await world.do()
    assert set((await world.said(series)).values()) == {"success"}


async def test_a_later_attempt_may_say_worse(world: World) -> None:
    series = await a_series(world.owner)
    await world.look(series)
    await world.do()

    async def answer(task: Task) -> Said:
        return fail("after all")

    world.script.answer = answer
    async with world.floor.pool.acquire() as conn, conn.transaction():
        await world.planner.again(conn, series, ["series_format"], "was it right?", "ann")
    await world.do()
    assert (await world.said(series))["series_format 0"] == "fail"


async def test_no_lab_speaks_in_our_place(world: World) -> None:
    series = await a_series(world.owner)
    run = await world.owner.fetchval(
        "insert into ledger.runs (day, project, series_id, remote, executor) "
        "values (current_date, 'netdev', $1, 'lab', 'x') returning id",
        series,
    )
    await world.owner.execute(
        "insert into ledger.checks (series_id, revision, context, project, state, run_id) "
        "values ($1, 1, 'series_format', 'netdev', 'warning', $2)",
        series, run,
    )  # fmt: skip
    await world.look(series)
    await world.do()
    assert (await world.said(series))["series_format 0"] == "success"
    assert (await world.grid(series))["series_format 0"] == "answered"


async def test_paused_it_waits_and_says_why(world: World) -> None:
    series = await a_series(world.owner)
    await world.look(series)
    async with world.owner.acquire() as conn:
        await pause(conn, "executor", PAUSE, "a new compiler", "ann")
    with pytest.raises(Postpone, match="a new compiler"):
        await world.do()
    assert await world.why(series, "series_format") == "paused: a new compiler"
    assert world.script.asked == []


async def test_paused_while_it_runs_the_next_question_waits(world: World) -> None:
    series = await a_series(world.owner)
    go = asyncio.Event()

    async def first(task: Task) -> Said:
        await go.wait()
        return await fine(task)

    world.script.answer = first
    await world.look(series)
    async with world.going_on() as going:
        await until(lambda: _is(world.script.running == 1))
        async with world.owner.acquire() as conn:
            await pause(conn, "executor", PAUSE, "wait", "ann")
        go.set()
        await until(lambda: _said(world, series, 1))
        await asyncio.sleep(0.2)
        assert len(world.script.asked) == 1
        await world.owner.execute("delete from floor.pauses")
        await world.owner.execute("select pg_notify('netci_pauses', '')")
        await asyncio.wait_for(asyncio.shield(going), 30)
    assert len(world.script.asked) == 3


async def _said(world: World, series: int, count: int) -> bool:
    return len(await world.said(series)) == count


async def test_without_room_on_the_disk_nothing_is_begun(world: World) -> None:
    series = await a_series(world.owner)
    await world.look(series)
    full = some_settings(world.floor.settings.data, free=1 << 60)
    with pytest.raises(Postpone, match="MiB free"):
        await World(replace(world.floor, settings=full), world.owner).do()
    assert "MiB free" in await world.why(series, "series_format")


async def test_lanes_do_not_wait_for_one_another(world: World) -> None:
    series = await a_series(world.owner)
    await applied(world.owner, series)
    await world.look(series)
    hold = asyncio.Event()

    async def answer(task: Task) -> Said:
        if task.check == "build_clang":
            await hold.wait()
        return await fine(task)

    world.script.answer = answer
    async with world.going_on("build") as building:
        await until(lambda: _is(world.script.running == 1))
        await world.do("mail")
        await world.do("tree")
        assert sorted(await world.said(series)) == ["checkpatch 1", "checkpatch 2", *ALL_MAIL]
        hold.set()
        await asyncio.wait_for(asyncio.shield(building), 30)
    commits = await world.owner.fetch("select executor, kernel_commit from ledger.runs order by executor")
    assert {row["executor"]: row["kernel_commit"][:1] for row in commits} == {
        "checks-build": "a", "checks-mail": "", "checks-tree": "a",
    }  # fmt: skip
