"""What a remote's manifest says, written to the ledger: a run opened, closed with what its file holds, or given up.

Each ends in one transaction with what is remembered of the run, so that a stop at any moment loses nothing and does
nothing twice.
"""

import asyncio
import contextlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.ingest.api.desk import LabDesk
from services.ingest.api.saying import admission
from services.ingest.remotes import book
from services.ingest.remotes.book import Run
from services.ingest.remotes.fetch import Marks
from services.ingest.remotes.store import BookStore, Place, Rejection
from shared.db.pool import Connection, Pool
from shared.errors import Refused, Superseded
from shared.formats.reported import Reported
from shared.formats.run_columns import Columns, to_columns
from shared.ledger import Ending, Ledger, Opening, OpenRun

KNOWN = "another run of this name was closed before"
_EXPECT = timedelta(hours=3)
_SLACK = timedelta(hours=1)
"""By how much clocks of labs go wrong."""


@dataclass(frozen=True, slots=True)
class Taker:
    """Writes the runs of one remote."""

    desk: LabDesk
    store: BookStore

    @property
    def _ledger(self) -> Ledger:
        return self.desk.ledger

    @property
    def _pool(self) -> Pool:
        return self.desk.floor.pool

    async def open(self, run: Run, place: Place, now: datetime) -> None:
        """Show the run as running."""
        async with self._pool.acquire() as conn, conn.transaction():
            held = await self._held(conn, self._opening(run, place))
            if held is not None:
                await self.store.watch_over(conn, held.id, now + self.desk.labs.longest + self.desk.labs.silence)
            after = book.opened(run, held.id, now) if held else book.taken(run, None, "", "", KNOWN, now)
            await self.store.save(conn, [after])
            await self.store.heard(conn, run.executor, run.branch)

    async def take(self, run: Run, place: Place, said: Reported, digest: str, marks: Marks, now: datetime) -> None:
        """Close the run with what its file says."""
        began = said.started.isoformat() if said.started else ""
        columns = await asyncio.to_thread(to_columns, said.cases)
        async with self._pool.acquire() as conn, conn.transaction():
            run_id = await self._close(conn, run, place, said, columns, now)
            note = _note(said) if run_id else KNOWN
            after = book.taken(run, run_id, began, digest, note, now)
            await self.store.save(conn, [replace(after, etag=marks.etag, modified=marks.modified)])
            await self.store.heard(conn, run.executor, run.branch)

    async def _close(
        self, conn: Connection, run: Run, place: Place, said: Reported, columns: Columns, now: datetime
    ) -> int | None:
        """The run in the ledger, whole if it is new; None where one of its name was closed before."""
        started = _believed(said.started, place, now)
        opening = replace(self._opening(run, place), device=said.device, link=said.link, started=started)
        ending = Ending(ended=_believed(said.ended, place, now))
        admit = admission(self.desk, conn, self.store.remote)
        if run.state is not book.State.OPEN:
            with contextlib.suppress(Superseded):
                return (await self._ledger.whole(conn, opening, columns, ending, admit)).id
        if (held := await self._held(conn, opening)) is None:
            return None
        await self._ledger.describe(conn, held, said.device, said.link, started)
        await self._ledger.append_columns(conn, held, columns, admit)
        await self._ledger.finish(conn, held, ending)
        return held.id

    async def lose(self, run: Run, place: Place, why: str) -> None:
        """Close a run of which nothing more will come."""
        async with self._pool.acquire() as conn, conn.transaction():
            await self._abandon(conn, run, place, why)
            await self.store.save(conn, [book.lost(run, why)])

    async def fail(self, run: Run, place: Place, after: Run, rejection: Rejection | None) -> None:
        """Remember what became of a file that could not be taken; close its run once it is given up."""
        async with self._pool.acquire() as conn, conn.transaction():
            if run.state is book.State.OPEN and after.ended:
                await self._abandon(conn, run, place, after.reason)
            if rejection is not None:
                await self.store.reject(conn, rejection)
            await self.store.save(conn, [after])

    async def _abandon(self, conn: Connection, run: Run, place: Place, why: str) -> None:
        if (held := await self._held(conn, self._opening(run, place))) is not None:
            await self._ledger.abandon(conn, held, "infra", why)

    async def _held(self, conn: Connection, opening: Opening) -> OpenRun | None:
        """The run, opened or taken up again; None where it is closed."""
        try:
            return await self._ledger.open(conn, opening)
        except Superseded:
            return None

    def _opening(self, run: Run, place: Place) -> Opening:
        return Opening(
            place.project, self.store.remote, run.executor, place.stream, run.branch, place.cut, attempt=run.attempt,
            expected_end=place.announced + self._expect(place.stream), kernel_commit=place.commit,
        )  # fmt: skip

    def _expect(self, stream: str) -> timedelta:
        try:
            return self.desk.floor.settings.project_of(stream)[2].expect
        except Refused:
            return _EXPECT


def _believed(time: datetime | None, place: Place, now: datetime) -> datetime | None:
    """A lab's word on when, unless no run on this branch can have been then."""
    return time if time and place.announced - _SLACK <= time <= now else None


def _note(said: Reported) -> str:
    """What was odd about a file that was taken all the same."""
    if not said.warnings:
        return ""
    more = f" (and {len(said.warnings) - 1} more)" if len(said.warnings) > 1 else ""
    return f"taken; {said.warnings[0]}{more}"
