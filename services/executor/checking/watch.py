"""A wall clock over one question: tools have limits of their own, but what a check does itself has none.

It stands still while the question waits for others: for a free hand, or for the builds of the machine.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from shared.errors import NetciError

_TIMES, _MORE = 2.0, 30.0
"""How much longer than its tools a check may take as a whole, and seconds besides."""


class Endless(NetciError):
    """A check did not come to an end."""


class Watch:
    """Leave its block by Endless as soon as a check that may take `limit` seconds has taken much longer."""

    def __init__(self, limit: float, times: float = _TIMES, more: float = _MORE) -> None:
        self.seconds = limit * times + more
        self._left = self.seconds
        self._timeout = asyncio.timeout(None)
        self._pauses = 0
        self._live = False

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()
        self._live = True
        self._timeout.reschedule(asyncio.get_running_loop().time() + self._left)

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live = False
        try:
            await self._timeout.__aexit__(kind, exc, trace)
        except TimeoutError:
            raise Endless(f"did not come to an end within {self.seconds:g} s") from exc

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It stands still meanwhile. May be nested, and entered by several at one time."""
        self._pause(1)
        try:
            yield
        finally:
            self._pause(-1)

    def _pause(self, one: int) -> None:
        before, self._pauses = self._pauses, self._pauses + one
        if not self._live or self._timeout.expired():
            return
        due, now = self._timeout.when(), asyncio.get_running_loop().time()
        if before == 0 and due is not None:
            self._left = due - now
            self._timeout.reschedule(None)
        elif before == 1 and one < 0:
            self._timeout.reschedule(now + self._left)
