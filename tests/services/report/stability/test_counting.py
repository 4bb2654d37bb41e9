"""Runs are counted once, in the transaction that sums them, and counting anew gives the same."""

import asyncio
from collections.abc import Sequence
from typing import Any

from services.report.rebuild import rebuild_rollups
from services.report.stability.counting import rebuild_stability
from services.report.store import ReportStore
from shared.db.pool import Pool
from shared.ledger.write import Ending, Ledger, Opening
from shared.model.results import Case, Result
from tests.conftest import Database
from tests.services.report.builders import a_case, a_cut

STORE = ReportStore()


async def a_device_run(
    owner: Pool, branch: str, cases: Sequence[Case], device: dict[str, Any] | None = None, **more: Any
) -> int:
    """A closed run on a branch of its own, not summed yet."""
    cut = await a_cut(owner, name=branch, purpose=more.pop("purpose", "scheduled"))
    opening = Opening("netdev", "metal", "net", "net-next", branch, cut_id=cut, device=device, **more)
    ledger = Ledger("executor")
    async with owner.acquire() as conn, conn.transaction():
        run = await ledger.open(conn, opening)
        await ledger.append(conn, run, cases)
        await ledger.finish(conn, run, Ending())
    return int(run.id)


async def sum_up(pool: Pool, run: int) -> None:
    async with pool.acquire() as conn, conn.transaction():
        await STORE.roll_up_run(conn, run)


async def table(owner: Pool) -> list[dict[str, Any]]:
    rows = await owner.fetch("""
        select t.name as test, u.name as subtest, s.autoignore, s.pass_cnt, s.fail_cnt, s.pass_srk,
               s.fail_srk, s.pass_cur, s.fail_cur, s.broken_cur, s.last_update, s.passing
        from report.stability s join ledger.names t on t.id = s.test join ledger.names u on u.id = s.subtest
        order by test, subtest""")
    return [dict(row) for row in rows]


def seen(rows: list[dict[str, Any]]) -> list[tuple[str, str, bool, int, int]]:
    return [(r["test"], r["subtest"], r["autoignore"], r["pass_cnt"], r["fail_cnt"]) for r in rows]


SUB = Case("selftests-net", "tls", Result.FAIL, subtest="12_gcm")


async def test_a_run_is_counted_once_however_often_it_is_summed(database: Database) -> None:
    owner, report = await database.pool(), await database.pool("report")
    run = await a_device_run(owner, "b-1", [a_case("tls"), SUB, a_case("udp", "skip")], {"nic": "cx7"})
    await asyncio.gather(*(sum_up(report, run) for _ in range(3)))
    await owner.execute("delete from report.rollups")
    async with owner.acquire() as conn:
        await rebuild_rollups(conn, lambda run: None)
    assert seen(await table(owner)) == [("tls", "", True, 1, 0), ("tls", "12_gcm", True, 0, 1)]


async def test_runs_of_a_lab_that_end_together_lose_no_count(database: Database) -> None:
    owner, report = await database.pool(), await database.pool("report", size=6)
    runs = [await a_device_run(owner, f"b-{n}", [a_case("tls")]) for n in range(6)]
    await asyncio.gather(*(sum_up(report, run) for run in runs))
    assert seen(await table(owner)) == [("tls", "", False, 6, 0)]


async def test_counting_anew_gives_the_same(database: Database) -> None:
    owner, report = await database.pool(), await database.pool("report")
    for n in range(20):
        cases = [a_case("tls", "fail" if n == 18 else "pass"), a_case("udp", "fail"), a_case("udp", "pass", attempt=1)]
        await sum_up(report, await a_device_run(owner, f"b-{n}", cases, {"nic": "cx7"}))
    before = await table(owner)
    assert seen(before) == [("tls", "", True, 19, 1), ("udp", "", True, 0, 20)]
    assert before[0]["passing"] is not None
    await owner.execute("update report.stability set pass_cnt = 99")
    async with report.acquire() as conn:
        assert await rebuild_stability(conn) == 20
        assert await rebuild_stability(conn) == 20
    assert await table(owner) == before


async def test_what_an_import_brought_is_where_counting_anew_begins(database: Database) -> None:
    owner, report = await database.pool(), await database.pool("report")
    await sum_up(report, await a_device_run(owner, "b-1", [a_case("tls")]))
    await owner.execute(
        "insert into report.stability_brought (remote, executor, grp, test, subtest, autoignore, pass_cnt, pass_cur) "
        "select 'metal', 'net', grp, test, subtest, true, 15, 15 from report.stability"
    )
    async with report.acquire() as conn:
        assert await rebuild_stability(conn) == 1
    found = (await table(owner))[0]
    assert (found["autoignore"], found["pass_cnt"], found["pass_cur"]) == (True, 16, 16)
    assert found["passing"] is not None


async def test_trials_and_tries_count_for_nothing(database: Database) -> None:
    owner, report = await database.pool(), await database.pool("report")
    hidden: list[dict[str, Any]] = [{"trial": True}, {"visibility": "operator"}, {"purpose": "try"}]
    for n, more in enumerate(hidden):
        await sum_up(report, await a_device_run(owner, f"b-{n}", [a_case("tls")], {"nic": "x"}, **more))
    assert await table(owner) == []
    async with report.acquire() as conn:
        assert await rebuild_stability(conn) == 0
    assert await owner.fetch("select * from report.devices") == []


async def test_a_device_is_noted_when_it_says_something_new(database: Database) -> None:
    owner, report = await database.pool(), await database.pool("report")
    for n, device in enumerate(({"nic": "a", "fw": "1"}, {"fw": "1", "nic": "a"}, None, {"nic": "b"})):
        await sum_up(report, await a_device_run(owner, f"b-{n}", [a_case("tls")], device))
    rows = await owner.fetch("select info from report.devices order by changed")
    assert [row["info"] for row in rows] == [{"nic": "a", "fw": "1"}, {"nic": "b"}]
