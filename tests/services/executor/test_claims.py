"""Several leases at once: all or none."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.executor.claims import all_of


class Table:
    """Leases by name, one holder each, numbers rising."""

    def __init__(self) -> None:
        self.locks: dict[str, asyncio.Lock] = {}
        self.number = 0
        self.held: set[str] = set()

    @asynccontextmanager
    async def claim(self, name: str) -> AsyncIterator[int]:
        async with self.locks.setdefault(name, asyncio.Lock()):
            self.number += 1
            self.held.add(name)
            try:
                yield self.number
            finally:
                self.held.remove(name)


async def test_all_are_held_by_the_youngest_number_and_let_go() -> None:
    table = Table()
    async with all_of(("a", "b", "c"), table.claim) as number:
        assert (number, table.held) == (3, {"a", "b", "c"})
    assert table.held == set()


async def test_while_one_is_missing_none_is_held() -> None:
    table = Table()
    async with table.claim("b"):
        both = all_of(("a", "b"), table.claim, 0.02)
        waiting = asyncio.ensure_future(both.__aenter__())
        seen = set()
        for _ in range(40):
            await asyncio.sleep(0.005)
            seen.add("a" in table.held)
        # It was tried once; since then it waits for the one that is missing, and holds nothing.
        assert seen == {True, False}
        assert "a" not in table.held
        assert not waiting.done()
    await asyncio.wait_for(waiting, 5)
    assert table.held == {"a", "b"}
    await both.__aexit__(None, None, None)


async def test_two_that_want_the_same_come_both_to_have_them() -> None:
    table, turns = Table(), []

    async def one(*names: str) -> None:
        for _ in range(5):
            async with all_of(names, table.claim, 0.02):
                turns.append(names)
                await asyncio.sleep(0.01)

    async with asyncio.timeout(20):
        await asyncio.gather(one("a", "b"), one("b", "a"), one("b", "c"))
    assert len(turns) == 15


async def test_what_goes_wrong_with_one_lets_go_of_the_others() -> None:
    table = Table()

    @asynccontextmanager
    async def claim(name: str) -> AsyncIterator[int]:
        async with table.claim(name) as number:
            if name == "b":
                raise OSError("the table is gone")
            yield number

    with pytest.raises(OSError, match="the table is gone"):
        async with all_of(("a", "b"), claim):
            raise AssertionError("it holds them")
    assert table.held == set()
