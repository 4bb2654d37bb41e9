"""What a command prints, kept up to a limit."""

import asyncio
import os
from collections.abc import Callable

from services.executor.cage.base import Line


class Printed:
    """Both streams of a command. `too_much` is called once, when either has gone beyond `limit` bytes. `error` is what
    the listener raised.
    """

    def __init__(self, limit: int, heard: Line | None, too_much: Callable[[], None]) -> None:
        self._limit, self._heard, self._too_much = limit, heard, too_much
        self.stdout, self.stderr, self.merged = bytearray(), bytearray(), bytearray()
        self.dropped = 0
        self.error: Exception | None = None

    def take(self, stream: bytearray, data: bytes) -> None:
        """A piece as it comes."""
        kept = data[: self._limit - len(stream)]
        if kept:
            stream += kept
            self.merged += kept
            self._tell(kept)
        if len(kept) < len(data):
            if not self.dropped:
                self._too_much()
            self.dropped += len(data) - len(kept)

    def _tell(self, piece: bytes) -> None:
        """A listener that fails ends the command; whoever waits for that is told why."""
        if self._heard is None or self.error:
            return
        try:
            self._heard(piece)
        except Exception as exc:
            self.error = exc
            self._too_much()


class Ear(asyncio.Protocol):
    """Listens at one pipe until nobody holds its other end."""

    def __init__(self, printed: Printed, stream: bytearray) -> None:
        self._printed, self._stream = printed, stream
        self.closed = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self._printed.take(self._stream, data)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


class Pipe:
    """A pipe with an ear at it. `end` is for the command, and to be closed here once it has it."""

    def __init__(self) -> None:
        ours, self.end = os.pipe()
        self._ours = os.fdopen(ours, "rb", 0)
        self._transport: asyncio.ReadTransport | None = None

    async def listen(self, printed: Printed, stream: bytearray) -> None:
        self._transport, self._ear = await asyncio.get_running_loop().connect_read_pipe(
            lambda: Ear(printed, stream), self._ours
        )

    def given(self) -> None:
        os.close(self.end)
        self.end = -1

    async def ended(self, patience: float) -> None:
        """All has been heard. By now nobody is left who could say more; `patience` is for what can't be."""
        try:
            async with asyncio.timeout(patience):
                await self._ear.closed
        except TimeoutError:
            pass

    def close(self) -> None:
        if self.end >= 0:
            self.given()
        if self._transport:
            self._transport.close()
        else:
            self._ours.close()
