"""Leases: one holder, a stand-by that takes over, numbers that rise, a loser who stops."""

import asyncio
from datetime import timedelta
from typing import Never

import pytest

from shared.db.lease import alone, held, keep_alive
from shared.db.pool import Pool
from shared.errors import InfraError, Superseded
from tests.conftest import Database

SHORT = timedelta(seconds=0.6)


@pytest.fixture
async def pool(database: Database) -> Pool:
    return await database.pool("branch", size=6)


async def steal(pool: Pool, name: str = "one") -> None:
    await pool.execute(
        "update floor.leases set holder = 'thief', until = now() + interval '1 hour', "
        "number = nextval('floor.lease_numbers') where name = $1",
        name,
    )


async def test_one_holds_and_the_stand_by_takes_over(pool: Pool) -> None:
    now: list[str] = []
    numbers: list[int] = []
    changed = asyncio.Condition()

    async def candidate(name: str) -> Never:
        async def body(number: int) -> Never:
            async with changed:
                now.append(name)
                numbers.append(number)
                changed.notify_all()
            try:
                await asyncio.Event().wait()
                raise AssertionError("never")
            finally:
                now.remove(name)

        await alone(pool, "one", name, body, SHORT)

    tasks = {name: asyncio.ensure_future(candidate(name)) for name in ("a", "b")}
    async with asyncio.timeout(15):
        for turn in (1, 2):
            async with changed:
                await changed.wait_for(lambda: len(numbers) == turn)  # noqa: B023
            await asyncio.sleep(2 * SHORT.total_seconds())
            assert len(now) == 1
            assert len(numbers) == turn, "the lease was kept"
            tasks.pop(now[0]).cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)
    assert numbers[1] > numbers[0]


async def test_a_lost_lease_cancels_the_body_and_is_won_anew(pool: Pool) -> None:
    began: asyncio.Queue[int] = asyncio.Queue()
    ended = asyncio.Event()

    async def body(number: int) -> Never:
        began.put_nowait(number)
        try:
            await asyncio.Event().wait()
            raise AssertionError("never")
        finally:
            ended.set()

    task = asyncio.ensure_future(alone(pool, "one", "me", body, SHORT))
    async with asyncio.timeout(15):
        first = await began.get()
        await steal(pool)
        await ended.wait()
        await pool.execute("delete from floor.leases")
        assert await began.get() > first
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await pool.fetchval("select count(*) from floor.leases") == 0, "given back"


async def test_an_error_of_the_body_goes_to_the_caller_and_the_lease_back(pool: Pool) -> None:
    async def body(number: int) -> Never:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        await alone(pool, "one", "me", body, SHORT)
    assert await pool.fetchval("select count(*) from floor.leases") == 0


async def test_a_body_that_times_out_begins_anew(pool: Pool) -> None:
    turns: asyncio.Queue[int] = asyncio.Queue()

    async def body(number: int) -> Never:
        turns.put_nowait(number)
        raise TimeoutError

    task = asyncio.ensure_future(alone(pool, "one", "me", body, SHORT))
    async with asyncio.timeout(15):
        await turns.get()
        await turns.get()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_held_waits_for_the_other(pool: Pool) -> None:
    order: list[str] = []

    async def second() -> None:
        async with held(pool, "one", "b", SHORT):
            order.append("b in")

    async with asyncio.timeout(15):
        async with held(pool, "one", "a", SHORT):
            waiting = asyncio.ensure_future(second())
            await asyncio.sleep(2 * SHORT.total_seconds())
            order.append("a out")
        await waiting
    assert order == ["a out", "b in"]
    assert await pool.fetchval("select count(*) from floor.leases") == 0


async def test_who_loses_what_it_holds_gets_an_infra_error(pool: Pool) -> None:

    async def lose() -> None:
        async with held(pool, "one", "me", SHORT):
            await steal(pool)
            await asyncio.Event().wait()

    async with asyncio.timeout(15):
        with pytest.raises(InfraError, match="the lease of one was lost"):
            await lose()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_cancel_from_outside_stays_one(pool: Pool) -> None:
    inside = asyncio.Event()

    async def body() -> None:
        async with held(pool, "one", "me", SHORT):
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(body())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await pool.fetchval("select count(*) from floor.leases") == 0


async def test_keeping_alive_ends_when_nothing_was_heard_for_the_length_of_the_lease() -> None:
    loop = asyncio.get_running_loop()
    heard: list[float] = []

    async def beat() -> bool:
        heard.append(loop.time())
        if len(heard) > 2:
            raise ConnectionError("gone")
        return True

    with pytest.raises(Superseded, match="cannot be kept"):
        await keep_alive(beat, 0.3, "it")
    assert loop.time() - heard[1] <= 0.45


async def test_a_hanging_question_does_not_prolong_the_lease() -> None:
    began = asyncio.get_running_loop().time()

    async def beat() -> bool:
        await asyncio.Event().wait()
        return True

    with pytest.raises(Superseded, match="cannot be kept"):
        await keep_alive(beat, 0.3, "it")
    assert asyncio.get_running_loop().time() - began < 0.5
