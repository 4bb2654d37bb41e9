"""Reading for NIPA's readers: the statements of this package, on report's pool."""

from services.report.web.front import Front
from services.report.web.store import Reading, Row
from shared.db.statements import load

SQL = load("services.report.web.nipa")


def reading_of(front: Front) -> Reading:
    return Reading(front.floor.pool, SQL)


__all__ = ("SQL", "Reading", "Row", "reading_of")
