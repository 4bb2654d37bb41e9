"""What each test came to is kept once, however often and by however many its run is summed."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from services.report.deciding import Deciding
from services.report.intents import Intents
from services.report.reconcile import Reconciling
from services.report.rollup import outcomes
from services.report.store import ReportStore
from shared.db.pool import Pool
from shared.model.results import Case
from tests.conftest import Database, FloorFor
from tests.services.report.builders import a_case, a_cut, a_run, some_settings

STORE = ReportStore()
MONDAY = datetime(2026, 11, 23, 0, 30, tzinfo=UTC)
SUNDAY = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)


async def summed(pool: Pool, run: int) -> None:
    async with pool.acquire() as conn, conn.transaction():
        await STORE.roll_up_run(conn, run)


async def kept(owner: Pool) -> list[tuple[str, str]]:
    rows = await owner.fetch(
        "select t.name, o.outcome from report.outcomes o join ledger.names t on t.id = o.test order by o.run_id, t.name"
    )
    return [(row["name"], row["outcome"]) for row in rows]


async def weeks(owner: Pool) -> list[tuple[str, str, int, int, int]]:
    rows = await owner.fetch(
        "select w.week, t.name, w.runs, w.fails, w.flakes from report.test_weeks w "
        "join ledger.names t on t.id = w.test order by w.week, t.name"
    )
    return [(str(r["week"]), r["name"], r["runs"], r["fails"], r["flakes"]) for r in rows]


def some_cases() -> list[Case]:
    return [
        a_case("tls", "fail"), a_case("tls", "pass", attempt=1), a_case("udp", "fail"), a_case("gro", "pass"),
        a_case("psp", "skip"), a_case("x", "fail", cause="infra"), replace(a_case("gro", "fail"), subtest="large"),
    ]  # fmt: skip


async def a_summed_run(
    owner: Pool, report: Pool, cases: Sequence[Case], slot: datetime, purpose: str = "scheduled"
) -> int:
    number = await owner.fetchval("select count(*) from branch.cuts")
    cut = await a_cut(owner, name=f"net-next-{number}", announced=slot, purpose=purpose)
    at = slot + timedelta(minutes=number)
    await owner.execute("update branch.cuts set slot = $2 where id = $1", cut, at)
    run = await a_run(owner, cut, cases)
    await summed(report, run.id)
    return int(run.id)


async def test_what_each_test_came_to_is_kept_with_its_week(database: Database) -> None:
    owner, report = await database.pool(), await database.pool("report")
    await a_summed_run(owner, report, some_cases(), MONDAY)
    assert await kept(owner) == [
        ("gro", "pass"), ("psp", "skip"), ("tls", "flaky"), ("udp", "fail"), ("x", "infra"),
    ]  # fmt: skip
    assert await weeks(owner) == [
        ("2026-11-23", "gro", 1, 0, 0), ("2026-11-23", "psp", 0, 0, 0), ("2026-11-23", "tls", 1, 0, 1),
        ("2026-11-23", "udp", 1, 1, 0), ("2026-11-23", "x", 0, 0, 0),
    ]  # fmt: skip


async def test_weeks_begin_on_monday_in_utc(database: Database) -> None:
    owner, report = await database.pool(), await database.pool("report")
    for slot in (SUNDAY, MONDAY):
        await a_summed_run(owner, report, [a_case("tls")], slot)
    assert [row[0] for row in await weeks(owner)] == ["2026-11-16", "2026-11-23"]


async def test_summing_again_and_side_by_side_counts_once(database: Database) -> None:
    owner, report = await database.pool(), await database.pool("report", size=6)
    runs = [await a_summed_run(owner, report, some_cases(), MONDAY) for _ in range(3)]
    before = await weeks(owner), await kept(owner)
    await asyncio.gather(*(summed(report, run) for run in runs for _ in range(4)))
    assert (await weeks(owner), await kept(owner)) == before
    assert before[0][2] == ("2026-11-23", "tls", 3, 0, 3)


async def test_a_result_that_is_corrected_leaves_the_week_it_was_in(database: Database) -> None:
    owner, report = await database.pool(), await database.pool("report")
    run = await a_summed_run(owner, report, [a_case("tls", "fail")], MONDAY)
    await owner.execute("update ledger.cases set result = 'pass' where run_id = $1", run)
    await summed(report, run)
    assert await weeks(owner) == [("2026-11-23", "tls", 1, 0, 0)]


async def test_tries_and_what_is_not_public_are_kept_nowhere(database: Database) -> None:
    owner, report = await database.pool(), await database.pool("report")
    await a_summed_run(owner, report, some_cases(), MONDAY, purpose="try")
    hidden = await a_summed_run(owner, report, some_cases(), MONDAY)
    await owner.execute("update ledger.runs set visibility = 'operator' where id = $1", hidden)
    await summed(report, hidden)
    assert await kept(owner) == []
    assert {row[2:] for row in await weeks(owner)} == {(0, 0, 0)}


async def test_runs_summed_by_an_older_netci_are_asked_for(database: Database, floor_for: FloorFor) -> None:
    owner = await database.pool()
    run = await a_run(owner, await a_cut(owner), [a_case("tls")])
    await owner.execute(
        "insert into report.rollups (run_id, tests, passed, failed, skipped, warned, flaky, infra) "
        "values ($1, 1, 1, 0, 0, 0, 0, 0)", run.id,
    )  # fmt: skip
    floor = await floor_for("report", some_settings())
    settings = floor.settings
    await Reconciling(floor, Deciding(settings), Intents(settings)).once()
    assert await owner.fetchval("select payload from floor.work where kind = 'roll-up'") == {"run": run.id}
    await summed(floor.pool, run.id)
    await owner.execute("delete from floor.work")
    await Reconciling(floor, Deciding(settings), Intents(settings)).once()
    assert await owner.fetchval("select count(*) from floor.work where kind = 'roll-up'") == 0


def test_seconds_are_those_of_the_attempt_that_counts_and_crashes_of_all() -> None:
    first = replace(a_case("tls", "fail", crash=True), seconds=9.0)
    (one,) = outcomes([replace(a_case("tls", attempt=1), seconds=2.0), first])
    assert (one.word, one.seconds, one.crashes) == ("fail", 2.0, ("WARNING: net/core/dev.c",))
