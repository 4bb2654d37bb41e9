"""Retention: what is older than the configuration keeps goes, from the front, and nothing that is still needed."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.blobs.disk import DiskBlobs
from shared.blobs.record import keep
from shared.clock import wall
from shared.db.keep import Keeping
from shared.db.outbox import SQL, stage
from shared.db.pool import Pool
from shared.db.sequencer import drain
from shared.events import TreeMoved
from shared.floor import Floor
from shared.ledger import Check, Ending, Ledger, Opening
from shared.model.results import Case, CheckState, Result
from shared.settings import Keep, parse
from tests.conftest import Database, FloorFor


@pytest.fixture
async def owner(database: Database) -> Pool:
    return await database.pool()


@pytest.fixture
async def keeping(database: Database, tmp_path: Path) -> Keeping:
    return Keeping(await database.pool("report"), DiskBlobs(tmp_path / "blobs"), Keep(), wall, "me", step=3)


async def log_events(owner: Pool, count: int, age: timedelta) -> None:
    async with owner.acquire() as conn:
        async with conn.transaction():
            await stage(conn, "test", *(TreeMoved(project="p", tree="t", head="0" * 40) for _ in range(count)))
        while await drain(conn):
            pass
        await conn.execute(
            "update floor.events set logged = now() - $1::interval where logged > now() - $1::interval", age
        )


async def numbers(owner: Pool) -> list[int]:
    return [r["sequence"] for r in await owner.fetch("select sequence from floor.events order by 1")]


OLD, NEW = timedelta(days=31), timedelta(days=1)


async def old_and_new(owner: Pool, old: int, new: int) -> None:
    await log_events(owner, old, OLD)
    await log_events(owner, new, timedelta(0))
    await owner.execute("update floor.events set logged = now() where sequence > $1", old)


async def test_old_events_go_and_the_log_stays_without_holes(owner: Pool, keeping: Keeping) -> None:
    await old_and_new(owner, 10, 4)
    assert (await keeping.once())["events"] == 10
    assert await numbers(owner) == [11, 12, 13, 14]
    assert (await keeping.once())["events"] == 0


async def test_a_clock_that_was_set_back_makes_no_hole(owner: Pool, keeping: Keeping) -> None:
    await old_and_new(owner, 5, 5)
    await owner.execute("update floor.events set logged = now() - interval '40 days' where sequence = 8")
    await keeping.once()
    assert await numbers(owner) == [6, 7, 8, 9, 10]


@pytest.mark.parametrize(
    "held_back",
    [
        "insert into floor.queues (name, types, swept) values ('q', '{}', 3)",
        "insert into floor.cursors (name, sequence) values ('c', 3)",
        "with q as (insert into floor.queues (name, types, swept) values ('q', '{}', 10) returning name) "
        "insert into floor.inbox (queue, event_id, sequence) "
        "select 'q', id, sequence from floor.events where sequence = 4",
    ],
)
async def test_what_is_still_to_be_read_stays(owner: Pool, keeping: Keeping, held_back: str) -> None:
    await old_and_new(owner, 10, 1)
    # The queue first: the inbox refers to it.
    for statement in _apart(held_back):
        await owner.execute(statement)
    await keeping.once()
    assert await numbers(owner) == list(range(4, 12))


def _apart(statement: str) -> list[str]:
    if not statement.startswith("with q as ("):
        return [statement]
    first, _, second = statement.removeprefix("with q as (").partition(" returning name) ")
    return [first, second]


async def test_a_cursor_that_nobody_moves_any_more_holds_nothing_back(owner: Pool, keeping: Keeping) -> None:
    await old_and_new(owner, 10, 1)
    await owner.execute("insert into floor.cursors values ('gone', 3, now() - interval '40 days')")
    await keeping.once()
    assert await numbers(owner) == [11]


async def test_a_full_and_empty_part_of_the_log_is_dropped(owner: Pool, keeping: Keeping) -> None:
    await log_events(owner, 2, OLD)
    await owner.execute("update floor.sequencer set last = 1500000")
    await log_events(owner, 2, timedelta(0))
    await owner.execute("update floor.events set logged = now() where sequence > 1000000")
    gone = await keeping.once()
    assert (gone["events"], gone["event_parts"]) == (2, 1)
    parts = await owner.fetch(
        "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'floor.events'::regclass"
    )
    assert [r["name"] for r in parts] == ["floor.events_1"]
    assert await numbers(owner) == [1500001, 1500002]


async def test_handled_deliveries_and_settled_work_go_the_dead_stay(owner: Pool, keeping: Keeping) -> None:
    await owner.execute("insert into floor.queues (name, types, swept) values ('q', '{}', 5)")
    for state, sequence, age in (("done", 1, 8), ("done", 2, 2), ("dead", 3, 90), ("due", 4, 8), ("done", 6, 8)):
        await owner.execute(
            "insert into floor.inbox (queue, event_id, sequence, state, settled) "
            "values ('q', gen_random_uuid(), $1, $2, now() - make_interval(days => $3))", sequence, state, age,
        )  # fmt: skip
    for key, state, age in (
        ("a", "done", 8),
        ("b", "cancelled", 8),
        ("c", "done", 2),
        ("d", "dead", 90),
        ("e", "ready", 90),
    ):
        await owner.execute(
            "insert into floor.work (room, kind, key, state, settled) "
            "values ('branch', 'k', $1, $2, now() - make_interval(days => $3))", key, state, age,
        )  # fmt: skip
    assert (await keeping.once())["settled"] == 3
    left = await owner.fetch("select sequence from floor.inbox order by 1")
    assert [r["sequence"] for r in left] == [2, 3, 4, 6], "6 was not swept: the sweep would bring it in again"
    assert [r["key"] for r in await owner.fetch("select key from floor.work order by 1")] == ["c", "d", "e"]


async def test_old_days_of_cases_are_dropped_and_the_next_is_made(owner: Pool, keeping: Keeping) -> None:
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=n) for n in (800, 732, 700)]
    for day in days:
        await owner.execute("select ledger.ensure_day($1)", day)
    assert (await keeping.once())["case_days"] == 2
    parts = await owner.fetch(
        "select relname from pg_class where relname like 'cases\\_2%' and relkind = 'r' order by 1"
    )
    assert [r["relname"] for r in parts] == [_part(d) for d in (days[2], today, today + timedelta(days=1))]


def _part(day: date) -> str:
    return f"cases_{day:%Y%m%d}"


async def a_run_of_checks(floor: Floor, series: int, said: CheckState, age: int) -> None:
    """A run on a series, closed `age` days ago, with a report of what it said."""
    report = await keep(floor, f"report {series}".encode())
    ledger = Ledger("checks")
    async with floor.pool.acquire() as conn, conn.transaction():
        run = await ledger.open(conn, Opening("netdev", "netci", "checks-tree", series_id=series))
        await ledger.attach(conn, run, f"checks/{series}/report.json", report, 1)
        await ledger.check(conn, Check("netdev", series, 1, "checkpatch", said, run.id, patch=1))
        await ledger.finish(conn, run, Ending())
        await conn.execute(
            "update ledger.runs set closed = now() - make_interval(days => $2) where id = $1", run.id, age
        )


async def test_what_a_check_found_is_kept_as_long_as_a_failure(
    floor_for: FloorFor, owner: Pool, keeping: Keeping
) -> None:
    floor = await floor_for("executor", parse("projects = {}"))
    for series, said in enumerate((CheckState.SUCCESS, CheckState.WARNING, CheckState.FAIL), 1):
        await a_run_of_checks(floor, series, said, 20)
    await keeping.once()
    left = await owner.fetch("select name from ledger.artifacts order by name")
    assert [row["name"] for row in left] == ["checks/2/report.json", "checks/3/report.json"]


async def a_run(floor: Floor, cut: int, result: Result, age: int) -> tuple[str, str]:
    """A run with a log and an artifact, closed `age` days ago, by its lab's clock ended long before; their blobs."""
    pack, artifact = await keep(floor, f"pack {cut}".encode()), await keep(floor, f"artifact {cut}".encode())
    ledger = Ledger("executor")
    async with floor.pool.acquire() as conn, conn.transaction():
        run = await ledger.open(conn, Opening("netdev", "lab", "vm", cut_id=cut))
        await ledger.append(conn, run, [Case("g", "t", result)])
        await ledger.finish(conn, run, Ending(log_pack=pack, artifacts={"config": (artifact, 1)}))
        await conn.execute(
            "update ledger.runs set closed = now() - make_interval(days => $2), ended = now() - interval '9 years' "
            "where id = $1",
            run.id, age,
        )  # fmt: skip
    return pack, artifact


