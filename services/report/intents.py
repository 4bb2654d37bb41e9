"""Verdicts written down, told to everybody inside, and turned into intents to tell those outside.

All in the caller's transaction: a verdict, its event and its intents exist together or not at all. Nothing is sent
here; `dispatch` does that, later and perhaps in another process.
"""

from collections.abc import Sequence
from datetime import datetime

from services.report.channels import wanted
from services.report.channels.base import Address, Parcel
from services.report.store import SQL, ReportStore, by_series
from services.report.verdicts import Merged, Step, Verdict, merge
from shared.db.outbox import stage
from shared.db.pool import Connection, Record
from shared.events import VerdictChanged
from shared.settings import Project, Settings

BELL = "netci_work"


class Intents:
    """Puts verdicts beside what stands, and writes what follows."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = ReportStore()

    async def put(self, conn: Connection, verdicts: Sequence[Verdict], now: datetime) -> list[Merged]:
        """Merge `verdicts` (one a series, context and patch at most) with those that stand, and write what follows."""
        if not verdicts:
            return []
        await conn.execute(SQL["alone_with_verdicts"])
        former = await self._store.verdicts(conn, {v.series for v in verdicts}, {v.context for v in verdicts})
        merged = [
            merge(former.get(v.key), v, former.get((v.series, v.context, 0)) if v.patch else None) for v in verdicts
        ]
        await self._store.save_verdicts(conn, [m.verdict for m in merged if m.step is not Step.KEEP], now)
        changed = [m.verdict for m in merged if m.step is Step.CHANGE]
        events = [_event(verdict, former.get(verdict.key)) for verdict in changed]
        await stage(conn, "report", *events, now=now)
        await self.tell(conn, changed)
        return merged

    async def tell(self, conn: Connection, verdicts: Sequence[Verdict]) -> int:
        """Write intents for what channels have not been told of `verdicts`. Returns how many."""
        if not verdicts:
            return 0
        contexts = list({v.context for v in verdicts})
        rows = by_series(await conn.fetch(SQL["addresses"], list({v.series for v in verdicts}), contexts))
        written = 0
        for name in {v.project for v in verdicts}:
            project = self._settings.projects.get(name)
            for channel in wanted(project) if project else []:
                assert project is not None
                parcels = [
                    parcel
                    for v in verdicts
                    if v.project == name
                    for parcel in channel.compose(
                        v,
                        stream_of(project, v.context),
                        _addresses(v, rows.get(v.series, [])),
                        self._settings.public_url,
                    )
                ]
                written += await _intend(conn, name, channel.name, project.post, parcels)
        return written


def stream_of(project: Project, context: str) -> str:
    """The stream that speaks in `context`; "" for what is said of the series itself."""
    return next((name for name, stream in project.streams.items() if stream.context == context), "")


def _event(verdict: Verdict, before: Verdict | None) -> VerdictChanged:
    return VerdictChanged(
        project=verdict.project, series=verdict.series, patch=verdict.patch or None, context=verdict.context,
        state=verdict.state, settled=verdict.settled, before=str(before.state) if before else "", cut=verdict.cut,
    )  # fmt: skip


def _addresses(verdict: Verdict, rows: Sequence[Record]) -> list[Address]:
    """Who hears of a verdict: its patch, or every patch that was not told something of itself in that context."""
    return [
        Address(r["series_id"], r["patch_id"], r["external_id"], r["message_id"])
        for r in rows
        if (r["number"] == verdict.patch if verdict.patch else verdict.context not in r["told"])
    ]


async def _intend(conn: Connection, project: str, channel: str, mode: str, parcels: Sequence[Parcel]) -> int:
    if not parcels:
        return 0
    patches, contexts = [p.patch for p in parcels], [p.context for p in parcels]
    await conn.execute(SQL["overtake"], channel, patches, contexts, [p.state for p in parcels])
    rows = await conn.fetch(
        SQL["intend"], project, channel, mode, [p.stream for p in parcels], [p.series for p in parcels], patches,
        [p.external_patch for p in parcels], contexts, [p.state for p in parcels], [p.text for p in parcels],
        [p.url for p in parcels],
    )  # fmt: skip
    if rows:
        await conn.execute("select pg_notify($1, 'report')", BELL)
    return len(rows)
