"""Answers about a run, and what every write of a lab leaves behind: that it was heard of, and until when it may be
silent.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from services.ingest.api.desk import LabDesk
from services.ingest.api.models import RunTold
from services.ingest.api.once import Told
from services.ingest.api.patience import deadline
from services.ingest.api.rights import Held, seen
from services.ingest.api.store import SQL
from shared.db.pool import Connection, Record
from shared.errors import Refused
from shared.ledger.rows import Admit
from shared.model.tokens import Token


class TooManyNames(Refused):
    """More new names than a remote may bring up in a day."""

    status_hint = 429


async def tell(
    desk: LabDesk, conn: Connection, token: Token, run: int, status: int, warnings: Sequence[str] = ()
) -> Told:
    """The run as it stands now, as an answer."""
    return as_told(desk, await seen(conn, token, run), status, warnings)


def as_told(desk: LabDesk, row: Record, status: int, warnings: Sequence[str] = ()) -> Told:
    """A run's row as an answer."""
    told = RunTold(**told_of(desk, row), warnings=list(warnings))
    return Told(status, told.model_dump(mode="json"))


def told_of(desk: LabDesk, row: Record) -> dict[str, Any]:
    """The fields of a run's row that are told."""
    same = ("remote", "executor", "attempt", "branch", "series", "state", "cause", "reason", "started", "expected_end",
            "ended", "planned", "counts")  # fmt: skip
    return {key: row[key] for key in same} | {
        "run": row["id"], "sandbox": row["trial"], "deadline": row["deadline"] if row["state"] == "open" else None,
        "url": "" if row["trial"] else f"{desk.floor.settings.public_url}/run/{row['id']}",
    }  # fmt: skip


async def beat(desk: LabDesk, conn: Connection, held: Held, expected_end: datetime | None = None) -> datetime:
    """The lab was heard of; gives the new deadline."""
    until = deadline(held["started"], desk.floor.clock(), expected_end or held["expected_end"], desk.labs)
    await conn.execute(SQL["beat"], held["id"], until)
    await heard(conn, held["remote"], held["executor"], held["branch"])
    return until


async def heard(conn: Connection, remote: str, executor: str, branch: str) -> None:
    await conn.execute(SQL["heard_of"], remote, executor, branch)


def admission(desk: LabDesk, conn: Connection, remote: str) -> Admit:
    """Counts the names that `remote` brings up today, and refuses those over its limit."""

    async def admit(names: int) -> None:
        today = await conn.fetchval(SQL["new_names"], remote, names)
        if today > desk.labs.new_names:
            now = desk.floor.clock().astimezone(UTC)
            left = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0) - now
            raise TooManyNames(
                f"{names} new names of groups, tests and subtests: {remote} may bring up {desk.labs.new_names} a day; "
                "a name that changes with every run belongs into the detail",
                headers={"Retry-After": str(int(left.total_seconds()) + 1)},
            )

    return admit
