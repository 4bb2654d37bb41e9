"""What each room may do to each table: everything is tried, on every table there is, and the table below is the whole
of what may succeed."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest

from shared.db.outbox import stage
from shared.db.pool import Connection
from shared.events import TreeMoved
from tests.conftest import Database

ROOMS = ("ingest", "branch", "executor", "report")
VERBS = ("select", "insert", "update", "delete")

# Of the floor's tables every room reads all; what it may change besides:
FLOOR = {
    "outbox": {"insert"},
    "audit": {"insert"},
    "blobs": {"insert", "update"},  # when it was stored last, and no more
    "queues": {"insert", "update"},
    "inbox": {"insert", "update", "delete"},
    "cursors": {"insert", "update"},
    "leases": {"insert", "update", "delete"},
    "work": {"insert", "update", "delete"},
    "processes": {"insert", "update", "delete"},
    "health": {"insert", "update", "delete"},
}
LEDGER = {
    "runs": {"insert", "update"},
    "names": {"insert", "update"},
    "cases": {"insert", "update"},
    "artifacts": {"insert", "update", "delete"},
    "checks": {"insert", "update"},
}
CHECKS_TOKENS = ("ingest", "report")
WRITES_LEDGER = ("ingest", "executor")


@dataclass(frozen=True)
class Table:
    schema: str
    name: str
    column: str
    view: bool

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def may(room: str, table: Table, verb: str) -> bool:
    """The rule: a room changes what is its own, calls the floor, and reads others through their views."""
    match table.schema:
        case "floor" if table.name == "tokens":
            return False
        case "floor" if table.name == "tokens_v":
            return verb == "select" and room in CHECKS_TOKENS
        case "floor":
            alone = {"insert", "update", "delete"} if (table.name, room) == ("pauses", "report") else set()
            return verb == "select" or verb in FLOOR.get(table.name, alone)
        case "ledger":
            return verb == "select" or (room in WRITES_LEDGER and verb in LEDGER.get(table.name, set()))
        case "public":
            return verb == "select"
        case schema if schema == room:
            return True
        case "report":
            shown = {("branch", "verdicts_v"), ("executor", "known_bad_v")}
            return verb == "select" and (room, table.name) in shown
        case _:
            return verb == "select" and table.view


def attempt(table: Table, verb: str) -> str:
    """A statement that needs the right and changes no row."""
    return {
        "select": f"select * from {table} where false",
        "insert": f"insert into {table} ({table.column}) select {table.column} from {table} where false",
        "update": f"update {table} set {table.column} = {table.column} where false",
        "delete": f"delete from {table} where false",
    }[verb]


async def tables(conn: Connection) -> list[Table]:
    rows = await conn.fetch("""
        select n.nspname, c.relname, c.relkind = 'v' as view,
               (select min(attname) from pg_attribute a
                where a.attrelid = c.oid and attnum > 0 and attidentity = '' and not attisdropped) as one
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p', 'v') and not c.relispartition
          and n.nspname in ('floor', 'ledger', 'ingest', 'branch', 'executor', 'report', 'public')""")
    return [Table(r["nspname"], r["relname"], f'"{r["one"]}"', r["view"]) for r in rows]


async def succeeds(conn: Connection, sql: str) -> bool:
    try:
        await conn.execute(sql)
    except (asyncpg.InsufficientPrivilegeError, asyncpg.ObjectNotInPrerequisiteStateError):
        return False  # The second: a view of joined tables, which nobody can write.
    return True


@pytest.fixture(params=ROOMS)
def room(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def conn(database: Database, room: str) -> AsyncIterator[Connection]:
    pool = await database.pool(room, size=1)
    async with pool.acquire() as conn:
        yield conn


async def test_every_right_on_every_table(database: Database, room: str, conn: Connection) -> None:
    owner = await database.pool("", size=1)
    async with owner.acquire() as all_seeing:
        known = await tables(all_seeing)
    assert len(known) > 40
    wrong = []
    for table in known:
        for verb in VERBS:
            joined = table.view and verb != "select"
            got, wanted = await succeeds(conn, attempt(table, verb)), may(room, table, verb)
            if got != wanted and not (joined and wanted):
                wrong.append(f"netci_{room} {'may' if got else 'may not'} {verb} {table}")
    assert wrong == []


FORBIDDEN = [
    "insert into floor.events (sequence, id, type, time, visibility, body) "
    "values (1, gen_random_uuid(), 'x', now(), 'public', '{}')",
    "update floor.events set body = '{}'",
    "delete from floor.events",
    "truncate floor.events",
    "update floor.sequencer set last = 0",
    "delete from floor.sequencer",
    "delete from floor.audit",
    "update floor.audit set who = 'nobody'",
    "delete from floor.blobs",
    "delete from floor.outbox",
    "delete from floor.queues",
    "delete from ledger.runs",
    "delete from ledger.cases",
    "update floor.blobs set size = 0",
    "update public.netci_migrations set digest = ''",
    "create table floor.mine ()",
    "create table ledger.mine ()",
    "create table public.mine ()",
    "create schema mine",
    "create role mine",
    "alter table floor.events add column mine text",
    "drop view ingest.series_v",
    "select setval('floor.lease_numbers', 1)",
    "copy floor.events to program 'true'",
]


async def test_the_forbidden_is_refused(conn: Connection) -> None:
    for sql in FORBIDDEN:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.execute(sql)


YOUNG = [
    "floor.forget_events(now(), 10)",
    "floor.forget_events(null, 10)",
    "floor.forget_settled(now() - interval '23 hours', 10)",
    "floor.forget_blobs(now(), 10)",
    "ledger.forget_cases(current_date + 1)",
    "ledger.forget_logs(now(), true, 10)",
]


async def test_nobody_can_take_away_what_is_young(conn: Connection) -> None:
    for call in YOUNG:
        with pytest.raises(asyncpg.InvalidParameterValueError, match="younger than a day"):
            await conn.execute(f"select {call}")


async def test_a_function_of_the_owner_is_not_for_everybody(database: Database) -> None:
    owner = await database.pool("", size=1)
    open_to_all = await owner.fetch("""
        select p.oid::regprocedure::text as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname in ('floor', 'ledger', 'ingest', 'branch', 'executor', 'report')
          and p.prosecdef and has_function_privilege('public', p.oid, 'execute')""")
    assert [r["name"] for r in open_to_all] == []


async def test_functions_of_the_owner_keep_to_their_own_search_path(database: Database) -> None:
    owner = await database.pool("", size=1)
    loose = await owner.fetch("""
        select p.oid::regprocedure::text as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname in ('floor', 'ledger', 'ingest', 'branch', 'executor', 'report')
          and p.prosecdef and not coalesce('search_path=pg_catalog' = any(p.proconfig), false)""")
    assert [r["name"] for r in loose] == []


async def test_what_every_room_needs_works(conn: Connection, room: str) -> None:
    async with conn.transaction():
        await stage(conn, room, TreeMoved(project="netdev", tree="net", head="0" * 40))
    assert await conn.fetchval("select floor.sequence_events(10)") == 1
    assert await conn.fetchval("select count(*) from floor.events") == 1
    await conn.execute("insert into floor.work (room, kind, key) values ($1, 'k', '1')", room)
    await conn.execute("insert into floor.leases values ('l', nextval('floor.lease_numbers'), 'me', now())")
    await conn.execute("select ledger.prepare_days()")


async def test_only_those_who_write_the_ledger_make_its_days(conn: Connection, room: str) -> None:
    if room in WRITES_LEDGER:
        await conn.execute("select ledger.ensure_day('2026-11-23')")
        return
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await conn.execute("select ledger.ensure_day('2026-11-23')")


async def test_addresses_of_machines_are_read_by_their_room_alone(conn: Connection, room: str) -> None:
    if room == "executor":
        assert await conn.fetch("select address from executor.hosts") == []
        return
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await conn.fetch("select address from executor.hosts")
    with pytest.raises(asyncpg.UndefinedColumnError):
        await conn.fetch("select address from executor.hosts_v")
