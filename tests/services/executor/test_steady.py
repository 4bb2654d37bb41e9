"""Writes that outlast an outage, and those that must not be repeated."""

import asyncio

import pytest
from asyncpg import InterfaceError

from services.executor.steady import steadily


class Answers:
    """Raises what it is given, one after the other, then returns its count."""

    def __init__(self, *faults: Exception) -> None:
        self.faults, self.calls = list(faults), 0

    async def __call__(self) -> int:
        self.calls += 1
        if self.faults:
            raise self.faults.pop(0)
        return self.calls


async def test_an_outage_is_outlasted() -> None:
    act = Answers(ConnectionRefusedError("no"), InterfaceError("closed"), TimeoutError())
    assert await steadily(act) == 4


async def test_a_fault_of_ours_is_not_repeated() -> None:
    act = Answers(ValueError("a bug"), ConnectionRefusedError("no"))
    with pytest.raises(ValueError):
        await steadily(act)
    assert act.calls == 1


async def test_an_outage_that_does_not_end_comes_out() -> None:
    with pytest.raises(ConnectionRefusedError):
        await steadily(Answers(*[ConnectionRefusedError("no")] * 50), longest=0.2)


async def test_cancelling_ends_the_waiting() -> None:
    running = asyncio.ensure_future(steadily(Answers(*[ConnectionRefusedError("no")] * 500)))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
