"""A race: the work's result, or what the first guard raises; nothing runs on afterwards."""

import asyncio
from typing import Never

import pytest

from shared.errors import Superseded
from shared.race import race


async def never(ended: list[str], name: str = "guard") -> Never:
    try:
        await asyncio.Event().wait()
        raise AssertionError("never")
    finally:
        ended.append(name)


async def fail(after: float = 0) -> Never:
    await asyncio.sleep(after)
    raise Superseded("no longer wanted")


async def give(value: int) -> int:
    return value


async def test_the_works_result_is_returned_and_guards_end() -> None:
    ended: list[str] = []
    assert await race(give(7), never(ended)) == 7
    assert len(ended) <= 1
    assert len(asyncio.all_tasks()) == 1


async def test_a_guard_that_raises_ends_the_work() -> None:
    ended: list[str] = []
    with pytest.raises(Superseded):
        await race(never(ended, "work"), fail(0.01))
    assert ended == ["work"]


async def test_a_guard_that_raises_in_the_same_moment_wins() -> None:
    with pytest.raises(Superseded):
        await race(give(7), fail())


async def test_the_works_own_error_comes_out() -> None:
    async def broken() -> int:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        await race(broken(), never([]))


async def test_a_cancel_reaches_all() -> None:
    ended: list[str] = []
    task = asyncio.ensure_future(race(never(ended, "work"), never(ended, "guard")))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == ["guard", "work"]
