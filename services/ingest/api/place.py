"""What a run is on: a branch that is announced, a series, or nothing of ours, for a lab that tries its program.

A branch that is a try, or not announced yet, is unknown to a lab, in the same words as one that was never there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.ingest.api.store import SQL
from shared.db.pool import Connection
from shared.formats.faults import Fault, Faulty
from shared.model.results import Purpose
from shared.model.tokens import Token

OLDEST = timedelta(days=7)
"""A branch's age at which results come too late to be of use."""

SANDBOX = "sandbox"


@dataclass(frozen=True, slots=True)
class Place:
    """Either `cut_id` or `series_id` is set, or neither in the sandbox. `patches` and `revision` are the series'."""

    project: str
    stream: str = ""
    tree: str = ""
    branch: str = ""
    cut_id: int | None = None
    series_id: int | None = None
    revision: int = 0
    patches: int = 0
    message_id: str = ""


async def find(conn: Connection, token: Token, branch: str | None, series: str | None, now: datetime) -> Place:
    """Raises Faulty, pointing at what names no place."""
    if series is not None:
        return await _find_series(conn, token, series)
    assert branch is not None, "the document's own rule"
    if branch == SANDBOX or branch.startswith(f"{SANDBOX}-"):
        return _sandbox(token, branch)
    row = await conn.fetchrow(SQL["find_branch"], branch)
    return of_branch(dict(row) if row else None, branch, now)


def _sandbox(token: Token, branch: str) -> Place:
    if not token.sandbox:
        raise Faulty(Fault("/branch", f"{branch} is for sandbox tokens: netci token create --sandbox"), status=422)
    return Place(token.projects[0] if token.projects else SANDBOX, branch=branch)


def of_branch(row: Mapping[str, Any] | None, name: str, now: datetime) -> Place:
    """The place of a branch's row. Pure."""
    if row is None or row["purpose"] == Purpose.TRY or row["announced"] is None:
        raise Faulty(Fault("/branch", f"no branch {name[:200]!r} is announced here; see /branches.json"), status=422)
    if now - row["announced"] > OLDEST:
        words = (
            f"{name} was announced at {row['announced']:%Y-%m-%d %H:%M} UTC; results are taken for {OLDEST.days} days"
        )
        raise Faulty(Fault("/branch", words), status=422)
    return Place(row["project"], row["stream"], row["tree"], row["name"], row["id"])


async def _find_series(conn: Connection, token: Token, series: str) -> Place:
    bare = series.removeprefix("<").removesuffix(">")
    row = await conn.fetchrow(SQL["find_series"], [bare, f"<{bare}>"], list(token.projects))
    if row is None:
        raise Faulty(Fault("/series", f"no series has a mail {bare[:200]!r} here"), status=422)
    if row["state"] not in ("active", "ignored", "malformed"):
        raise Faulty(Fault("/series", f"the series is {row['state']}: it is told nothing any more"), status=422)
    return Place(
        row["project"], series_id=row["id"], revision=row["revision"], patches=row["total"],
        message_id=row["message_id"],
    )  # fmt: skip
