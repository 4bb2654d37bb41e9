"""The endpoints of the log: a stream for who stays (SSE), pages and long polls for who comes by.

All take ``?type=`` (a CloudEvents type or its short kind, ``branch.cut``; repeatable or by commas), ``?project=`` and
a cursor: ``Last-Event-ID`` or ``?after=``; a stream without one begins with what happens from now on.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Coroutine, Iterable
from typing import Any

from aiohttp import web

from shared.errors import Refused
from shared.events import BY_TYPE
from shared.web.app import PATIENT
from shared.web.client import address_of
from shared.web.cursor import Cursor, Log, parse_cursor
from shared.web.errors import problem
from shared.web.sse import Filter, Frame, Hub, Reader, encode_gap

HEARTBEAT = 10.0
"""Seconds between comments on a silent stream; proxies give up on silence after 30 to 60."""
WRITE = 20.0
"""Seconds that one write may wait for a reader that doesn't read."""
PER_ADDRESS = 64
MOST_WAIT = 60.0
HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    # nginx buffers answers unless told; other proxies are told by their configuration.
    "X-Accel-Buffering": "no",
    "Access-Control-Allow-Origin": "*",
}

_KINDS = {event.kind: name for name, event in BY_TYPE.items()}


def filter_of(request: web.Request) -> Filter:
    """What the query asks for. Raises Refused at a type that doesn't exist, which would be silence for ever."""
    words = [word for text in request.query.getall("type", []) for word in text.split(",") if word]
    types = {_KINDS.get(word, word) for word in words}
    if unknown := sorted(types - BY_TYPE.keys()):
        raise Refused(f"no event type {', '.join(unknown)[:200]}; there are {', '.join(sorted(_KINDS))}")
    return Filter(frozenset(types), request.query.get("project", ""))


def cursor_of(request: web.Request) -> Cursor | None:
    """`Last-Event-ID` is what a browser knows best after a break; `?after=` is where it began."""
    text = request.headers.get("Last-Event-ID") or request.query.get("after")
    return parse_cursor(text) if text else None


class Stream:
    """The handlers over one hub."""

    def __init__(self, hub: Hub, *, heartbeat: float = HEARTBEAT, per_address: int = PER_ADDRESS) -> None:
        self._hub = hub
        self._heartbeat = heartbeat
        self._per_address = per_address
        self._open: Counter[str] = Counter()

    def mount(self, app: web.Application, path: str = "/api/v1/events") -> None:
        """`path` answers a stream or a page by Accept; ``path/stream`` is always a stream."""
        app.router.add_get(path, self.either, allow_head=False)
        app.router.add_get(f"{path}/stream", self.stream, allow_head=False)
        app[PATIENT] |= {self.either, self.stream}
        app.on_shutdown.append(self._close)

    async def _close(self, app: web.Application) -> None:
        self._hub.close()

    async def either(self, request: web.Request) -> web.StreamResponse:
        if "text/event-stream" in request.headers.get("Accept", ""):
            return await self.stream(request)
        return await self.page(request)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        wanted, cursor = filter_of(request), cursor_of(request)
        return await self._among_few(address_of(request), self._follow(request, wanted, cursor))

    async def _among_few(self, address: str, answer: Coroutine[Any, Any, web.StreamResponse]) -> web.StreamResponse:
        """`answer`, or 429 while too many of one address stay with us already: streams and long polls alike."""
        if self._open[address] >= self._per_address:
            answer.close()
            words = f"{self._per_address} streams from one address are enough"
            return problem(429, words, headers={"Retry-After": "10"})
        self._open[address] += 1
        try:
            return await answer
        finally:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]

    async def _follow(self, request: web.Request, wanted: Filter, cursor: Cursor | None) -> web.StreamResponse:
        response = web.StreamResponse(headers=HEADERS)
        state = await self._hub.state()
        await response.prepare(request)
        try:
            after = await self._begin(response, state, cursor)
            async for frames in self._hub.catch_up(after, wanted):
                await _write(response, frames)
            await self._live(response, wanted, after)
        except (TimeoutError, ConnectionResetError):
            if request.transport is not None:
                request.transport.abort()
        return response

    async def _begin(self, response: web.StreamResponse, state: Log, cursor: Cursor | None) -> int:
        """Say where the stream begins; the id alone is no event, but a browser keeps it for its return."""
        if cursor is not None and state.gap(cursor):
            await _send(response, encode_gap(state, cursor))
            return state.begin
        start = Cursor(state.last if cursor is None else cursor.sequence, state.epoch)
        await _send(response, f"retry: 3000\nid: {start}\n\n".encode())
        return start.sequence

    async def _live(self, response: web.StreamResponse, wanted: Filter, after: int) -> None:
        reader = self._hub.join(wanted)
        try:
            while not reader.closed:
                await self._pass_on(response, reader, after)
        finally:
            self._hub.leave(reader)

    async def _pass_on(self, response: web.StreamResponse, reader: Reader, after: int) -> None:
        frames = [frame for frame in await reader.take(self._heartbeat) if frame.sequence > after]
        if frames:
            await _write(response, frames)
        elif not reader.closed:
            await _send(response, b":\n\n")

    async def page(self, request: web.Request) -> web.StreamResponse:
        """``{"events", "next", "gap", "oldest"}``; `next` is the cursor to come back with."""
        if wait := min(MOST_WAIT, _seconds(request)):
            return await self._among_few(address_of(request), self._page(request, wait))
        return await self._page(request, 0)

    async def _page(self, request: web.Request, wait: float) -> web.Response:
        wanted, cursor = filter_of(request), cursor_of(request) or Cursor(0)
        most = _number(request, "limit", 100, 1, 500)
        state, frames = await self._look(cursor, wanted, most, wait)
        gap = state.gap(cursor) and cursor != Cursor(0)
        last = frames[-1].sequence if len(frames) == most else max(state.last, state.begin)
        body = {
            "events": [_data(frame) for frame in frames],
            "next": str(Cursor(last, state.epoch)),
            "gap": gap,
            "oldest": state.begin + 1,
        }
        return web.json_response(body)

    async def _look(self, cursor: Cursor, wanted: Filter, most: int, wait: float) -> tuple[Log, list[Frame]]:
        until = asyncio.get_running_loop().time() + wait
        while True:
            seen = self._hub.bell()
            state = await self._hub.state()
            after = state.begin if state.gap(cursor) else cursor.sequence
            frames = await self._hub.page(after, state.last, wanted, most)
            left = until - asyncio.get_running_loop().time()
            if frames or left <= 0 or self._hub.closed:
                return state, frames
            await self._hub.news(seen, left)


def _data(frame: Frame) -> object:
    return json.loads(frame.wire.split(b"\ndata: ", 1)[1])


async def _write(response: web.StreamResponse, frames: Iterable[Frame]) -> None:
    if data := b"".join(frame.wire for frame in frames):
        await _send(response, data)


async def _send(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(WRITE):
        await response.write(data)


def _number(request: web.Request, name: str, default: int, least: int, most: int) -> int:
    text = request.query.get(name, "")
    if text and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Refused(f"{name}: a number from {least} to {most}")
    return max(least, min(most, int(text))) if text else default


def _seconds(request: web.Request) -> float:
    text = request.query.get("wait", "0").removesuffix("s")
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise Refused("wait: seconds, as 30")
    return float(text)
