"""What a remote's manifest says, written to the ledger: a run opened, closed with what its file holds, or given up.

Each ends in one transaction with what is remembered of the run, so that a stop at any moment loses nothing and does
nothing twice.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.ingest.remotes import book
from services.ingest.remotes.book import Run
from services.ingest.remotes.fetch import Marks
from services.ingest.remotes.store import BookStore, Place, Rejection
from shared.db.pool import Connection
from shared.errors import Refused, Superseded
from shared.floor import Floor
from shared.formats.reported import Reported
from shared.ledger import Ledger, Opening, OpenRun
from shared.ledger.write import Ending

KNOWN = "another run of this name was closed before"
_EXPECT = timedelta(hours=3)


@dataclass(frozen=True, slots=True)
class Taker:
    """Writes the runs of one remote."""

    floor: Floor
    store: BookStore
    ledger: Ledger

    async def open(self, run: Run, place: Place, now: datetime) -> None:
        """Show the run as running."""
        async with self.floor.pool.acquire() as conn, conn.transaction():
            held = await self._held(conn, run, self._opening(run, place))
            after = book.opened(run, held.id, now) if held else book.taken(run, None, "", "", KNOWN, now)
            await self.store.save(conn, [after])
            await self.store.heard(conn, now, run.executor, run.branch)

    async def take(self, run: Run, place: Place, said: Reported, digest: str, marks: Marks, now: datetime) -> None:
        """Close the run with what its file says."""
        began = said.started.isoformat() if said.started else ""
        opening = replace(self._opening(run, place), device=said.device, link=said.link)
        async with self.floor.pool.acquire() as conn, conn.transaction():
            held = await self._held(conn, run, opening)
            if held is not None:
                await self.ledger.describe(conn, held, said.device, said.link, said.started)
                await self.ledger.append(conn, held, said.cases)
                await self.ledger.finish(conn, held, Ending())
            note = _note(said) if held else KNOWN
            after = book.taken(run, held.id if held else None, began, digest, note, now)
            await self.store.save(conn, [replace(after, etag=marks.etag, modified=marks.modified)])
            await self.store.heard(conn, now, run.executor, run.branch)

    async def lose(self, run: Run, place: Place, why: str) -> None:
        """Close a run of which nothing more will come."""
        async with self.floor.pool.acquire() as conn, conn.transaction():
            await self._abandon(conn, run, place, why)
            await self.store.save(conn, [book.lost(run, why)])

    async def fail(self, run: Run, place: Place, after: Run, rejection: Rejection | None) -> None:
        """Remember what became of a file that could not be taken; close its run once it is given up."""
        async with self.floor.pool.acquire() as conn, conn.transaction():
            if run.state is book.State.OPEN and after.ended:
                await self._abandon(conn, run, place, after.reason)
            if rejection is not None:
                await self.store.reject(conn, rejection)
            await self.store.save(conn, [after])

    async def _abandon(self, conn: Connection, run: Run, place: Place, why: str) -> None:
        if (held := await self._held(conn, run, self._opening(run, place))) is not None:
            await self.ledger.abandon(conn, held, "infra", why)

    async def _held(self, conn: Connection, run: Run, opening: Opening) -> OpenRun | None:
        """The run, opened or taken up again; None where it is closed."""
        try:
            return await self.ledger.open(conn, opening)
        except Superseded:
            return None

    def _opening(self, run: Run, place: Place) -> Opening:
        return Opening(
            place.project, self.store.remote, run.executor, place.stream, run.branch, place.cut, attempt=run.attempt,
            expected_end=place.announced + self._expect(place.stream), kernel_commit=place.commit,
        )  # fmt: skip

    def _expect(self, stream: str) -> timedelta:
        try:
            return self.floor.settings.project_of(stream)[2].expect
        except Refused:
            return _EXPECT


def _note(said: Reported) -> str:
    """What was odd about a file that was taken all the same."""
    if not said.warnings:
        return ""
    more = f" (and {len(said.warnings) - 1} more)" if len(said.warnings) > 1 else ""
    return f"taken; {said.warnings[0]}{more}"
