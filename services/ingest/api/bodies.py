"""Bodies that strangers send: read as they come, unpacked, and never more of them than is allowed.

What is too large is refused when that is seen, without reading on; what comes too slowly is given up.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from io import BytesIO
from itertools import islice
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel

from services.ingest.api.desk import LabDesk
from shared.formats.bounded import read_json
from shared.formats.faults import FAULTS_KEPT, Fault, Faulty
from shared.formats.run_faults import faults_in
from shared.formats.unpack import Unpacker

SILENCE = timedelta(seconds=30)
"""Between two pieces of a body."""
WHOLE = timedelta(minutes=10)
SMALL = 1 << 20
HANDFUL = 1 << 16
"""Bytes that are read in a millisecond or two."""

READ = web.RequestKey("read", int)

_M = TypeVar("_M", bound=BaseModel)
_R = TypeVar("_R")


async def aside(size: int, read: Callable[[], _R]) -> _R:
    """What `read` makes of a body of `size` bytes: in a thread, unless changing to one takes longer than reading."""
    return read() if size <= HANDFUL else await asyncio.to_thread(read)


async def pieces(request: web.Request, limit: int) -> AsyncIterator[bytes]:
    """The body unpacked, piece by piece, `limit` bytes at most packed or not. Raises Faulty."""
    if (request.content_length or 0) > limit:
        raise Faulty(Fault("", f"more than {limit} bytes"), status=413)
    encoding = request.headers.get("Content-Encoding", "")
    unpacker = Unpacker(encoding, limit)
    request[READ] = 0
    async for piece in _as_it_comes(request):
        request[READ] += len(piece)
        if request[READ] > limit:
            raise Faulty(Fault("", f"more than {limit} bytes"), status=413)
        async for plain in _unpacked(unpacker, piece):
            yield plain
    unpacker.finish()


async def _unpacked(unpacker: Unpacker, piece: bytes) -> AsyncIterator[bytes]:
    if plain := unpacker.feed(piece):
        yield plain
    del plain
    while unpacker.waiting:
        # A little of a bomb is much when unpacked: the others have their turn between its pieces.
        await asyncio.sleep(0)
        yield unpacker.feed()


async def _as_it_comes(request: web.Request) -> AsyncIterator[bytes]:
    until = asyncio.get_running_loop().time() + WHOLE.total_seconds()
    while piece := await _next(request, until):
        yield piece


async def _next(request: web.Request, until: float) -> bytes:
    left = until - asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(min(SILENCE.total_seconds(), left)):
            return await request.content.readany()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="the body did not come in time") from None
    except web.RequestPayloadError as exc:
        raise Faulty(Fault("", f"the body is broken: {exc}")) from None


@asynccontextmanager
async def body_of(desk: LabDesk, request: web.Request) -> AsyncIterator[bytes]:
    """The whole body, held within the process's budget while inside. Raises Faulty, Transient."""
    with desk.bodies.share() as share:
        # Its value is the buffer itself, so that there is never a second copy.
        buffer = BytesIO()
        async for piece in pieces(request, desk.labs.body):
            share.take(len(piece))
            buffer.write(piece)
        yield buffer.getvalue()


async def small_body(request: web.Request, kind: type[_M]) -> tuple[_M, bytes]:
    """A body of a few values, by its strict model; an empty one is an empty object. Raises Faulty."""
    data = b"".join([piece async for piece in pieces(request, SMALL)])
    if data and request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="send application/json")
    if found := tuple(islice(faults_in(read_json(data or b"{}"), kind), FAULTS_KEPT)):
        raise Faulty(*found)
    return kind.model_validate_json(data or b"{}"), data
