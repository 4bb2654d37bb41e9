"""The event stream: the log, read once a process and fanned out to any number of readers.

Theory of operation. The hub follows the log by number, woken by the bell `netci_events`, and encodes each event once;
readers that want the same and may see the same form a group, and get the same bytes. They are written to straight
from here, without waking a task for each. No reader has a queue: one whose connection does not take what it was
given is *behind*. It leaves the group, waits until its connection has drained, reads what it missed from the log,
page by page, and joins again; if it does not drain in time it is cut off, and comes back by itself with the id of
the last event it got. So a slow reader costs what its connection buffers, and nothing else.

A reader with a cursor begins in the same way: it is behind until it has caught up with the hub's position. Between
that comparison and joining there is no await, so nothing falls between. The end of the log is kept in memory
(`recent`): when we start again, all readers come back at once with cursors of a moment ago.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Never

import structlog

from shared.db.bells import Bells
from shared.db.pool import AWAY, Pool, Record
from shared.db.statements import load
from shared.web.audience import EVERYTHING
from shared.web.cursor import Cursor, Log, log_of
from shared.web.frames import Frame, Piece, choose, frame_of, pieces
from shared.web.recent import Recent
from shared.web.wanted import Filter

log = structlog.get_logger(__name__)

SQL = load("shared.web")
BELL = "netci_events"
PAGE = 500
PAGE_BYTES = 1 << 18
"""What is read of the log at one time, for all."""
REPLAY_BYTES = 1 << 16
"""And for one reader: it is held until the reader has taken it, however slow that is."""
RECENT = 1 << 23
"""Bytes of the log's end that are kept in memory."""
AT_START = 10_000
"""Events of it that are read at the start, at most."""
REPLAYS = 4
"""Pages of the past read at one time, for all readers together; never held while a reader is written to."""
ALL = Filter(audience=EVERYTHING)

Put = Callable[[bytes], Awaitable[bool]]
"""Writes without waiting; False once the connection holds so much that it must drain first."""


