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
