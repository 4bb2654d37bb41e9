"""The inbox: swept or received, each event once; failures counted, buried, replayed; a lost connection is none."""

import asyncio
from typing import Any

import pytest

from shared.bus.base import Handler, Queue
from shared.bus.inbox import Inbox
from shared.db.outbox import SQL, stage
from shared.db.pool import AWAY, Connection, Pool, connect
from shared.events import RunDone, TreeMoved
from tests.conftest import Database


@pytest.fixture
async def pool(database: Database) -> Pool:
    return await database.pool("branch", size=3)


async def log(pool: Pool, *events: Any) -> None:
    """Stage `events` and bring them into the log."""
    async with pool.acquire() as conn, conn.transaction():
        await stage(conn, "test", *events)
        await conn.execute(SQL["sequence"], 500)


def a_move(tree: str = "net") -> TreeMoved:
    return TreeMoved(project="netdev", tree=tree, head="0" * 40)


async def ignore(conn: Connection, event: TreeMoved) -> None:
    pass


async def an_inbox(pool: Pool, handler: Handler = ignore, attempts: int = 2) -> Inbox:
    inbox = Inbox(pool, Queue("q", {TreeMoved: handler}, attempts, wait=lambda attempt: 0.0))
    await inbox.declare()
    return inbox


async def states(pool: Pool) -> list[str]:
    return [r["state"] for r in await pool.fetch("select state from floor.inbox order by sequence")]


async def test_swept_and_received_is_one_row(pool: Pool) -> None:
    inbox = await an_inbox(pool)
    await log(pool, a_move(), a_move())
    row = await pool.fetchrow("select id, sequence from floor.events order by sequence limit 1")
    assert row is not None
    await inbox.receive(row["id"], row["sequence"])
    assert await inbox.sweep() == 1
    await inbox.receive(row["id"], row["sequence"])
    assert await inbox.sweep() == 0
    assert await states(pool) == ["due", "due"]


async def test_a_new_queue_begins_at_the_end_and_a_known_one_keeps_its_place(pool: Pool) -> None:
    await log(pool, a_move("before"))
    inbox = await an_inbox(pool)
    await log(pool, a_move("after"))
    await inbox.declare()
    assert await inbox.sweep() == 1


async def test_other_types_are_passed_over_for_good(pool: Pool) -> None:
    inbox = await an_inbox(pool)
    await log(pool, RunDone(project="netdev", run=1, remote="r", executor="e", branch="b", state="done"))
    assert await inbox.sweep() == 0
    assert await pool.fetchval("select swept from floor.queues") == 1


async def test_effect_and_note_are_one_transaction(pool: Pool) -> None:
    async def write_and_fail(conn: Connection, event: TreeMoved) -> None:
        await conn.execute(SQL["audit"], "test", "written", "", "", {})
        raise RuntimeError("no")

    inbox = await an_inbox(pool, write_and_fail)
    await log(pool, a_move())
    await inbox.sweep()
    assert await inbox.handle_due()
    assert await pool.fetchval("select count(*) from floor.audit") == 0
    assert await pool.fetchval("select attempts from floor.inbox") == 1


async def test_a_poison_event_is_buried_and_can_be_replayed(pool: Pool) -> None:
    async def choke(conn: Connection, event: TreeMoved) -> None:
        raise RuntimeError("poison")

    inbox = await an_inbox(pool, choke)
    await log(pool, a_move())
    await inbox.sweep()
    while await inbox.handle_due():
        pass
    assert await states(pool) == ["dead"]
    dead = await pool.fetchrow(SQL["dead_letters"])
    assert dead is not None
    assert (dead["error"], dead["subject"]) == ("RuntimeError: poison", "tree/net")
    await pool.execute(SQL["replay_dead"], "q")
    good = await an_inbox(pool)
    assert await good.handle_due()
    assert await states(pool) == ["done"]


async def test_a_statement_that_fails_in_a_handler_is_its_failure(pool: Pool) -> None:
    async def divide(conn: Connection, event: TreeMoved) -> None:
        await conn.execute("select 1 / 0")

    inbox = await an_inbox(pool, divide, attempts=1)
    await log(pool, a_move())
    await inbox.sweep()
    assert await inbox.handle_due()
    assert await states(pool) == ["dead"]


async def test_a_lost_connection_is_nobodys_failure(database: Database, pool: Pool) -> None:
    owner = await connect(database.dsn)

    async def lose(conn: Connection, event: TreeMoved) -> None:
        await owner.fetch("select pg_terminate_backend($1)", await conn.fetchval("select pg_backend_pid()"))
        await conn.execute("select 1")

    inbox = await an_inbox(pool, lose)
    await log(pool, a_move())
    await inbox.sweep()
    with pytest.raises(AWAY):
        await inbox.handle_due()
    assert await pool.fetchval("select attempts from floor.inbox") == 0
    assert await states(pool) == ["due"]
    await owner.close()


async def test_failing_consumers_need_no_second_connection(database: Database) -> None:
    """With every connection held by a handler that fails, noting the failures must not wait for another."""
    narrow = await database.pool("branch", size=2)
    both = asyncio.Barrier(2)

    async def fail_together(conn: Connection, event: TreeMoved) -> None:
        await both.wait()
        raise RuntimeError("no")

    inbox = await an_inbox(narrow, fail_together, attempts=1)
    await log(narrow, a_move("a"), a_move("b"))
    await inbox.sweep()
    async with asyncio.timeout(10):
        await asyncio.gather(inbox.handle_due(), inbox.handle_due())
    assert await states(narrow) == ["dead", "dead"]


async def test_an_event_of_a_newer_netci_is_done_with(database: Database, pool: Pool) -> None:
    owner = await connect(database.dsn)
    inbox = await an_inbox(pool)
    await log(pool, a_move())
    await inbox.sweep()
    await owner.execute("update floor.events set type = 'dev.netci.tree.moved.v99'")
    assert await inbox.handle_due()
    assert await states(pool) == ["done"]
    await owner.close()


async def test_a_handler_locks_its_row_against_others(pool: Pool) -> None:
    inside, go = asyncio.Event(), asyncio.Event()

    async def slow(conn: Connection, event: TreeMoved) -> None:
        inside.set()
        await go.wait()

    inbox = await an_inbox(pool, slow)
    await log(pool, a_move())
    await inbox.sweep()
    first = asyncio.ensure_future(inbox.handle_due())
    await inside.wait()
    assert not await inbox.handle_due()
    go.set()
    assert await first
