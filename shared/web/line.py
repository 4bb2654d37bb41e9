"""One connection that is written to for long: how it takes bytes, and what is done when it takes no more."""

import asyncio

from aiohttp import web
from aiohttp.http import StreamWriter

WRITE = 20.0
"""Seconds that a connection may take to drain. Whoever does not read for so long is cut off."""


class Line:
    """An answer that has begun. `put` never waits, `send` waits for a connection that is slow."""

    def __init__(self, writer: StreamWriter, transport: asyncio.Transport) -> None:
        self._writer = writer
        self._transport = transport
        self._full = transport.get_write_buffer_limits()[1]

    @classmethod
    async def opened(cls, request: web.Request, response: web.StreamResponse) -> "Line":
        """Send the headers. Raises ConnectionResetError where the asker has gone."""
        writer = await response.prepare(request)
        if not isinstance(writer, StreamWriter) or writer.transport is None:
            raise ConnectionResetError("gone before it began")
        return cls(writer, writer.transport)

    async def put(self, data: bytes) -> bool:
        """Write, at once; False if the connection must drain before more. Raises ConnectionResetError."""
        await self._writer.write(data, drain=False)
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