class Reader:
    """One reader: what it wants, and the last number that it has been given, or passed over, `at`.

    It is given the log up to `least` even where the hub has not come so far.
    """

    def __init__(self, wanted: Filter, at: int, epoch: str, put: Put, least: int = 0) -> None:
        self.wanted = wanted
        self.at = at
        self.epoch = epoch
        self.least = least
        self.behind = False
        self.closed = False
        self._put = put
        self._stirred = asyncio.Event()

    async def push(self, piece: Piece) -> None:
        """Give it the piece, unless it is behind. Never waits."""
        if self.behind or self.closed or piece.last <= self.at:
            return
        try:
            room = await self._put(piece.after(self.at))
        except (ConnectionResetError, RuntimeError):
            self.close()
            return
        self.at = piece.last
        if not room:
            self.behind = True
            self._stirred.set()

    def close(self) -> None:
        self.closed = True
        self._stirred.set()

    async def stirred(self, timeout: float) -> bool:
        """Wait until it is behind or closed; False after `timeout` seconds of neither."""
        try:
            async with asyncio.timeout(timeout):
                await self._stirred.wait()
        except TimeoutError:
            return self._stirred.is_set()
        return True

    def caught_up(self) -> None:
        self.behind = False
        if not self.closed:
            self._stirred.clear()


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the log: what of it is wanted, and the number up to which it was read."""

    frames: Sequence[Frame]
    reached: int


class Hub:
    """Reads the log once for all readers of this process. `well` says whether it could at its last look."""

    def __init__(self, pool: Pool, bells: Bells) -> None:
        self._pool = pool
        self._bells = bells
        self._groups: dict[Filter, set[Reader]] = {}
        self._replays = asyncio.Semaphore(REPLAYS)
        self._recent = Recent(RECENT)
        self.position = -1
        self.epoch = ""
        self.well = False
        self.closed = False

    @property
    def readers(self) -> int:
        return sum(map(len, self._groups.values()))

    def cursor(self, reader: Reader) -> Cursor:
        """How far a reader is that takes part: nothing before it will come any more."""
        return Cursor(reader.at if reader.behind else max(reader.at, self.position), reader.epoch)

    def close(self) -> None:
        """End all readers, present and to come."""
        self.closed = True
        self._drop_all()

    def _drop_all(self) -> None:
        for readers in self._groups.values():
            for reader in readers:
                reader.close()
        self._groups.clear()

    def join(self, reader: Reader) -> None:
        """Let it be given everything after `position`. Its `past` must have been None without an await since."""
        reader.caught_up()
        if self.closed or reader.epoch != self.epoch:
            reader.close()
        else:
            self._groups.setdefault(reader.wanted, set()).add(reader)

    def leave(self, reader: Reader) -> None:
        readers = self._groups.get(reader.wanted, set())
        readers.discard(reader)
        if not readers:
            self._groups.pop(reader.wanted, None)

    async def start(self) -> None:
        """Read the end of the log. Before it, nobody can join."""
        while await self._round():
            pass
        self.well = True

    async def run(self) -> Never:
        """Follow the log for good; goes on after the database was away."""
        while True:
            seen = self._bells.count(BELL)
            try:
                while await self._round():
                    pass
                self.well = True
            except AWAY as exc:
                self.well = False
                log.warning("stream: the database is away", error=str(exc) or type(exc).__name__)
                await asyncio.sleep(1)
            await self._bells.wait(BELL, seen, 5)

    async def state(self) -> Log:
        return log_of(await self._pool.fetchrow(SQL["log_state"], timeout=10))

    async def _round(self) -> bool:
        state = await self.state()
        if state.epoch != self.epoch or state.last < self.position:
            # Another log than the one our readers follow: they come back, and are told of the gap.
            self._drop_all()
            self.epoch, self.position = state.epoch, max(state.begin, state.last - AT_START)
            self._recent.begin(self.position)
        if self.position == state.last:
            return False
        page = await self.page(self.position, state.last, ALL)
        # Before anybody is written to: who joins from now on reads these from the log.
        self.position = page.reached
        self._recent.add(page.frames)
        await self._offer(page.frames)
        return self.position < state.last

    async def _offer(self, frames: Sequence[Frame]) -> None:
        for wanted, readers in list(self._groups.items()):
            chosen, learnt = choose(frames, wanted)
            for piece in pieces(chosen):
                for reader in list(readers):
                    await reader.push(piece)
            if learnt is not wanted:
                self._regroup(wanted, learnt)

    def _regroup(self, wanted: Filter, learnt: Filter) -> None:
        moved = self._groups.pop(wanted, set())
        for reader in moved:
            reader.wanted = learnt
        self._groups.setdefault(learnt, set()).update(moved)

    async def page(self, after: int, upto: int, wanted: Filter, most: int = PAGE, size: int = PAGE_BYTES) -> Page:
        """Events of the log after one number up to another: as many as fit a page."""
        args = (
            after, upto, _some(wanted.types), _some(wanted.projects), _some(wanted.streams), _some(wanted.remotes),
            sorted(wanted.series) if wanted.series or wanted.mails else None, sorted(wanted.mails),
            wanted.audience.all, wanted.audience.remote,
            None if wanted.audience.projects is None else sorted(wanted.audience.projects), most, size,
        )  # fmt: skip
        rare = wanted.streams or wanted.remotes or wanted.series or wanted.mails
        rows = await (self._fetch_rare(*args) if rare else self._pool.fetch(SQL["log_page"], *args, timeout=20))
        frames = [frame_of(dict(row), self.epoch) for row in rows]
        full = len(frames) == most or sum(len(frame.wire) for frame in frames) >= size
        return Page(frames, frames[-1].sequence if full else upto)

    async def _fetch_rare(self, *args: object) -> Sequence[Record]:
        """Planned anew: the plan for any filter would read the whole log for a rare one."""
        async with self._pool.acquire(timeout=20) as conn, conn.transaction(readonly=True):
            await conn.execute(SQL["plan_anew"], timeout=20)
            return await conn.fetch(SQL["log_page"], *args, timeout=20)

    async def past(self, reader: Reader) -> Sequence[Frame] | None:
        """The next page of what a reader has missed; None when it has caught up and may join."""
        upto = max(self.position, reader.least)
        if reader.at >= upto or self.closed:
            return None
        if upto == self.position and (recent := self._recent.after(reader.at, PAGE_BYTES)) is not None:
            reached = recent[-1].sequence if recent else upto
            frames, reader.wanted = choose(recent, reader.wanted)
            reader.at = reached
            return frames
        async with self._replays:
            page = await self.page(reader.at, upto, reader.wanted, size=REPLAY_BYTES)
        frames, reader.wanted = choose(page.frames, reader.wanted)
        reader.at = page.reached
        return frames


def _some(words: frozenset[str]) -> list[str] | None:
    return sorted(words) or None
