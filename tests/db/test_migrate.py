"""Migrations: in order, once, whole, by one at a time; a past that is not ours is refused."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from shared.db import migrate as module
from shared.db.migrate import Migration, migrate, migrations, pending
from shared.db.pool import connect
from shared.errors import Refused
from tests.conftest import Database

OLD = """
select ledger.ensure_day('2026-08-20');
create table floor.events_0 partition of floor.events for values from (0) to (1000000);
insert into ledger.names (name) values (''), ('selftests-net'), ('tls') on conflict do nothing;
insert into branch.cuts (project, stream, slot, purpose, name, state, tree, commit, announced)
values ('netdev', 'net-next', '2026-08-20', 'scheduled', 'net-next-2026-08-20--00-00', 'announced', 'net-next', 'a',
        '2026-08-20');
insert into floor.blobs (sha256, size, stored, visibility) values (repeat('a', 64), 1, 1, 'public');
insert into ledger.runs (day, project, stream, branch, cut_id, remote, executor, state, started, ended, log_pack)
select '2026-08-20', 'netdev', 'net-next', name, id, 'metal', 'vmksft-net', 'done', '2026-08-20', '2026-08-20',
       repeat('a', 64) from branch.cuts;
insert into ledger.cases (day, run_id, grp, test, subtest, attempt, result)
select '2026-08-20', r.id, g.id, t.id, s.id, 0, 'pass'
from ledger.runs r, ledger.names g, ledger.names t, ledger.names s
where g.name = 'selftests-net' and t.name = 'tls' and s.name = '';
insert into ledger.artifacts (run_id, name, sha256, size) select id, 'log', repeat('a', 64), 1 from ledger.runs;
insert into floor.events (sequence, id, type, project, visibility, time, body) values
    (1, gen_random_uuid(), 'dev.netci.run.done.v1', 'netdev', 'public', now(),
     '{"data": {"stream": "net-next", "remote": "metal", "series": null}}'),
    (2, gen_random_uuid(), 'dev.netci.series.arrived.v1', 'netdev', 'public', now(), '{"data": {"series": 7}}');
"""


@pytest.fixture
async def empty(database: Database) -> AsyncIterator[str]:
    """The DSN of a database that holds nothing."""
    owner = await connect(database.dsn)
    name = f"empty_{await owner.fetchval('select pg_backend_pid()')}"
    await owner.execute(f"create database {name}")
    base, _, query = database.dsn.partition("?")
    yield f"{base.rpartition('/')[0]}/{name}?{query}"
    await owner.execute(f"drop database {name} with (force)")
    await owner.close()


async def execute(dsn: str, sql: str) -> None:
    conn = await connect(dsn)
    await conn.execute(sql)
    await conn.close()


def test_numbers_are_contiguous_and_names_say_what() -> None:
    made = migrations()
    assert [m.number for m in made] == list(range(1, len(made) + 1))
    assert all(re.fullmatch(r"\d{4}_[a-z_]+", m.name) for m in made)


async def test_all_are_applied_in_order_and_once(empty: str) -> None:
    names = [m.name for m in migrations()]
    assert await pending(empty) == names
    assert await migrate(empty) == names
    assert await migrate(empty) == []
    assert await pending(empty) == []


async def test_two_at_once_apply_each_once(empty: str) -> None:
    first, second = await asyncio.gather(migrate(empty), migrate(empty))
    assert sorted(first + second) == [m.name for m in migrations()]


async def test_an_edited_past_is_refused(database: Database) -> None:
    await execute(database.dsn, "update public.netci_migrations set digest = 'x' where number = 3")
    for ask in (migrate, pending):
        with pytest.raises(Refused, match=r"0003_ingest was changed after"):
            await ask(database.dsn)


async def test_a_newer_database_is_refused(database: Database) -> None:
    await execute(
        database.dsn, "insert into public.netci_migrations (number, name, digest) values (9000, '9000_later', '')"
    )
    for ask in (migrate, pending):
        with pytest.raises(Refused, match=r"newer than this netci: it has migration 9000_later"):
            await ask(database.dsn)


async def test_a_migration_that_breaks_leaves_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    last = migrations()[-1].number + 1
    broken = Migration(last, f"{last:04}_broken", "create table public.half (); select 1 / 0;")
    known = (*migrations(), broken)
    monkeypatch.setattr(module, "migrations", lambda: known)
    with pytest.raises(Exception, match="division by zero"):
        await migrate(database.dsn)
    assert await pending(database.dsn) == [broken.name]
    conn = await connect(database.dsn)
    assert await conn.fetchval("select to_regclass('public.half')") is None
    await conn.close()


async def test_a_room_may_ask_what_is_missing(database: Database) -> None:
    pool = await database.pool("ingest")
    assert await pool.fetchval("select count(*) from public.netci_migrations") == len(migrations())


async def test_a_database_with_a_history_comes_along(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written before labs could take part: runs, cases, artifacts, events, branches, a failed post."""
    every = migrations()
    monkeypatch.setattr(module, "migrations", lambda: every[:8])
    await migrate(empty)
    await execute(empty, OLD)
    monkeypatch.setattr(module, "migrations", lambda: every)
    assert await migrate(empty) == [m.name for m in every[8:]]
    conn = await connect(empty)
    run = await conn.fetchrow("select visibility, trial, link, closed from ledger.runs")
    assert tuple(run or ()) == ("public", False, "", None)
    cases = await conn.fetch("select test, subtest, link from ledger.cases_v")
    assert [tuple(row) for row in cases] == [("tls", "", "")]
    events = await conn.fetch("select stream, remote, series from floor.events order by sequence")
    assert [tuple(row) for row in events] == [("net-next", "metal", None), (None, None, "7")]
    assert await conn.fetchval("select count(*) from ledger.public_runs_v") == 1
    assert await conn.fetchval("select started from report.rollups") is None
    await conn.close()
