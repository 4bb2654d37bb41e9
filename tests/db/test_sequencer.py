"""The log: no gap, no loss, whoever sequences."""

import asyncio

from shared.db.bells import Bells
from shared.db.outbox import stage
from shared.db.pool import Pool, connect
from shared.db.sequencer import drain, sequence
from shared.events import TreeMoved
from tests.conftest import Database


def a_move(n: int) -> TreeMoved:
    return TreeMoved(project="netdev", tree=f"t{n}", head="0" * 40)


async def stage_some(pool: Pool, first: int, count: int) -> None:
    for n in range(first, first + count):
        async with pool.acquire() as conn, conn.transaction():
            await stage(conn, "branch", a_move(n))


async def test_numbers_have_no_gap_and_the_outbox_is_empty(database: Database) -> None:
    pool = await database.pool("branch")
    await stage_some(pool, 0, 20)
    async with pool.acquire() as conn:
        while await drain(conn):
            pass
        rows = await conn.fetch("select sequence, body->>'sequence' as said from floor.events order by 1")
        assert [r["sequence"] for r in rows] == list(range(1, 21))
        assert [r["said"] for r in rows] == [str(n) for n in range(1, 21)]
        assert await conn.fetchval("select count(*) from floor.outbox") == 0


async def test_a_rolled_back_transaction_leaves_no_event(database: Database) -> None:
    pool = await database.pool("branch")
    async with pool.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        await stage(conn, "branch", a_move(1))
        await transaction.rollback()
        await drain(conn)
        assert await conn.fetchval("select count(*) from floor.events") == 0


async def test_a_cursor_misses_nothing_while_writers_and_sequencers_come_and_go(database: Database) -> None:
    """Eight writers, two sequencers of which one is killed again and again, one reader by cursor."""
    pool = await database.pool("branch", size=10)
    reader, owner = await connect(database.dsn), await connect(database.dsn)
    bells = Bells()
    wanted = 8 * 50
    steady = asyncio.ensure_future(sequence(database.dsn, "branch", bells))

    async def kill_sequencers() -> None:
        for _ in range(6):
            victim = asyncio.ensure_future(sequence(database.dsn, "report", bells))
            await asyncio.sleep(0.1)
            await owner.fetch(
                "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and objid = 7303"
            )
            victim.cancel()
            await asyncio.gather(victim, return_exceptions=True)

    async def read() -> list[int]:
        seen: list[int] = []
        while len(seen) < wanted:
            after = seen[-1] if seen else 0
            rows = await reader.fetch("select sequence from floor.events where sequence > $1 order by 1", after)
            seen += [r["sequence"] for r in rows]
            await asyncio.sleep(0.01)
        return seen

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        reading = group.create_task(read())
        group.create_task(kill_sequencers())
        for n in range(8):
            group.create_task(stage_some(pool, n * 50, 50))
    assert reading.result() == list(range(1, wanted + 1))
    steady.cancel()
    await asyncio.gather(steady, return_exceptions=True)
    await reader.close()
    await owner.close()