async def test_logs_go_by_what_they_are_logs_of_and_blobs_that_nothing_names(
    floor_for: FloorFor, owner: Pool, keeping: Keeping
) -> None:
    floor = await floor_for("executor", parse("projects = {}"))
    gone = [*(await a_run(floor, 1, Result.PASS, 15)), *(await a_run(floor, 2, Result.FAIL, 181))]
    kept = [*(await a_run(floor, 3, Result.PASS, 13)), *(await a_run(floor, 4, Result.FAIL, 179))]
    young, unnamed = await keep(floor, b"just stored"), await keep(floor, b"never named")
    old = [*gone, *kept, unnamed]
    await owner.execute("update floor.blobs set created = now() - interval '2 days' where sha256 = any($1)", old)
    done = await keeping.once()
    assert (done["runs"], done["blobs"]) == (2, 5)
    for sha, there in [*((s, False) for s in (*gone, unnamed)), *((s, True) for s in (*kept, young))]:
        assert await floor.blobs.has(sha) is there
    assert await owner.fetchval("select count(*) from ledger.runs") == 4, "runs stay"
    assert await owner.fetchval("select count(*) from ledger.cases") == 4


async def test_bytes_stored_anew_while_they_are_taken_away_are_there_afterwards(
    floor_for: FloorFor, owner: Pool, keeping: Keeping
) -> None:
    floor = await floor_for("executor", parse("projects = {}"))
    sha = await keep(floor, b"same")
    await owner.execute("update floor.blobs set created = now() - interval '2 days'")
    async with owner.acquire() as conn, conn.transaction():
        await conn.fetch(SQL["forget_blobs"], wall() - timedelta(days=1, minutes=1), 10)
        storing = asyncio.ensure_future(keep(floor, b"same"))
        await asyncio.sleep(0.3)
        assert not storing.done(), "it waits for the end of that transaction"
        await floor.blobs.delete(sha)
    assert await storing == sha
    assert await floor.blobs.get(sha) == b"same"
    assert await owner.fetchval("select count(*) from floor.blobs") == 1


