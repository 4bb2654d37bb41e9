"""Work: claimed under a lease, fenced by its number, tried again, postponed, cancelled, buried."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from shared.db.bells import Bells
from shared.db.pool import AWAY, Pool, connect
from shared.db.work import Desk, Postpone, Work, cancel, claim, enqueue, finish, heartbeat, settle
from shared.errors import Superseded, Transient
from tests.conftest import Database

SHORT = timedelta(seconds=0.3)


@pytest.fixture
async def pool(database: Database) -> Pool:
    return await database.pool("branch", size=6)


async def put(pool: Pool, key: str = "1", **more: Any) -> None:
    async with pool.acquire() as conn:
        await enqueue(conn, "branch", "job", key, {"n": key}, **more)


async def take(pool: Pool, lease: timedelta = timedelta(seconds=15)) -> Work:
    work = await claim(pool, "branch", ["job"], "me", lease)
    assert work is not None
    return work


async def row(pool: Pool, key: str = "1") -> dict[str, Any]:
    return dict(await pool.fetchrow("select *, due > now() as later from floor.work where key = $1", key) or {})


async def complete(pool: Pool, work: Work) -> None:
    async with settle(pool, work):
        pass


def a_desk(pool: Pool, do: Callable[[Work], Awaitable[None]], **more: Any) -> Desk:
    return Desk(pool, Bells(), "branch", "me", {"job": do}, **more)


@asynccontextmanager
async def working(desk: Desk) -> AsyncIterator[None]:
    task = asyncio.ensure_future(desk.run())
    try:
        async with asyncio.timeout(20):
            yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(pool: Pool, state: str, key: str = "1") -> dict[str, Any]:
    while (found := await row(pool, key))["state"] != state:
        await asyncio.sleep(0.02)
    return found


async def test_a_row_is_claimed_by_one(pool: Pool) -> None:
    for key in "123":
        await put(pool, key)
    found = await asyncio.gather(*(claim(pool, "branch", ["job"], f"h{n}") for n in range(6)))
    assert sorted(w.key for w in found if w) == ["1", "2", "3"]


async def test_the_urgent_and_the_older_come_first(pool: Pool) -> None:
    for key, priority in (("old", 0), ("new", 0), ("urgent", 5)):
        await put(pool, key, priority=priority)
    assert [(await take(pool)).key for _ in range(3)] == ["urgent", "old", "new"]


async def test_what_is_not_due_or_not_ours_stays(pool: Pool) -> None:
    await put(pool, wait=60)
    assert await claim(pool, "branch", ["job"], "me") is None
    await put(pool)
    assert await claim(pool, "branch", ["other"], "me") is None
    assert await claim(pool, "report", ["job"], "me") is None
    assert (await take(pool)).payload == {"n": "1"}


async def test_a_dead_owners_row_is_taken_over_and_the_old_one_refused(pool: Pool) -> None:
    await put(pool)
    old = await take(pool, timedelta(seconds=0))
    new = await take(pool)
    assert new.number > old.number
    with pytest.raises(Superseded):
        async with settle(pool, old) as conn:
            await enqueue(conn, "branch", "job", "written by the old one")
    assert await row(pool, "written by the old one") == {}
    await complete(pool, new)
    assert (await row(pool))["state"] == "done"


async def test_a_heartbeat_keeps_the_lease(pool: Pool) -> None:
    await put(pool)
    work = await take(pool, SHORT)
    beating = asyncio.ensure_future(heartbeat(pool, work, SHORT))
    await asyncio.sleep(1)
    assert await claim(pool, "branch", ["job"], "other") is None
    assert not beating.done()
    await pool.execute("update floor.work set lease_number = lease_number + 1")
    with pytest.raises(Superseded):
        await beating


async def test_a_lease_that_cannot_be_kept_is_given_up_in_time(database: Database, pool: Pool) -> None:
    """Every connection is taken, so no heartbeat gets through: the holder must notice by itself."""
    await put(pool)
    work = await take(pool, SHORT)
    narrow = await database.pool("branch", size=1)
    async with narrow.acquire(), asyncio.timeout(1):
        with pytest.raises(Superseded, match="cannot be kept"):
            await heartbeat(narrow, work, SHORT)


async def test_enqueued_again_while_it_runs_it_runs_once_more(pool: Pool) -> None:
    await put(pool)
    work = await take(pool)
    await put(pool)
    await put(pool)
    assert await claim(pool, "branch", ["job"], "other") is None
    await complete(pool, work)
    await complete(pool, await take(pool))
    assert await claim(pool, "branch", ["job"], "other") is None


async def test_what_was_wished_anew_while_it_failed_is_not_buried(pool: Pool) -> None:
    async def fail(work: Work) -> None:
        await put(pool)
        raise RuntimeError("broken")

    await put(pool)
    await a_desk(pool, fail, tries=1).do(await take(pool))
    assert (await row(pool))["state"] == "ready"


async def test_a_settled_key_starts_anew(pool: Pool) -> None:
    await put(pool)
    await complete(pool, await take(pool))
    await put(pool)
    assert (await take(pool)).attempts == 0


async def test_cancelled_work_is_let_go_by_its_worker(pool: Pool) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def hang(work: Work) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    await put(pool)
    async with working(a_desk(pool, hang, lease=SHORT)):
        await began.wait()
        async with pool.acquire() as conn:
            await cancel(conn, "branch", "job", "1")
        await ended.wait()
    assert (await row(pool))["state"] == "cancelled"


async def test_failures_wait_longer_each_time_and_are_buried_with_their_reason(pool: Pool) -> None:
    waits = []

    async def fail(work: Work) -> None:
        raise RuntimeError("broken")

    await put(pool)
    for _ in range(3):
        await a_desk(pool, fail, tries=3).do(await take(pool))
        found = await pool.fetchrow("select extract(epoch from due - now())::float8 as wait, state from floor.work")
        assert found is not None
        waits.append((round(found["wait"]), found["state"]))
        await pool.execute("update floor.work set due = now()")
    assert waits == [(1, "ready"), (2, "ready"), (4, "dead")]
    assert (await row(pool))["error"] == "RuntimeError: broken"


async def test_a_time_out_of_the_work_itself_counts_as_its_failure(pool: Pool) -> None:
    """TimeoutError and OSError look like a database that is away, and are not."""
    for error in (TimeoutError("git"), OSError("ssh"), Transient("patchwork")):
        await put(pool, str(error))

        async def fail(work: Work, error: Exception = error) -> None:
            raise error

        await a_desk(pool, fail).do(await take(pool))
        found = await row(pool, str(error))
        assert (found["state"], found["attempts"], found["later"]) == ("ready", 1, True)
        # On a slow machine its second is over before the next one is taken.
        await pool.execute("update floor.work set due = now() + interval '1 hour'")


async def test_a_connection_lost_in_the_work_counts_as_nothing(database: Database, pool: Pool) -> None:
    owner = await connect(database.dsn)

    async def lose(work: Work) -> None:
        async with settle(pool, work) as conn:
            await owner.fetch("select pg_terminate_backend($1)", await conn.fetchval("select pg_backend_pid()"))
            await conn.execute("select 1")

    await put(pool)
    await a_desk(pool, lose).do(await take(pool))
    found = await row(pool)
    assert (found["state"], found["attempts"]) == ("ready", 0)
    await owner.close()


async def test_postponed_work_comes_later_and_counts_no_failure(pool: Pool) -> None:
    async def not_now(work: Work) -> None:
        raise Postpone(60, "paused")

    await put(pool)
    await a_desk(pool, not_now).do(await take(pool))
    found = await row(pool)
    assert (found["state"], found["attempts"], found["error"], found["later"]) == ("ready", 0, "paused", True)


async def test_a_desk_works_off_what_comes_with_as_many_hands_as_it_has(pool: Pool) -> None:
    at_once = most = 0

    async def do(work: Work) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.05)
        at_once -= 1
        await complete(pool, work)

    for n in range(8):
        await put(pool, str(n))
    async with working(a_desk(pool, do, hands=2)):
        for n in range(8):
            await until(pool, "done", str(n))
    assert most == 2


async def test_finishing_twice_is_told(pool: Pool) -> None:
    await put(pool)
    work = await take(pool)
    await complete(pool, work)
    async with pool.acquire() as conn:
        with pytest.raises(Superseded):
            await finish(conn, work)


def test_what_away_names() -> None:
    assert {OSError, TimeoutError} <= set(AWAY)
