"""A TCP proxy that can be cut, and that can swallow answers: the net between a lab and a server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum


class Way(Enum):
    """What it does with what comes."""

    OPEN = "open"
    CUT = "cut"
    """Nobody gets through."""
    DEAF = "deaf"
    """What is asked arrives and is done; the answer is lost."""


@dataclass
class Net:
    """`attempts` counts connections that came while it was not open."""

    port: int = 0
    way: Way = Way.OPEN
    attempts: int = 0
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def turn(self, way: Way) -> None:
        """From now on, and for what is open already."""
        self.way = way
        for writer in self._open:
            writer.close()


@asynccontextmanager
async def net_to(host: str, port: int) -> AsyncIterator[Net]:
    """A way to a server, on a port of its own."""
    net = Net()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                if answers and net.way is Way.DEAF:
                    break
                writer.write(data)
                await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if net.way is not Way.OPEN:
            net.attempts += 1
        if net.way is Way.CUT:
            writer.close()
            return
        try:
            from_server, to_server = await asyncio.open_connection(host, port)
        except OSError:
            writer.close()
            return
        ends = {writer, to_server}
        net._open |= ends
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(carry(reader, to_server, False))
                group.create_task(carry(from_server, writer, True))
        finally:
            net._open -= ends
            for end in ends:
                end.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    net.port = server.sockets[0].getsockname()[1]
    try:
        yield net
    finally:
        net.turn(Way.CUT)
        server.close()
