"""Connections: what means that the database is away, and what does not; what a refusal says; bells."""

import asyncio

import asyncpg
import pytest

from shared.db.bells import CHANNELS, Bells
from shared.db.pool import AWAY, connect, open_pool, surely_away
from shared.errors import Refused, Transient
from tests.conftest import Database


async def test_a_session_has_its_rooms_rights(database: Database) -> None:
    pool = await database.pool("branch")
    assert await pool.fetchval("select current_user") == "netci_branch"
    assert await pool.fetchval("select current_setting('application_name')") == "netci branch"
    assert await pool.fetchval("select $1::jsonb", {"a": [1]}) == {"a": [1]}


async def test_a_database_that_does_not_answer_is_transient() -> None:
    with pytest.raises(Transient, match="does not answer"):
        await connect("postgresql://netci@127.0.0.1:1/netci", timeout=2)


async def test_one_that_does_not_let_us_in_says_so(database: Database) -> None:
    with pytest.raises(Refused, match='does not let us in: database "none" does not exist'):
        await connect(database.dsn.replace(database.dsn.split("?")[0].rpartition("/")[2], "none", 1))
    with pytest.raises(Refused, match="does not let us in"):
        await connect(database.dsn, "nobody")


async def test_only_a_lost_connection_is_surely_the_database(database: Database) -> None:
    owner, victim = await connect(database.dsn), await connect(database.dsn)
    await owner.fetch("select pg_terminate_backend($1)", victim.get_server_pid())
    with pytest.raises(AWAY) as lost:
        await victim.fetch("select 1")
    assert surely_away(lost.value)
    with pytest.raises(AWAY) as closed:
        await victim.fetch("select 1")
    assert surely_away(closed.value)
    with pytest.raises(asyncpg.InterfaceError) as wrong:
        await owner.fetch("select $1::int")
    assert not surely_away(wrong.value), "a wrong call is a bug of ours"
    for other in (TimeoutError(), OSError(), RuntimeError(), asyncpg.DeadlockDetectedError("x")):
        assert not surely_away(other)
    await owner.close()


async def test_leaving_a_pool_does_not_wait_for_ever(database: Database) -> None:
    async with asyncio.timeout(9):
        async with open_pool(database.dsn, size=1) as pool:
            await pool.acquire()


async def test_bells_ring_for_notifications_and_after_a_lost_connection(database: Database) -> None:
    owner, bells = await connect(database.dsn), Bells()
    listening = asyncio.ensure_future(bells.listen(database.dsn, "branch"))
    async with asyncio.timeout(20):
        await bells.wait("netci_work", 0, 10)
        seen = bells.count("netci_work")
        await owner.execute("select pg_notify('netci_work', '')")
        await bells.wait("netci_work", seen, 10)
        assert bells.count("netci_work") == seen + 1
        before = {name: bells.count(name) for name in CHANNELS}
        await owner.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'netci branch' and datname = current_database()"
        )
        await bells.wait("netci_work", before["netci_work"], 10)
    assert all(bells.count(name) == before[name] + 1 for name in CHANNELS)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    await owner.close()


async def test_a_bell_that_rang_before_is_not_waited_for() -> None:
    bells = Bells()
    seen = bells.count("x")
    bells.ring("x")
    async with asyncio.timeout(1):
        await bells.wait("x", seen, 60)
        await bells.wait("x", bells.count("x"), 0.01)
