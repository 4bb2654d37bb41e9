"""A known issue comes, is met, and goes: branches are judged again, and everything is kept."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.report.deciding import Deciding
from services.report.known import store
from services.report.known.rules import KnownIssue
from services.report.store import ReportStore
from shared.db.pool import Pool
from shared.errors import Missing, Refused
from shared.floor import Floor
from tests.conftest import Database, FloorFor
from tests.services.report.builders import a_case, a_cut, a_run, a_series, some_settings

NOW = datetime.now(UTC)


def an_issue(**more: Any) -> KnownIssue:
    values: dict[str, Any] = {
        "project": "netdev", "reason": "bug 4711", "owner": "ann", "expires": NOW + timedelta(days=9), "test": "udp*",
    }  # fmt: skip
    return KnownIssue(**values | more)


@pytest.fixture
async def floor(database: Database, floor_for: FloorFor) -> Floor:
    return await floor_for("report", some_settings())


async def added(floor: Floor, **more: Any) -> int:
    async with floor.pool.acquire() as conn, conn.transaction():
        return await store.add(conn, an_issue(**more), "ann", NOW)


async def work_off(floor: Floor, cut: int) -> tuple[str, str]:
    """What report's work does after a rule came or went; what the branch and its series are told."""
    async with floor.pool.acquire() as conn, conn.transaction():
        runs = await conn.fetch("delete from floor.work where kind = 'roll-up' returning payload")
        for run in runs:
            assert run["payload"]["fold"]
            assert await ReportStore().roll_up_run(conn, run["payload"]["run"]) == cut
        await Deciding(floor.settings).branch(conn, cut, datetime.now(UTC))
    row = await floor.pool.fetchrow("select state, text from report.branches where cut_id = $1", cut)
    assert row is not None
    return row["state"], row["text"]


async def a_red_branch(owner: Pool, floor: Floor) -> tuple[int, int]:
    series = await a_series(owner)
    cut = await a_cut(owner, [series], announced=NOW - timedelta(hours=2))
    await owner.execute("update branch.cuts set slot = announced where id = $1", cut)
    await a_run(owner, cut, [a_case("tls"), a_case("udpgso", "fail")])
    async with floor.pool.acquire() as conn, conn.transaction():
        await Deciding(floor.settings).branch(conn, cut, datetime.now(UTC))
    return series, cut


async def verdict(owner: Pool, series: int) -> str:
    return str(
        await owner.fetchval("select state from report.verdicts where series_id = $1 and context = 'contest'", series)
    )


async def test_a_known_failure_does_not_hold_its_branch_back(database: Database, floor: Floor) -> None:
    owner = await database.pool()
    series, cut = await a_red_branch(owner, floor)
    assert await verdict(owner, series) == "pending"
    number = await added(floor)
    state, text = await work_off(floor, cut)
    assert state == "success"
    assert text.endswith("(tests: 2, known: 1)")
    assert await verdict(owner, series) == "success"
    (row,) = await store.listed(floor.pool, "netdev", NOW)
    assert (row["id"], row["hits"], row["active"], row["idle"]) == (number, 1, True, False)
    reasons = await owner.fetchval("select reasons from report.branches where cut_id = $1", cut)
    assert {
        "rule": "known",
        "text": f"metal/net: 1 known, not counted: selftests-net/udpgso (issue {number})",
    } in reasons


async def test_a_rule_that_goes_lets_its_failures_count_again(database: Database, floor: Floor) -> None:
    owner = await database.pool()
    _, cut = await a_red_branch(owner, floor)
    number = await added(floor)
    await work_off(floor, cut)
    async with floor.pool.acquire() as conn, conn.transaction():
        await store.end(conn, number, "ann", "mended", NOW)
    assert (await work_off(floor, cut))[0] == "red"
    assert await store.listed(floor.pool, "netdev", NOW) == []
    (row,) = await store.listed(floor.pool, "netdev", NOW, over=True)
    assert (row["active"], row["ended_by"], row["hits"]) == (False, "ann", 0)
    with pytest.raises(Refused, match="over already"):
        async with floor.pool.acquire() as conn, conn.transaction():
            await store.end(conn, number, "ann", "", NOW)
    with pytest.raises(Missing):
        async with floor.pool.acquire() as conn, conn.transaction():
            await store.end(conn, 999, "ann", "", NOW)
    audit = await owner.fetch("select who, what, subject, why from floor.audit order by id")
    assert [tuple(a) for a in audit] == [
        ("ann", "known issue added", f"known/{number}", "bug 4711"),
        ("ann", "known issue ended", f"known/{number}", "mended"),
    ]  # fmt: skip


async def test_what_is_out_of_date_or_of_another_project_matches_nothing(database: Database, floor: Floor) -> None:
    owner = await database.pool()
    await added(floor, project="bpf")
    old = await added(floor)
    await owner.execute(
        "update report.known_issues set expires = now() - interval '1 hour', made = now() - interval '9 days' "
        "where id = $1",
        old,
    )
    _, cut = await a_red_branch(owner, floor)
    assert (await work_off(floor, cut))[0] == "red"


async def test_a_rule_is_tried_before_it_is_kept(database: Database, floor: Floor) -> None:
    owner = await database.pool()
    await a_red_branch(owner, floor)
    other = await a_cut(owner, name="net-next-2026-11-23--12-00", announced=NOW - timedelta(hours=1))
    await owner.execute("update branch.cuts set slot = announced where id = $1", other)
    await a_run(owner, other, [a_case("psp", "fail"), a_case("udp", "fail")])
    async with floor.pool.acquire() as conn, conn.transaction():
        await Deciding(floor.settings).branch(conn, other, datetime.now(UTC))
    tried = await store.try_on(floor.pool, an_issue(), NOW)
    assert {k: tried[k] for k in ("failures", "hits", "branches", "turned")} == {
        "failures": 3, "hits": 2, "branches": 2, "turned": 1,
    }  # fmt: skip
    assert await store.listed(floor.pool, "netdev", NOW) == []
    with pytest.raises(Refused):
        await store.try_on(floor.pool, an_issue(test="*"), NOW)


async def test_one_that_matches_nothing_for_two_weeks_is_said_to(database: Database, floor: Floor) -> None:
    await added(floor)
    assert await store.listed(floor.pool, "", NOW + timedelta(days=15)) == []
    owner = await database.pool()
    await owner.execute("update report.known_issues set expires = made + interval '99 days'")
    (row,) = await store.listed(floor.pool, "", NOW + timedelta(days=15))
    assert (row["active"], row["idle"]) == (True, True)


async def test_summing_an_old_run_again_finds_what_was_known_then(database: Database, floor: Floor) -> None:
    owner = await database.pool()
    _, cut = await a_red_branch(owner, floor)
    number = await added(floor)
    await work_off(floor, cut)
    # Ten days go by, and the rule is ended.
    for table, columns in (("ledger.runs", ("started", "ended")), ("report.known_issues", ("made",))):
        for column in columns:
            await owner.execute(f"update {table} set {column} = {column} - interval '10 days'")
    async with floor.pool.acquire() as conn, conn.transaction():
        await store.end(conn, number, "ann", "mended", NOW)
        run = await conn.fetchval("select id from ledger.runs where cut_id = $1", cut)
        await ReportStore().roll_up_run(conn, run)
    assert await owner.fetchval("select known from report.rollups where run_id = $1", run) == 1