async def test_what_is_stored_again_is_kept_until_it_is_named(
    floor_for: FloorFor, owner: Pool, keeping: Keeping
) -> None:
    floor = await floor_for("executor", parse("projects = {}"))
    old, again = await keep(floor, b"old"), await keep(floor, b"again")
    await owner.execute("update floor.blobs set created = now() - interval '2 days'")
    # Retention has chosen both, and waits for the row of one that is being stored again.
    async with owner.acquire() as conn, conn.transaction():
        await conn.execute("update floor.blobs set created = now() where sha256 = $1", again)
        looking = asyncio.ensure_future(keeping.once())
        async with asyncio.timeout(30):
            while not await owner.fetchval(
                "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
            ):
                await asyncio.sleep(0.02)
    assert (await looking)["blobs"] == 1
    assert [await floor.blobs.has(sha) for sha in (old, again)] == [False, True]
    await owner.execute("update floor.blobs set created = now() - interval '2 days'")
    assert await keep(floor, b"again") == again
    assert (await keeping.once())["blobs"] == 0


async def test_a_setting_under_a_day_means_that_day(database: Database, owner: Pool, keeping: Keeping) -> None:
    settings: Any = parse('projects = {}\n[keep]\nevents = "1h"\ninbox = "1m"\nlogs_pass = "1s"\n').keep
    await log_events(owner, 3, timedelta(hours=23))
    eager = Keeping(keeping.pool, keeping.blobs, settings, wall, "me")
    await eager.once()
    assert len(await numbers(owner)) == 3


async def test_the_audit_is_kept(owner: Pool, keeping: Keeping) -> None:
    await owner.execute("insert into floor.audit (at, who, what) values (now() - interval '9 years', 'a', 'b')")
    await keeping.once()
    assert await owner.fetchval("select count(*) from floor.audit") == 1


async def test_it_runs_under_a_lease_and_gives_it_back(owner: Pool, keeping: Keeping) -> None:
    await old_and_new(owner, 4, 1)
    await owner.execute("insert into floor.leases values ('retention', 1, 'a backup', now() + interval '1 hour')")
    task = asyncio.ensure_future(keeping.run())
    await asyncio.sleep(0.5)
    assert len(await numbers(owner)) == 5
    await owner.execute("delete from floor.leases")
    async with asyncio.timeout(15):
        while await numbers(owner) != [5] or await owner.fetchval("select count(*) from floor.leases"):
            await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
