"""Patchwork as a source of series: three polls and the mails of one series, in the fewest requests.

Events of completed series are a hint (they can be lost for good, doubled, late and in the past); the newest series
by id are the truth; the queue of open patches says what became of those we know. A series costs two requests, its
description and its mbox, and one where a list has already described it. The cover letter is one more.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from services.ingest.sources.base import News, Parcel, PatchState, Piece, Place, Pull, Sighting
from services.ingest.sources.patchwork import cursor, plan
from services.ingest.sources.patchwork.client import Client, Params
from services.ingest.sources.patchwork.wire import (
    EventRow,
    MailRow,
    PatchRow,
    ProjectRow,
    SeriesRow,
    moment,
    read,
    read_all,
)
from shared.errors import Missing, Refused, Transient
from shared.http import Http
from shared.model.mails import Person
from shared.settings import Patchwork

MBOX_LIMIT = 32 << 20
COMPLETED = ("category", "series-completed")


class PatchworkSource:
    """One Patchwork project. `http` has the server's address as its base."""

    name = "patchwork"

    def __init__(self, project: str, settings: Patchwork, http: Http) -> None:
        self.project = project
        self._settings = settings
        self._client = Client(http)

    @property
    def label(self) -> str:
        return f"{self.project}/{self.name}"

    @property
    def _here(self) -> tuple[str, str]:
        return ("project", self._settings.project)

    async def open(self) -> Mapping[str, Any]:
        """Pins the API version and makes sure of the project: a filter by an unknown one is silently empty."""
        version = await self._client.probe()
        try:
            row = read(ProjectRow, await self._client.get(f"projects/{self._settings.project}/"))
        except Missing:
            raise Refused(f"{self._settings.url} has no project {self._settings.project!r}") from None
        return {"api": version, "project_id": row.id, "project_name": row.name, "list": row.list_email}

    async def news(self, place: Place) -> News:
        """Completed series since the overlap before `place`, each once."""
        events = await self._events(place)
        fresh = cursor.fresh(place, events)
        moved = cursor.moved(place, events, self._settings.overlap)
        ids = dict.fromkeys(e.payload.series.id for e in fresh if e.payload.series)
        listed = await self.listings(list(ids))
        return News(moved, [listed.get(id_, Sighting(id_)) for id_ in ids])

    async def start(self) -> Place:
        """At the newest event, knowing those of the overlap before it; the cursor is never made of our own clock."""
        params = (self._here, COMPLETED, ("order", "-date"), ("per_page", "1"))
        newest = next(read_all(EventRow, await self._client.get("events/", params)), None)
        if newest is None:
            return Place()
        place = Place(newest.date)
        return cursor.moved(place, await self._events(place), self._settings.overlap)

    async def _events(self, place: Place) -> list[EventRow]:
        params: list[tuple[str, str]] = [self._here, COMPLETED, ("order", "date"), ("per_page", str(plan.PAGE))]
        if place.cursor:
            params.append(("since", cursor.back(place.cursor, self._settings.overlap)))
        return [event async for page in self._client.pages("events/", params) for event in read_all(EventRow, page)]

    async def recent(self, mark: int) -> Sequence[Sighting]:
        """Pages by falling id. The date of a series is its author's claim, so nothing is asked by date."""
        seen: dict[int, Sighting] = {}
        async for page in self._client.pages("series/", self._series_list(plan.RECENT)):
            rows = list(read_all(SeriesRow, page))
            seen |= {row.id: sighting(row) for row in rows}
            if not mark or not rows or rows[-1].id <= mark:
                break
        return list(seen.values())

    def _series_list(self, size: int) -> Params:
        return (self._here, ("order", "-id"), ("per_page", str(size)))

    async def listings(self, wanted: Sequence[int]) -> Mapping[int, Sighting]:
        """Those of `wanted` that lists give more cheaply than one request each."""
        found: dict[int, Sighting] = {}
        if not plan.worth_listing(len(wanted)):
            return found
        left = set(wanted)
        async for page in self._client.pages("series/", self._series_list(plan.page_size(len(wanted)))):
            rows = list(read_all(SeriesRow, page))
            hits = {row.id: sighting(row) for row in rows if row.id in left}
            found |= hits
            left -= hits.keys()
            if not rows or not plan.worth_another(len(hits), left, rows[-1].id):
                break
        return found

    async def queue(self) -> Sequence[PatchState]:
        """The open patches that are not archived, by the states that the configuration calls open."""
        states = [("state", state) for state in self._settings.open_states]
        return await self._patches([*states, ("archived", "false")])

    async def look_up(self, series: Sequence[int]) -> Mapping[int, Sequence[PatchState]]:
        """Many series in one request. One that is gone can empty the whole answer, so silence is asked about."""
        found: dict[int, Sequence[PatchState]] = {}
        for part in plan.in_look_ups(series):
            states = await self._patches([("series", str(id_)) for id_ in part])
            for id_ in part:
                found[id_] = [state for state in states if id_ in state.series] or await self._look_closer(id_)
        return found

    async def _look_closer(self, series: int) -> Sequence[PatchState]:
        try:
            await self._client.get(f"series/{series}/")
        except Missing:
            return ()
        return await self._patches([("series", str(series))])

    async def _patches(self, filters: Sequence[tuple[str, str]]) -> list[PatchState]:
        params = [self._here, *filters, ("per_page", str(plan.PAGE)), ("order", "id")]
        return [
            patch_state(row)
            async for page in self._client.pages("patches/", params)
            for row in read_all(PatchRow, page)
        ]

    async def look(self, external_id: int) -> Sighting:
        return sighting(read(SeriesRow, await self._client.get(f"series/{external_id}/")))

    async def parcel(self, ticket: Mapping[str, Any]) -> Parcel:
        """`ticket` is the series as Patchwork described it."""
        row = read(SeriesRow, ticket)
        mbox = await self._mbox(row.id)
        cover = await self._cover(row.cover_letter)
        return parcel(row, mbox, cover)

    async def _mbox(self, series: int) -> bytes:
        try:
            return await self._client.mbox(f"/series/{series}/mbox/", MBOX_LIMIT)
        except Missing:
            # A page that is not there may be a proxy's fault; that a series is gone, the API says.
            await self._client.get(f"series/{series}/")
            raise Transient(f"series {series} is there and its mbox is not") from None

    async def _cover(self, row: MailRow | None) -> bytes | None:
        if row is None or not self._settings.covers:
            return None
        try:
            return await self._client.mbox(cover_path(row), MBOX_LIMIT)
        except Missing:
            return None

    async def pull_of(self, *, patch: int = 0, message_id: str = "") -> Pull | None:
        """By the patch itself, or by the message id of a 0/n that Patchwork keeps as a patch without a series."""
        if patch:
            row = read(PatchRow, await self._client.get(f"patches/{patch}/"))
            return Pull(row.pull_url, row.id) if row.pull_url else None
        params = (self._here, ("msgid", message_id))
        for row in read_all(PatchRow, await self._client.get("patches/", params)):
            # Unknown filters are ignored without a word: make sure that this is the mail.
            if row.msgid == message_id and row.pull_url:
                return Pull(row.pull_url, row.id)
        return None


