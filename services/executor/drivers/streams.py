"""The three streams of one command over one SSH channel, carried to their end.

Answers how a command ended and hands on what it said, up to its cap. Refuses to know hosts, leases and the
wrapper.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator

import asyncssh

from services.executor.drivers.base import MIB, Command, Output

CHUNK = 64 * 1024
MOST_AFTER = 4 * MIB


class Tail:
    """Counts one stream of a command against its cap and says so once when it is reached."""

    def __init__(self, out: Output, cap: int, *, stderr: bool) -> None:
        self._out, self._cap, self._stderr = out, cap, stderr
        self.dropped, self.last = 0, b""

    def take(self, data: bytes) -> None:
        self.last = (self.last + data)[-2000:]
        kept, self._cap = data[: self._cap], max(0, self._cap - len(data))
        if kept:
            self._out.write(kept, stderr=self._stderr)
        if len(kept) < len(data) and not self.dropped:
            self._out.write(b"\n[netci: the output goes on; the rest was not kept]\n", stderr=self._stderr)
        self.dropped += len(data) - len(kept)


class Divided(Tail):
    """A stream that something else follows on, after `mark`: `after` is that, None if it never came.

    A test may know the mark. What it says after one of its own is no more believed than the rest of what it says: the
    last mark is the wrapper's.
    """

    def __init__(self, out: Output, cap: int, mark: bytes) -> None:
        super().__init__(out, cap, stderr=True)
        self._mark, self._held = mark, b""
        self._after: bytearray | None = None

    @property
    def after(self) -> bytes | None:
        return None if self._after is None else bytes(self._after[:MOST_AFTER])

    def take(self, data: bytes) -> None:
        if self._after is None:
            before, mark, rest = (self._held + data).partition(self._mark)
            if not mark:
                # The end of it may be the beginning of a mark.
                keep = min(len(before), len(self._mark) - 1)
                self._held = before[len(before) - keep :]
                super().take(before[: len(before) - keep])
                return
            super().take(before)
            self._held, self._after = b"", bytearray(rest)
        else:
            self._after += data
        if (at := self._after.rfind(self._mark)) >= 0:
            super().take(self._mark + bytes(self._after[:at]))
            del self._after[: at + len(self._mark)]
        del self._after[2 * MOST_AFTER :]

    def finish(self) -> None:
        """Nothing more comes."""
        super().take(self._held)
        self._held = b""


def streams_of(out: Output, command: Command) -> tuple[Tail, Tail]:
    return Tail(out, command.cap, stderr=False), Tail(out, command.cap, stderr=True)


async def carry(
    process: asyncssh.SSHClientProcess[bytes],
    stdin: bytes | AsyncIterable[bytes],
    streams: tuple[Tail, Tail],
) -> int:
    """Carry all three streams to their end; gives the exit code."""
    try:
        async with asyncio.TaskGroup() as group:
            feeding = group.create_task(_feed(process.stdin, stdin))
            reading = [
                group.create_task(_drain(process.stdout, streams[0])),
                group.create_task(_drain(process.stderr, streams[1])),
            ]
            await asyncio.wait(reading)
            # A command that ended without reading all its input leaves nobody to read the rest.
            feeding.cancel()
    except BaseExceptionGroup as error:
        # The caller knows errors, not groups; whichever came first is why the others came.
        raise _first(error) from None
    await process.wait_closed()
    return _code(process)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _feed(writer: asyncssh.SSHWriter[bytes], stdin: bytes | AsyncIterable[bytes]) -> None:
    try:
        async for piece in _pieces(stdin):
            writer.write(piece)
            await writer.drain()
        writer.write_eof()
    except BrokenPipeError:
        pass


async def _pieces(stdin: bytes | AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    if isinstance(stdin, bytes):
        for start in range(0, len(stdin), CHUNK):
            yield stdin[start : start + CHUNK]
        return
    async for piece in stdin:
        yield piece


async def _drain(reader: asyncssh.SSHReader[bytes], stream: Tail) -> None:
    while data := await reader.read(CHUNK):
        stream.take(data)


async def rest(process: asyncssh.SSHClientProcess[bytes], streams: tuple[Tail, Tail]) -> None:
    """After the time limit: what was still on its way. Whatever holds the streams open longer is not waited
    for.
    """
    try:
        async with asyncio.timeout(2):
            await carry(process, b"", streams)
    except TimeoutError:
        pass


def _code(process: asyncssh.SSHClientProcess[bytes]) -> int:
    """The exit code. A channel that closes without one is a lost connection, whatever else it looks like."""
    if process.exit_status is not None and process.exit_status >= 0:
        return process.exit_status
    raise ConnectionResetError("the host ended the connection" if not process.exit_signal else "the wrapper was killed")
