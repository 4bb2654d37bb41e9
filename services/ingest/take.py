"""Taking in one series: fetch its mails, put them together, decide, store and announce.

A piece of work of the room's desk, so it is done under a lease, tried again after an outage, and bears being begun
twice: a series is known by the source's number and how many patches of it were received.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from services.ingest import assemble, supersede
from services.ingest.announce import announce_arrival, announce_change
from services.ingest.assemble import Assembled
from services.ingest.sources.base import Parcel, Pull, Sighting, Source
from services.ingest.standing import DELETED, Facts, PatchFact, Rules, Standing, State, standing
from services.ingest.store import Entry, IngestStore, Row
from services.ingest.triage import Decision, triage
from services.ingest.waits import asked_wait, wait_after
from shared.blobs.record import keep
from shared.db.pool import Connection
from shared.db.work import Postpone, Work, settle
from shared.errors import Missing, Refused, Transient
from shared.floor import Floor
from shared.formats.clean import plain
from shared.health import report_health
from shared.model.mails import Mail
from shared.pauses import paused
from shared.settings import Project

log = structlog.get_logger(__name__)

BIG = 256 << 10
"""Bytes of mails from which they are read in a thread, so that polls go on meanwhile."""
UNFINISHED = (State.INCOMPLETE, State.GIVEN_UP)


@dataclass(slots=True)
class Calm:
    """How the source fares, shared by all hands: after a failure nobody asks for a while, after a second in a row
    the failure is the source's and not the series'."""

    failures: int = 0
    until: float = 0.0

    @property
    def left(self) -> float:
        return self.until - time.monotonic()

    def failed(self, asked: float | None) -> float:
        self.failures += 1
        wait = wait_after(0.0, self.failures, asked)
        self.until = time.monotonic() + wait
        return wait

    def went_well(self) -> bool:
        """Whether this is news."""
        news, self.failures, self.until = self.failures > 0, 0, 0.0
        return news


@dataclass(frozen=True, slots=True)
class Taking:
    """Takes series of one source into the room's tables."""

    floor: Floor
    source: Source
    project: Project
    store: IngestStore
    rules: Rules
    calm: Calm = field(default_factory=Calm)

    async def take(self, work: Work) -> None:
        """Do one piece of work: the series number `work.payload["id"]`."""
        if why := await paused(self.floor.pool, "source", self.source.label):
            raise Postpone(5, f"source {self.source.label} is paused: {why}")
        if (left := self.calm.left) > 0:
            raise Postpone(left, f"{self.source.label} is given a rest")
        try:
            await self._take(work)
        except Transient as exc:
            await self._trouble(exc)
        else:
            if self.calm.went_well():
                await self._tell(True, "answers again")

    async def _trouble(self, exc: Transient) -> None:
        wait = self.calm.failed(asked_wait(exc.hints))
        await self._tell(False, str(exc))
        if self.calm.failures > 1:
            raise Postpone(wait, str(exc)) from exc
        raise exc

    async def _tell(self, ok: bool, text: str) -> None:
        await report_health(self.floor, f"mails of {self.source.label}", ok, text, self.source.project)

    async def _take(self, work: Work) -> None:
        external_id = int(work.payload["id"])
        try:
            seen = await self._seen(external_id, work.payload)
            if not seen.complete or await self._have(seen):
                async with settle(self.floor.pool, work) as conn:
                    await self._note(conn, seen)
                return
            got, mails = await self._mails(seen)
        except Missing as exc:
            log.info("series: gone", series=external_id, error=str(exc))
            await self._gone(work, external_id)
            return
        series = await self._assembled(got, mails)
        mbox = await keep(self.floor, got.mbox)
        cover = await keep(self.floor, got.cover_mbox) if got.cover_mbox else None
        states = states_of(work.payload.get("states") or {})
        async with settle(self.floor.pool, work) as conn:
            await Settling(self, conn, got, series, mbox, cover, states).save()

    async def _seen(self, external_id: int, payload: Mapping[str, Any]) -> Sighting:
        """The series as the order describes it, else as the source does."""
        if ticket := payload.get("ticket"):
            return Sighting(external_id, payload.get("received"), ticket=ticket)
        return await self.source.look(external_id)

    async def _note(self, conn: Connection, seen: Sighting) -> None:
        if not seen.complete:
            await self.store.note_incomplete(conn, seen)

    async def _mails(self, seen: Sighting) -> tuple[Parcel, "tuple[Mail, ...] | str"]:
        got = await self.source.parcel(seen.ticket)
        mails = await read(got.mbox)
        if isinstance(mails, str) or len(mails) == len(got.pieces):
            return got, mails
        # It may have grown between the description and the mails: look once more.
        got = await self.source.parcel((await self.source.look(seen.external_id)).ticket)
        return got, await read(got.mbox)

    async def _have(self, seen: Sighting) -> bool:
        known = await self.store.known(self.floor.pool, [seen.external_id])
        count, state = known.get(seen.external_id, (0, State.INCOMPLETE))
        return count == seen.received and state not in UNFINISHED

    async def _assembled(self, got: Parcel, mails: "tuple[Mail, ...] | str") -> Assembled:
        if isinstance(mails, str):
            return unreadable(got, mails)
        question = assemble.pull_question(got, mails)
        pull: Pull | None = None
        if question:
            pull = await self.source.pull_of(patch=question.patch, message_id=question.message_id)
        cover = await read(got.cover_mbox) if got.cover_mbox else ()
        head = cover[0] if cover and not isinstance(cover, str) else None
        if len(got.mbox) < BIG:
            return assemble.assemble(got, mails, head, pull)
        return await asyncio.to_thread(assemble.assemble, got, mails, head, pull)

    async def _gone(self, work: Work, external_id: int) -> None:
        """The source has it no more."""
        async with settle(self.floor.pool, work) as conn:
            if row := await self.store.load_series(conn, external_id):
                left = Standing(State.WITHDRAWN, DELETED)
                await self.store.set_standing(conn, row.id, left, "")
                await announce_change(conn, self.source.project, row.id, row.revision, row.message_id, left)


