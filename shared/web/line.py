"""One connection that is written to for long: how it takes bytes, and what is done when it takes no more."""

import asyncio
from functools import lru_cache

from aiohttp import HttpVersion11, web
from aiohttp.http import StreamWriter

WRITE = 20.0
"""Seconds that a connection may take to drain. Whoever does not read for so long is cut off."""


@lru_cache(maxsize=8)
def chunk(data: bytes) -> bytes:
    """`data` as a chunk of HTTP/1.1; made once for all who are given the same bytes."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Line:
    """An answer that has begun. `put` never waits, `send` waits for a connection that is slow."""

    def __init__(self, writer: StreamWriter, transport: asyncio.Transport, chunked: bool) -> None:
        self._writer = writer
        self._chunked = chunked
        self._transport = transport
        self._full = transport.get_write_buffer_limits()[1]

    @classmethod
    async def opened(cls, request: web.Request, response: web.StreamResponse) -> "Line":
        """Send the headers. Raises ConnectionResetError where the asker has gone."""
        writer = await response.prepare(request)
        if not isinstance(writer, StreamWriter) or writer.transport is None:
            raise ConnectionResetError("gone before it began")
        return cls(writer, writer.transport, request.version >= HttpVersion11)

    def put(self, data: bytes) -> bool:
        """Write, at once; False if the connection must drain before more. Raises ConnectionResetError.

        Straight to the transport: a thousand times for each event, all that aiohttp's writer does besides is felt.
        The headers are out by then, with the first words of the stream.
        """
        if self._transport.is_closing():
            raise ConnectionResetError("gone")
        self._transport.write(chunk(data) if self._chunked else data)
        return self._transport.get_write_buffer_size() <= self._full

    async def send(self, data: bytes) -> None:
        """Write, and wait until there is room for more. Raises TimeoutError."""
        await self._writer.write(data, drain=False)
        await self.drained()

    async def drained(self) -> None:
        """Wait until the connection has taken what it was given. Raises TimeoutError."""
        async with asyncio.timeout(WRITE):
            await self._writer.drain()

    def abort(self) -> None:
        """Cut it off, with all that waits in it."""
        self._transport.abort()