def cover_path(row: MailRow) -> str:
    """The path of a cover letter's mbox on our server: as given, for it holds slashes escaped twice."""
    path = "/" + row.mbox.partition("://")[2].partition("/")[2]
    at = path.find("/project/")
    return path[at:] if at >= 0 else path


def sighting(row: SeriesRow) -> Sighting:
    """What a list says of a series. Its ticket is the row itself, so that it need not be asked for again."""
    head = row.cover_letter or (row.patches[0] if row.patches else None)
    submitter = row.submitter
    return Sighting(
        row.id,
        row.received_total,
        row.total,
        row.received_all,
        subject=head.name if head else row.name,
        message_id=head.msgid if head else "",
        web_url=row.web_url,
        author=Person(submitter.name, submitter.email) if submitter else Person("", ""),
        ticket=row.model_dump(mode="json"),
    )


def patch_state(row: PatchRow) -> PatchState:
    delegate = row.delegate.username or row.delegate.email if row.delegate else ""
    return PatchState(row.id, tuple(ref.id for ref in row.series), row.state, delegate, row.archived)


def parcel(row: SeriesRow, mbox: bytes, cover: bytes | None) -> Parcel:
    submitter = row.submitter
    return Parcel(
        external_id=row.id,
        total=row.total,
        received=row.received_total,
        version=row.version,
        name=row.name,
        author=Person(submitter.name, submitter.email) if submitter else Person("", ""),
        web_url=row.web_url,
        mailed=moment(row.date),
        pieces=tuple(Piece(p.id, p.msgid, p.web_url) for p in row.patches),
        mbox=mbox,
        cover_message_id=row.cover_letter.msgid if row.cover_letter else "",
        cover_name=row.cover_letter.name if row.cover_letter else "",
        cover_mbox=cover,
    )
