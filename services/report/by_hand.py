"""A person's word on a series or on one of its patches, which only another person's changes."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.report import compose
from services.report.fold import Reason
from services.report.intents import Intents
from services.report.store import SQL
from services.report.verdicts import POSTABLE, Verdict
from shared.db.pool import Connection
from shared.errors import Refused
from shared.model.results import CheckState
from shared.settings import OWN_CONTEXTS, Settings


@dataclass(frozen=True, slots=True)
class Word:
    """What `who` wants said, and why. `patch` 0 is the series: each patch that was told something of itself, too."""

    message_id: str
    context: str
    state: CheckState
    why: str
    who: str
    patch: int = 0


async def say(conn: Connection, settings: Settings, word: Word, now: datetime) -> Verdict:
    """Write it down, to be posted. Raises Refused for what is unknown, or no reason."""
    if not word.why.strip():
        raise Refused("say why: the reason is posted")
    row = await _meant(conn, settings, word)
    patches = [word.patch] if word.patch else [0, *await _told(conn, row["id"], word.context)]
    merged = await Intents(settings).put(conn, [_verdict(row, word, patch) for patch in patches], now)
    return merged[0].verdict


async def _meant(conn: Connection, settings: Settings, word: Word) -> Any:
    rows = await conn.fetch(SQL["series_by_message"], word.message_id.strip("<>"))
    if not rows:
        raise Refused(f"no series has the message id {word.message_id}")
    known = {row["id"]: await _contexts(conn, settings, row) for row in rows}
    # A mail that went to two lists is a series in two projects.
    row = next((one for one in rows if word.context in known[one["id"]]), rows[0])
    if row["state"] not in POSTABLE:
        raise Refused(f"that series is {row['state']}: it is told nothing any more")
    if word.context not in known[row["id"]]:
        there = ", ".join(sorted(known[row["id"]]))
        raise Refused(f"nothing speaks in the context {word.context!r} here; there is: {there}")
    if word.patch and word.patch not in row["numbers"]:
        raise Refused(f"the series has no patch {word.patch}; it has {len(row['numbers'])}")
    return row


async def _contexts(conn: Connection, settings: Settings, row: Any) -> set[str]:
    """The contexts in which a series may be told anything: as configured, and as it was."""
    project = settings.projects.get(row["project"])
    told = {r["context"] for r in await conn.fetch(SQL["contexts_told"], row["id"])}
    return told | ({*project.our_contexts, *project.checks} if project else OWN_CONTEXTS)


async def _told(conn: Connection, series: int, context: str) -> list[int]:
    return [r["patch"] for r in await conn.fetch(SQL["patches_told"], series, context)]


def _verdict(row: Any, word: Word, patch: int) -> Verdict:
    return Verdict(
        row["id"], row["revision"], row["project"], word.context, word.state, word.state is not CheckState.PENDING,
        compose.by_hand(word.why, word.who), (Reason("by-hand", f"{word.who}: {word.why}"),), by_hand=True, patch=patch,
    )  # fmt: skip
