"""The event stream: the log, read once a process and fanned out to any number of readers.

Theory of operation. The hub follows the log by number, woken by the bell `netci_events`, and encodes each event once;
every reader's queue holds references to the same bytes. A reader that comes with a cursor first reads the past from
the database, page by page, until it has caught up with the hub's position; between that comparison and joining there
is no await, so nothing falls between. A queue is bounded: whoever doesn't read fast enough is cut off, and comes
back by itself with the id of the last event it got.

Wire form: https://html.spec.whatwg.org/multipage/server-sent-events.html; `id` is a cursor (shared/web/cursor.py),
`event` the CloudEvents type, `data` the CloudEvent. `event: gap` says that events before the next one are lost to
this reader and where the log begins.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Never

import structlog

from shared.db.bells import Bells
from shared.db.pool import AWAY, Pool
from shared.db.statements import load
from shared.web.cursor import Cursor, Log, log_of

log = structlog.get_logger(__name__)

SQL = load("shared.web")
PAGE = 500
QUEUE = 1000
REPLAYS = 4
"""Pages of the past read at one time, for all readers together; never held while a reader is written to."""
PUBLIC = ("public",)


@dataclass(frozen=True, slots=True)
class Frame:
    """One event, encoded. All readers share `wire`."""

    sequence: int
    type: str
    project: str
    wire: bytes


@dataclass(frozen=True, slots=True)
class Filter:
    """What a reader wants. Empty means everything."""

    types: frozenset[str] = frozenset()
    project: str = ""

    def wants(self, frame: Frame) -> bool:
        return (not self.types or frame.type in self.types) and (not self.project or frame.project == self.project)


def encode(sequence: int, epoch: str, type: str, body: str) -> bytes:
    """An event as a frame; `body` is JSON on one line."""
    return f"id: {sequence}-{epoch}\nevent: {type}\ndata: {body}\n\n".encode()


def encode_gap(state: Log, asked: Cursor) -> bytes:
    """Says that the reader missed something; goes on from the oldest event kept."""
    data = json.dumps({"asked": str(asked), "oldest": state.begin + 1, "last": state.last, "epoch": state.epoch})
    return f"id: {Cursor(state.begin, state.epoch)}\nevent: gap\ndata: {data}\n\n".encode()


class Reader:
    """One reader's bounded queue."""

    def __init__(self, wanted: Filter, size: int) -> None:
        self.wanted = wanted
        self.closed = False
        self._size = size
        self._frames: deque[Frame] = deque()
        self._news = asyncio.Event()

    def offer(self, frame: Frame) -> bool:
        """Queue the frame; False if the reader is too slow and was closed."""
        if len(self._frames) >= self._size:
            self.close()
            return False
        self._frames.append(frame)
        self._news.set()
        return True

    def close(self) -> None:
        self.closed = True
        self._frames.clear()
        self._news.set()

    async def take(self, timeout: float) -> list[Frame]:
        """What has come, all of it; [] after `timeout` seconds or when closed."""
        try:
            async with asyncio.timeout(timeout):
                await self._news.wait()
        except TimeoutError:
            return []
        frames = list(self._frames)
        self._frames.clear()
        if not self.closed:
            self._news.clear()
        return frames


class Hub:
    """Reads the log once for all readers of this process. `well` says whether it could at its last look."""

    def __init__(self, pool: Pool, bells: Bells, *, visibilities: Sequence[str] = PUBLIC, queue: int = QUEUE) -> None:
        self._pool = pool
        self._bells = bells
        self._visibilities = list(visibilities)
        self._queue = queue
        self._readers: set[Reader] = set()
        self._closed = False
        self._replays = asyncio.Semaphore(REPLAYS)
        self.position = -1
        self.well = False
        self.epoch = ""

    @property
    def readers(self) -> int:
        return len(self._readers)

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """End all readers, present and to come."""
        self._closed = True
        self._drop_all()
        self._bells.ring("netci_events")

    def bell(self) -> int:
        return self._bells.count("netci_events")

    async def news(self, seen: int, timeout: float) -> None:
        """Wait until the log has moved on since `bell()` gave `seen`, at most `timeout` seconds."""
        await self._bells.wait("netci_events", seen, timeout)

    def _drop_all(self) -> None:
        for reader in self._readers:
            reader.close()
        self._readers.clear()

    def join(self, wanted: Filter) -> Reader:
        """Receive everything after `position`."""
        reader = Reader(wanted, self._queue)
        if self._closed:
            reader.close()
        else:
            self._readers.add(reader)
        return reader

    def leave(self, reader: Reader) -> None:
        self._readers.discard(reader)

    async def start(self) -> None:
        """Find the end of the log. Before it, nobody can join."""
        await self._round()
        self.well = True

    async def run(self) -> Never:
        """Follow the log for good; goes on after the database was away."""
        while True:
            seen = self._bells.count("netci_events")
            try:
                while await self._round():
                    pass
                self.well = True
            except AWAY as exc:
                self.well = False
                log.warning("stream: the database is away", error=str(exc) or type(exc).__name__)
                await asyncio.sleep(1)
            await self._bells.wait("netci_events", seen, 5)

    async def state(self) -> Log:
        return log_of(await self._pool.fetchrow(SQL["log_state"], timeout=10))

    async def _round(self) -> bool:
        state = await self.state()
        if state.epoch != self.epoch or state.last < self.position:
            # Another log than the one our readers follow: they come back, and are told of the gap.
            self._drop_all()
            self.epoch, self.position = state.epoch, state.last
        if not self._readers:
            # Nothing was awaited since the look at the readers, so nobody who joins now is passed over.
            self.position = max(self.position, state.last)
            return False
        frames = await self.page(self.position, state.last, Filter())
        for frame in frames:
            self._offer(frame)
        self.position = frames[-1].sequence if len(frames) == PAGE else state.last
        return self.position < state.last

    def _offer(self, frame: Frame) -> None:
        slow = [r for r in self._readers if r.wanted.wants(frame) and not r.offer(frame)]
        for reader in slow:
            log.info("stream: dropped a slow reader", at=frame.sequence)
            self._readers.discard(reader)

    async def page(self, after: int, upto: int, wanted: Filter, most: int = PAGE) -> list[Frame]:
        """Events of the log after one number up to another."""
        rows = await self._pool.fetch(
            SQL["log_page"], after, upto, sorted(wanted.types) or None, wanted.project or None,
            self._visibilities, most, timeout=20,
        )  # fmt: skip
        return [
            Frame(r["sequence"], r["type"], r["project"], encode(r["sequence"], self.epoch, r["type"], r["body"]))
            for r in rows
        ]

    async def catch_up(self, after: int, wanted: Filter) -> AsyncIterator[list[Frame]]:
        """The past after `after`, in pages, up to the hub's position at the end. Then `join` without an await."""
        while after < self.position:
            upto = self.position
            async with self._replays:
                frames = await self.page(after, upto, wanted)
            after = frames[-1].sequence if len(frames) == PAGE else upto
            yield frames