async def read(mbox: bytes) -> tuple[Mail, ...] | str:
    """The mails, or why they cannot be read."""
    try:
        if len(mbox) < BIG:
            return assemble.read_mails(mbox)
        return await asyncio.to_thread(assemble.read_mails, mbox)
    except Refused as exc:
        return str(exc)


def unreadable(parcel: Parcel, why: str) -> Assembled:
    """The series of mails that cannot be read: known, shown, and not announced."""
    series = assemble.assemble(parcel, (), None)
    ids = [piece.message_id for piece in parcel.pieces if piece.message_id]
    return Assembled(
        message_id=parcel.cover_message_id or (ids[0] if ids else series.message_id),
        cover_message_id=parcel.cover_message_id, subject=series.subject, title=series.title, version=parcel.version,
        resend=False, tags=series.tags, refs=(), patches=(), fault=f"A mail cannot be read: {plain(why)[:300]}",
    )  # fmt: skip


def states_of(payload: Mapping[str, Any]) -> dict[int, PatchFact]:
    """Patch states that came along with the order."""
    return {int(id_): PatchFact(*fact) for id_, fact in payload.items()}


@dataclass(frozen=True, slots=True)
class Settling:
    """The last transaction of a taking: compare with what is stored, save, announce."""

    taking: Taking
    conn: Connection
    parcel: Parcel
    series: Assembled
    mbox: str
    cover: str | None
    states: Mapping[int, PatchFact]

    async def save(self) -> None:
        store, conn, parcel = self.taking.store, self.conn, self.parcel
        await store.lock_author(conn, parcel.author.email)
        row = await store.load_series(conn, parcel.external_id)
        if row and row.received == parcel.received and row.state not in UNFINISHED:
            return
        others = await store.by_author(conn, parcel.author.email, parcel.external_id) if parcel.author.email else []
        ruling = supersede.rule(self.series, others)
        facts = {**(await store.patch_facts(conn, row.id) if row else {}), **self.states}
        entry = self._entry(row, ruling, facts)
        id_ = await store.save(conn, entry)
        if entry.standing.state in (State.ACTIVE, State.IGNORED):
            await announce_arrival(conn, self.taking.source.project, id_, entry)
        else:
            await announce_change(
                conn, self.taking.source.project, id_, entry.revision, self.series.message_id, entry.standing,
                entry.superseded_by,
            )  # fmt: skip
        await self._replace(id_, ruling)

    def _entry(self, row: Row | None, ruling: supersede.Ruling, facts: Mapping[int, PatchFact]) -> Entry:
        decision = self._triage()
        by = ruling.replaced_by.id if ruling.replaced_by else row.superseded_by if row else None
        version = f"v{ruling.replaced_by.version}" if ruling.replaced_by else "a later version"
        mine = [facts.get(patch.external_id, PatchFact()) for patch in self.series.patches]
        return Entry(
            parcel=self.parcel,
            series=self.series,
            decision=decision,
            standing=standing(
                Facts(
                    fault=self.series.fault,
                    superseded_by=f"Superseded by {version}" if by else "",
                    patches=mine,
                    trees=decision.trees,
                    tree_reason=decision.reason,
                ),
                self.taking.rules,
            ),
            revision=row.revision + 1 if row else 1,
            superseded_by=by,
            supersedes=ruling.replaces[-1].id if ruling.replaces else None,
            patches=facts,
            mbox=self.mbox,
            cover=self.cover,
        )

    def _triage(self) -> Decision:
        if self.series.fault:
            return Decision((), "malformed", self.series.fault)
        return triage(self.series, self.taking.project.triage, self.taking.project.trees)

    async def _replace(self, id_: int, ruling: supersede.Ruling) -> None:
        if not ruling.replaces:
            return
        left = Standing(State.SUPERSEDED, f"Superseded by v{self.series.version}")
        ids = [known.id for known in ruling.replaces]
        for old, revision, message_id in await self.taking.store.supersede(self.conn, ids, id_, left.reason):
            await announce_change(self.conn, self.taking.source.project, old, revision, message_id, left, id_)
