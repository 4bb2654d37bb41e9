"""The ledger: idempotent, fenced, RunDone once, progress seldom, names that the database can hold."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.db.pool import Connection, Pool
from shared.errors import Superseded
from shared.ledger import Ending, Ledger, Opening, OpenRun
from shared.model.results import Case, Cause, Result
from tests.conftest import Database

LEDGER = Ledger("executor")


def an_opening(**changes: Any) -> Opening:
    base = Opening(
        project="netdev", remote="lab", executor="vm", stream="net-next", branch="net-next-2026-11-23--09-00",
        cut_id=1, lease_number=5, planned=3,
    )  # fmt: skip
    return replace(base, **changes)


def a_case(test: str = "ping", result: Result = Result.PASS, **changes: Any) -> Case:
    return replace(Case("selftests-net", test, result), **changes)


async def opened(pool: Pool, opening: Opening) -> OpenRun:
    async with pool.acquire() as conn, conn.transaction():
        return await LEDGER.open(conn, opening)


async def append(pool: Pool, run: OpenRun, *cases: Case) -> None:
    async with pool.acquire() as conn, conn.transaction():
        await LEDGER.append(conn, run, cases)


async def finish(pool: Pool, run: OpenRun, ending: Ending | None = None) -> bool:
    async with pool.acquire() as conn, conn.transaction():
        return await LEDGER.finish(conn, run, ending or Ending())


async def staged(pool: Pool, kind: str) -> list[dict[str, Any]]:
    rows = await pool.fetch("select body from floor.outbox where type = $1 order by id", f"dev.netci.{kind}.v1")
    return [row["body"]["data"] for row in rows]


@pytest.fixture
async def pool(database: Database) -> Pool:
    return await database.pool("executor", size=8)


async def test_a_repeated_opening_finds_its_run(pool: Pool) -> None:
    first = await opened(pool, an_opening())
    again = await opened(pool, an_opening())
    assert (first.fresh, again.fresh) == (True, False)
    assert (first.id, first.day) == (again.id, again.day)
    assert len(await staged(pool, "run.started")) == 1


async def test_many_openings_at_once_make_one_run(pool: Pool) -> None:
    runs = await asyncio.gather(*(opened(pool, an_opening(lease_number=n)) for n in (5, 5, 5, 5, 5, 5)))
    assert len({run.id for run in runs}) == 1
    assert sum(run.fresh for run in runs) == 1
    assert len(await staged(pool, "run.started")) == 1


async def test_the_runs_day_is_the_servers_and_has_a_partition(pool: Pool) -> None:
    run = await opened(pool, an_opening())
    await append(pool, run, a_case())
    assert run.day == (await pool.fetchval("select (now() at time zone 'utc')::date"))
    part = await pool.fetchval("select tableoid::regclass::text from ledger.cases")
    assert part == f"ledger.cases_{run.day:%Y%m%d}"


async def test_a_newer_lease_takes_over_and_the_older_is_refused_everything(pool: Pool) -> None:
    old = await opened(pool, an_opening())
    await append(pool, old, a_case("one"))
    new = await opened(pool, an_opening(lease_number=9))
    assert (new.id, new.fresh) == (old.id, False)
    for act in (append(pool, old, a_case("two")), finish(pool, old), opened(pool, an_opening())):
        with pytest.raises(Superseded):
            await act
    async with pool.acquire() as conn:
        with pytest.raises(Superseded):
            await LEDGER.plan(conn, old, 7, None)
    await append(pool, new, a_case("two"))
    assert await finish(pool, new)
    assert await pool.fetchval("select count(*) from ledger.cases") == 2


async def test_a_case_stands_as_it_was_first_written(pool: Pool) -> None:
    run = await opened(pool, an_opening())
    await append(pool, run, a_case(result=Result.FAIL))
    await append(pool, run, a_case(result=Result.PASS), a_case(result=Result.PASS, attempt=1))
    rows = await pool.fetch("select attempt, result from ledger.cases_v order by attempt")
    assert [tuple(r) for r in rows] == [(0, "fail"), (1, "pass")]


async def test_a_run_is_done_exactly_once(pool: Pool) -> None:
    run = await opened(pool, an_opening())
    await append(pool, run, a_case())
    assert await finish(pool, run)
    assert not await finish(pool, run)
    async with pool.acquire() as conn, conn.transaction():
        assert not await LEDGER.abandon(conn, run, "infra", "later")
    done = await staged(pool, "run.done")
    assert [(d["state"], d["counts"]) for d in done] == [("done", {"pass": 1, "flaky": 0})]


async def test_two_finishers_at_once_give_one_event(pool: Pool) -> None:
    run = await opened(pool, an_opening())
    assert sorted(await asyncio.gather(*(finish(pool, run) for _ in range(6)))) == [False] * 5 + [True]
    assert len(await staged(pool, "run.done")) == 1


async def test_nothing_is_added_to_a_closed_run(pool: Pool) -> None:
    run = await opened(pool, an_opening())
    await finish(pool, run)
    with pytest.raises(Superseded):
        await append(pool, run, a_case())
    with pytest.raises(Superseded, match="closed"):
        await opened(pool, an_opening(lease_number=9))
    assert await finish(pool, run) is False, "an attempt to take it over changes nothing of a closed run"


async def test_a_case_that_comes_while_the_run_ends_is_counted_or_refused(pool: Pool) -> None:
    """Never in the ledger and missing from the counts."""
    run = await opened(pool, an_opening())
    results = await asyncio.gather(
        finish(pool, run), *(append(pool, run, a_case(f"t{n}")) for n in range(6)), return_exceptions=True
    )
    assert all(r is True or r is None or isinstance(r, Superseded) for r in results)
    counts = (await staged(pool, "run.done"))[0]["counts"]
    assert counts.get("pass", 0) == await pool.fetchval("select count(*) from ledger.cases")


async def test_progress_is_told_once_a_second(pool: Pool) -> None:
    run = await opened(pool, an_opening())
    for n in range(5):
        await append(pool, run, a_case(f"t{n}"))
    assert [p["done"] for p in await staged(pool, "run.progress")] == [1]
    await pool.execute("update ledger.runs set progressed = now() - interval '2 seconds'")
    await append(pool, run, a_case("t5"))
    assert [(p["done"], p["planned"]) for p in await staged(pool, "run.progress")] == [(1, 3), (6, 3)]


async def test_counts_are_of_last_attempts_and_tell_the_flaky(pool: Pool) -> None:
    run = await opened(pool, an_opening())
    await append(
        pool,
        run,
        a_case("steady"),
        a_case("steady", subtest="a.b", result=Result.FAIL),
        a_case("flaky", Result.FAIL, cause=Cause.TEST),
        a_case("flaky", Result.PASS, attempt=1),
        a_case("broken", Result.FAIL),
        a_case("broken", Result.FAIL, attempt=1),
        a_case("crashed", Result.FAIL, crashes=("KASAN: slab-use-after-free in x",)),
        a_case("crashed", Result.PASS, attempt=1),
        a_case("left out", Result.SKIP),
    )
    await finish(pool, run)
    assert (await staged(pool, "run.done"))[0]["counts"] == {"pass": 3, "fail": 1, "skip": 1, "flaky": 1}


async def test_what_test_machines_say_is_stored_clean(pool: Pool) -> None:
    run = await opened(pool, an_opening())
    await append(
        pool, run,
        a_case("nul\0\udcffname", detail="x\0" * 3000, crashes=("BUG: a\nb", "WARNING: c\0")),
    )  # fmt: skip
    row = await pool.fetchrow("select test, length(detail) as length, crashes from ledger.cases_v")
    assert row is not None
    assert tuple(row) == ("nul?name", 2000, ["BUG: a b", "WARNING: c"])


async def test_a_name_over_the_limit_is_refused_whole(pool: Pool) -> None:
    run = await opened(pool, an_opening())
    with pytest.raises(ValueError, match="over 512 bytes"):
        await append(pool, run, a_case("fits"), a_case("é" * 257))
    await append(pool, run, a_case("é" * 256))
    assert await pool.fetchval("select count(*) from ledger.cases") == 1


async def test_names_made_at_once_by_two_are_made_once(pool: Pool) -> None:
    runs = [await opened(pool, an_opening(executor=f"vm{n}")) for n in range(4)]
    await asyncio.gather(*(append(pool, run, *(a_case(f"t{i}") for i in range(40))) for run in runs))
    assert await pool.fetchval("select count(*) from ledger.names where name like 't%'") == 40
    assert await pool.fetchval("select count(*) from ledger.cases") == 160


async def test_what_stands_is_read_back_for_going_on(pool: Pool) -> None:
    run = await opened(pool, an_opening())
    case = a_case("ping", Result.FAIL, cause=Cause.CRASH, attempt=1, seconds=2.5, log="ping.log", crashes=("Oops: x",))
    await append(pool, run, case, a_case("ping", subtest="sub"))
    async with pool.acquire() as conn:
        assert await LEDGER.finished_tests(conn, run) == [case]


async def test_planning_says_how_many_and_until_when(pool: Pool) -> None:
    run = await opened(pool, an_opening())
    end = datetime(2026, 11, 23, 12, tzinfo=UTC)
    async with pool.acquire() as conn:
        await LEDGER.plan(conn, run, 42, end)
        await LEDGER.plan(conn, run, 43, None)
    row = await pool.fetchrow("select planned, expected_end from ledger.runs")
    assert row is not None
    assert tuple(row) == (43, end)


async def artifacts(conn: Connection, run: OpenRun) -> list[str]:
    return sorted(await LEDGER.artifacts(conn, run, ""))


async def test_artifacts_come_and_go_by_prefix(pool: Pool) -> None:
    run = await opened(pool, an_opening())
    await pool.execute("insert into floor.blobs (sha256, size, stored) values ('aa', 1, 1)")
    async with pool.acquire() as conn, conn.transaction():
        for name in ("part:1", "part:2", "config"):
            await LEDGER.attach(conn, run, name, "aa", 1)
        await LEDGER.attach(conn, run, "config", "aa", 1)
        assert await artifacts(conn, run) == ["config", "part:1", "part:2"]
        await LEDGER.detach(conn, run, "part:")
        assert await artifacts(conn, run) == ["config"]
