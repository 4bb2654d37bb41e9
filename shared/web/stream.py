"""The endpoints of the log: a stream for who stays (SSE), pages and long polls for who comes by.

All take the filters of `shared.web.wanted` and a cursor: ``Last-Event-ID`` or ``?after=``; a stream without one begins
with what happens from now on. ``?wait=`` is how long a page waits for an event, and bounds a stream. A token, in the
header alone, shows what its holder may see besides.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from aiohttp import hdrs, web

from shared.errors import Refused
from shared.web.app import PATIENT
from shared.web.audience import ANYBODY, Audience, audience_of
from shared.web.auth import TOKEN, Gate
from shared.web.budget import Budget
from shared.web.client import address_of
from shared.web.cursor import Cursor, Log, parse_cursor
from shared.web.frames import Frame, encode_beat, encode_gap, pieces
from shared.web.line import Line
from shared.web.sse import Hub, Page, Reader
from shared.web.wanted import Filter, parse_filter

HEARTBEAT = 10.0
"""Seconds between comments on a silent stream; proxies give up on silence after 30 to 60."""
RECHECK = 60.0
"""Seconds until a token that stays with us is looked at again: it may have been revoked."""
PLACES = (64, 4000)
MOST_WAIT = 60.0
HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    # nginx buffers answers unless told; other proxies are told by their configuration.
    "X-Accel-Buffering": "no",
    "Access-Control-Allow-Origin": "*",
}

FindSeries = Callable[[Collection[str]], Awaitable[Mapping[str, Sequence[int]]]]
"""Numbers of series by message ids; those that are not known are left out."""


def filter_of(request: web.Request, audience: Audience = ANYBODY) -> Filter:
    """What the query asks for. Raises Refused."""
    return parse_filter(lambda name: request.query.getall(name, []), audience)


def cursor_of(request: web.Request) -> Cursor | None:
    """`Last-Event-ID` is what a browser knows best after a break; `?after=` is where it began."""
    text = request.headers.get("Last-Event-ID") or request.query.get("after")
    return parse_cursor(text) if text else None


class Stream:
    """The handlers over one hub. `places` are streams and long polls of one address, or token, and of all."""

    def __init__(
        self,
        hub: Hub,
        *,
        gate: Gate | None = None,
        find: FindSeries | None = None,
        heartbeat: float = HEARTBEAT,
        places: tuple[int, int] = PLACES,
    ) -> None:
        self._hub = hub
        self._gate = gate
        self._find = find
        self._heartbeat = heartbeat
        self._anonymous = Budget("address", *places)
        self._tokens = Budget("token", *places)

    def mount(self, app: web.Application, path: str = "/api/v1/events") -> None:
        """`path` answers a stream or a page by Accept; ``path/stream`` is always a stream."""
        app.router.add_get(path, self.either, allow_head=False)
        app.router.add_get(f"{path}/stream", self.stream, allow_head=False)
        app[PATIENT] |= {self.either, self.stream}
        app.on_shutdown.append(self.close)

    async def close(self, app: web.Application) -> None:
        self._hub.close()

    async def either(self, request: web.Request) -> web.StreamResponse:
        if "text/event-stream" in request.headers.get("Accept", ""):
            return await self.stream(request)
        return await self.page(request)

    async def _wanted(self, request: web.Request) -> Filter:
        token = request.get(TOKEN)
        if token is None and self._gate is not None:
            token = await self._gate.token(request)
        wanted = filter_of(request, audience_of(token))
        return wanted.known(await self._find(wanted.mails)) if wanted.mails and self._find else wanted

    def _place(self, request: web.Request) -> tuple[Budget, str]:
        if (token := request.get(TOKEN)) is not None:
            return self._tokens, token.id
        return self._anonymous, address_of(request)

    # For who stays

    async def stream(self, request: web.Request) -> web.StreamResponse:
        wanted, cursor = await self._wanted(request), cursor_of(request)
        ends = _now() + _seconds(request) if "wait" in request.query else None
        budget, who = self._place(request)
        with budget.held(who):
            return await self._follow(request, wanted, cursor, ends)

    async def _follow(
        self, request: web.Request, wanted: Filter, cursor: Cursor | None, ends: float | None
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=HEADERS)
        state = await self._hub.state()
        line = await Line.opened(request, response)
        try:
            at = await _begin(line, state, cursor)
            reader = Reader(wanted, at, state.epoch, line.put, state.last)
            await self._stay(request, line, reader, ends)
        except (TimeoutError, ConnectionResetError):
            line.abort()
        return response

    async def _stay(self, request: web.Request, line: Line, reader: Reader, ends: float | None) -> None:
        """Catch up, join, and again whenever the reader falls behind."""
        while not reader.closed:
            while (frames := await self._hub.past(reader)) is not None:
                for piece in pieces(frames):
                    await line.send(piece.data)
            self._hub.join(reader)
            try:
                if not await self._live(request, line, reader, ends):
                    return
            finally:
                self._hub.leave(reader)
            await line.drained()

    async def _live(self, request: web.Request, line: Line, reader: Reader, ends: float | None) -> bool:
        """Until the reader is behind; False where it has stayed as long as it wanted, or its token does not hold."""
        recheck = _now() + RECHECK
        while True:
            left = self._heartbeat if ends is None else min(self._heartbeat, ends - _now())
            if await reader.stirred(max(0.0, left)):
                return True
            if ends is not None and _now() >= ends:
                return False
            if _now() >= recheck:
                if not await self._holds(request):
                    return False
                recheck = _now() + RECHECK
            await line.send(encode_beat(self._hub.cursor(reader)))

    async def _holds(self, request: web.Request) -> bool:
        if self._gate is None or TOKEN not in request:
            return True
        try:
            return await self._gate.token(request) is not None
        except Refused:
            return False

    # For who comes by

    async def page(self, request: web.Request) -> web.StreamResponse:
        """``{"events", "next", "gap", "oldest"}``; `next` is the cursor to come back with."""
        wanted = await self._wanted(request)
        wait = min(MOST_WAIT, _seconds(request))
        most = _number(request, "limit", 100, 1, 500)
        cursor = cursor_of(request) or Cursor(0)
        if not wait:
            return _answer(*await self._look(cursor, wanted, most), cursor)
        budget, who = self._place(request)
        with budget.held(who):
            return _answer(*await self._wait(cursor, wanted, most, wait), cursor)

    async def _look(self, cursor: Cursor, wanted: Filter, most: int) -> tuple[Log, Page]:
        state = await self._hub.state()
        after = state.begin if state.gap(cursor) else cursor.sequence
        return state, await self._hub.page(after, state.last, wanted, most)

    async def _wait(self, cursor: Cursor, wanted: Filter, most: int, wait: float) -> tuple[Log, Page]:
        """Look, and if nothing is there be a reader until something that is wanted comes."""
        until = _now() + wait
        while True:
            state, page = await self._look(cursor, wanted, most)
            if page.frames or _now() >= until or self._hub.closed or state.gap(cursor):
                return state, page
            if self._hub.position > state.last or self._hub.epoch != state.epoch:
                # One of the two looks at the log is older than the other.
                await asyncio.sleep(0.05)
                continue
            reader = Reader(wanted, state.last, state.epoch, _enough)
            self._hub.join(reader)
            try:
                await reader.stirred(until - _now())
            finally:
                self._hub.leave(reader)


def _enough(data: bytes) -> bool:
    return False


async def _begin(line: Line, state: Log, cursor: Cursor | None) -> int:
    """Say where the stream begins; the id alone is no event, but a browser keeps it for its return."""
    if cursor is not None and state.gap(cursor):
        await line.send(encode_gap(state, cursor))
        return state.begin
    start = Cursor(state.last if cursor is None else cursor.sequence, state.epoch)
    await line.send(f"retry: 3000\nid: {start}\n\n".encode())
    return start.sequence


def _answer(state: Log, page: Page, cursor: Cursor) -> web.Response:
    """The events as they are, without reading their JSON only to write it again."""
    gap = state.gap(cursor) and cursor != Cursor(0)
    head = f'{{"next": "{Cursor(max(page.reached, state.begin), state.epoch)}", "gap": {str(gap).lower()}, '
    body = f'{head}"oldest": {state.begin + 1}, "events": ['.encode() + b", ".join(_data(page.frames)) + b"]}"
    headers = {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*"}
    return web.Response(body=body, content_type="application/json", charset="utf-8", headers=headers)


def _data(frames: Sequence[Frame]) -> list[bytes]:
    return [frame.data for frame in frames]


def _now() -> float:
    return asyncio.get_running_loop().time()


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


__all__ = ["HEARTBEAT", "Stream", "cursor_of", "filter_of"]
