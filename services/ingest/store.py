"""ingest's tables in typed verbs. Decides nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from services.ingest.assemble import Assembled
from services.ingest.sources.base import Parcel, PatchState, Place, Sighting, Source
from services.ingest.standing import PatchFact, Standing, Watched
from services.ingest.supersede import Known
from services.ingest.triage import Decision
from shared.db.pool import Connection, Pool
from shared.db.statements import load
from shared.formats.clean import cut
from shared.formats.subject import parse_subject

SQL = load("services.ingest")


@dataclass(frozen=True, slots=True)
class Memory:
    """What is stored of a source. `low_water` is the number above which a series nobody told us of is news."""

    place: Place
    low_water: int
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """What is stored of one series."""

    id: int
    revision: int
    received: int
    state: str
    superseded_by: int | None
    message_id: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A series to be saved: what it is, what was decided, and the blobs that hold its mails."""

    parcel: Parcel
    series: Assembled
    decision: Decision
    standing: Standing
    revision: int
    superseded_by: int | None
    supersedes: int | None
    patches: Mapping[int, PatchFact]
    mbox: str
    cover: str | None


class IngestStore:
    """Verbs over queries.sql for one source. Those that take a connection are parts of a caller's transaction."""

    def __init__(self, source: Source) -> None:
        self._key = (source.project, source.name)

    async def memory(self, pool: Pool) -> Memory:
        row = await pool.fetchrow(SQL["source"], *self._key)
        if row is None:
            return Memory(Place(), 0, {})
        seen = {int(id_): str(date) for id_, date in row["seen"]}
        return Memory(Place(row["cursor"], seen), row["low_water"], row["facts"])

    async def set_facts(self, pool: Pool, facts: Mapping[str, Any]) -> None:
        await pool.execute(SQL["add_source"], *self._key)
        await pool.execute(SQL["set_facts"], *self._key, dict(facts))

    async def move_cursor(self, conn: Connection, place: Place) -> None:
        await conn.execute(SQL["move_cursor"], *self._key, place.cursor, sorted(place.seen.items()))

    async def mark_reconciled(self, conn: Connection, low_water: int, head: int) -> None:
        await conn.execute(SQL["mark_reconciled"], *self._key, low_water, {"head": head})

    async def mark_queue_synced(self, conn: Connection) -> None:
        await conn.execute(SQL["mark_queue_synced"], *self._key)

    async def known(self, pool: Pool | Connection, external_ids: Iterable[int]) -> dict[int, tuple[int, str]]:
        """Received count and state of those of `external_ids` that we have."""
        if not (wanted := list(external_ids)):
            return {}
        rows = await pool.fetch(SQL["known"], *self._key, wanted)
        return {row["external_id"]: (row["received"], row["state"]) for row in rows}

    async def under_way(self, pool: Pool, label: str) -> set[int]:
        """The source's numbers of the series that are being taken in, or wait for it."""
        rows = await pool.fetch(SQL["under_way"], f"{label}/")
        return {int(row["id"]) for row in rows}

    async def oldest_incomplete(self, pool: Pool) -> int | None:
        found = await pool.fetchval(SQL["oldest_incomplete"], *self._key)
        return None if found is None else int(found)

    async def lock_author(self, conn: Connection, email: str) -> None:
        await conn.execute(SQL["one_author_at_a_time"], f"{self._key[0]} {email.lower()}")

    async def load_series(self, conn: Connection | Pool, external_id: int) -> Row | None:
        row = await conn.fetchrow(SQL["load_series"], *self._key, external_id)
        return Row(**dict(row)) if row else None

    async def note_incomplete(self, conn: Connection, seen: Sighting) -> None:
        """Remember a series that is not whole yet, so that it is watched and can be given up."""
        subject = parse_subject(seen.subject)
        await conn.execute(
            SQL["note_incomplete"], *self._key, seen.external_id, seen.message_id or f"{seen.external_id}@unknown",
            cut(seen.subject, 1000), cut(subject.title, 1000) or "(no title)", seen.author.name, seen.author.email,
            seen.total or 0, seen.received or 0, seen.web_url,
        )  # fmt: skip

    async def give_up(self, conn: Connection, after: timedelta) -> list[tuple[int, int, str, str]]:
        """Give up those incomplete for longer than `after`: id, revision, message id and reason of each."""
        rows = await conn.fetch(SQL["give_up"], *self._key, after.total_seconds())
        return [(row["id"], row["revision"], row["message_id"], row["reason"]) for row in rows]

    async def save(self, conn: Connection, entry: Entry) -> int:
        """Write the series and its patches; returns its id."""
        parcel, series, decision = entry.parcel, entry.series, entry.decision
        delegate = next((f.delegate for f in entry.patches.values() if f.delegate), "")
        id_ = await conn.fetchval(
            SQL["save_series"], *self._key, parcel.external_id, entry.revision, series.message_id,
            series.cover_message_id, series.subject, series.title, series.version, parcel.author.name,
            parcel.author.email, parcel.total, parcel.received, str(entry.standing.state), entry.standing.reason,
            entry.superseded_by, entry.supersedes, delegate, list(series.tags), list(decision.trees), decision.rule,
            decision.reason, decision.marked, series.pull.url if series.pull else "", entry.mbox, parcel.web_url,
            parcel.mailed, series.likeness, list(series.refs), series.resend, entry.cover,
            series.pull.external_id if series.pull else None,
        )  # fmt: skip
        await self._save_patches(conn, int(id_), entry)
        return int(id_)

    async def _save_patches(self, conn: Connection, id_: int, entry: Entry) -> None:
        patches = list({patch.external_id: patch for patch in entry.series.patches}.values())
        await conn.execute(SQL["unnumber_patches"], id_, [patch.external_id for patch in patches])
        for patch in patches:
            fact = entry.patches.get(patch.external_id, PatchFact())
            await conn.execute(
                SQL["save_patch"], id_, patch.number, patch.external_id, patch.message_id, patch.title,
                patch.author.name, patch.author.email, fact.state, fact.delegate, fact.archived, list(patch.files),
                list(patch.fixes), patch.fault, patch.web_url,
            )  # fmt: skip

    async def patch_facts(self, conn: Connection, series: int) -> dict[int, PatchFact]:
        rows = await conn.fetch(SQL["patch_facts"], series)
        return {row["external_id"]: PatchFact(row["state"], row["delegate"], row["archived"]) for row in rows}

    async def by_author(self, conn: Connection, email: str, but: int) -> list[Known]:
        """The author's other series, whatever their state."""
        rows = await conn.fetch(SQL["by_author"], self._key[0], email, but)
        return [
            Known(
                row["id"], row["version"], row["resend"], row["likeness"],
                frozenset(m for m in (row["message_id"], row["cover_message_id"], *row["patches"]) if m),
                frozenset(r for r in row["refs"] if r),
                sound=row["state"] != "malformed",
            )
            for row in rows
        ]  # fmt: skip

    async def supersede(self, conn: Connection, ids: Sequence[int], by: int, reason: str) -> list[tuple[int, int, str]]:
        """Mark them replaced; id, revision and message id of those that were not yet."""
        rows = await conn.fetch(SQL["supersede"], list(ids), by, reason)
        return [(row["id"], row["revision"], row["message_id"]) for row in rows]

    async def watched(self, pool: Pool, external_ids: Iterable[int]) -> list[Watched]:
        rows = await pool.fetch(SQL["watched_patches"], *self._key, list(external_ids))
        return [
            Watched(
                row["series_id"],
                row["series_external_id"],
                row["external_id"],
                PatchFact(row["state"], row["delegate"], row["archived"]),
            )
            for row in rows
        ]

    async def set_patches(self, conn: Connection, series: int, states: Iterable[PatchState]) -> None:
        for state in states:
            await conn.execute(SQL["set_patch"], series, state.external_id, state.state, state.delegate, state.archived)

    async def series_facts(self, conn: Connection, series: int) -> Mapping[str, Any] | None:
        row = await conn.fetchrow(SQL["facts_of_series"], series)
        return dict(row) if row else None

    async def set_standing(self, conn: Connection, series: int, standing: Standing, delegate: str) -> None:
        await conn.execute(SQL["set_standing"], series, str(standing.state), standing.reason, delegate)
