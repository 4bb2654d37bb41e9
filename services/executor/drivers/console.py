"""A guest's serial console: listened to from its first line, kept until somebody takes it.

Answers with bytes. They come from a kernel that may be anybody's and have no end, so only the newest `MOST` that nobody
has taken are kept, and what was dropped is counted.
"""

import asyncio
from datetime import timedelta

MOST = 8 << 20
_PIECE = 1 << 16


class Console:
    """See `base.Console`. `listen` is to be run for as long as the guest lives."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._dropped = 0
        self._news = asyncio.Event()
        self._ended = asyncio.Event()

    async def listen(self, reader: asyncio.StreamReader, *, last: bool = True) -> None:
        """Keep what comes, until there is no more. `last`: nothing else will be listened to."""
        try:
            while data := await reader.read(_PIECE):
                self._keep(data)
        except OSError:
            pass
        finally:
            if last:
                self._ended.set()
                self._news.set()

    def _keep(self, data: bytes) -> None:
        self._kept += data
        if (over := len(self._kept) - MOST) > 0:
            del self._kept[:over]
            self._dropped += over
        self._news.set()

    @property
    def tail(self) -> str:
        """The last lines, for a person."""
        lines = bytes(self._kept[-4000:]).decode(errors="replace").splitlines()
        return "\n".join(line for line in lines if line.strip())[-1500:]

    async def take(self, *, settle: timedelta = timedelta(0)) -> bytes:
        """What came since it was last taken."""
        await self._quiet(settle.total_seconds())
        data, dropped = bytes(self._kept), self._dropped
        self._kept.clear()
        self._dropped = 0
        return (f"(netci: {dropped} bytes before this were dropped)\n".encode() if dropped else b"") + data

    async def _quiet(self, settle: float) -> None:
        """Until nothing came for `settle` seconds, or the guest has ended; but for a few times that at most."""
        loop = asyncio.get_running_loop()
        until = loop.time() + 8 * settle
        while settle and not self._ended.is_set() and loop.time() < until:
            self._news.clear()
            try:
                async with asyncio.timeout(settle):
                    await self._news.wait()
            except TimeoutError:
                return
