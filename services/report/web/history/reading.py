"""Reading of histories: the statements of this package, on report's pool, and the arrays that they take."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from services.report.web.front import Front
from services.report.web.store import Reading
from shared.db.statements import load

SQL = load("services.report.web.history")

Lab = tuple[str, str]
"""Remote and executor."""


def reading_of(front: Front) -> Reading:
    return Reading(front.floor.pool, SQL)


def mondays(now: datetime, weeks: int) -> list[date]:
    """The Mondays of this week and of those before it, the newest first, in UTC as `now` is."""
    monday = now.date() - timedelta(days=now.weekday())
    return [monday - timedelta(weeks=n) for n in range(weeks)]


def columns(rows: Iterable[Mapping[str, Any]], *names: str) -> list[list[Any]]:
    """The values of rows, by name, as arrays for `unnest`."""
    kept = list(rows)
    return [[row[name] for row in kept] for name in names]


async def name_ids(front: Front, *names: str) -> list[int | None]:
    """The numbers of names, in order; None for one that no lab ever said."""
    return [await front.read.value("name_id", name) for name in names]
