"""Staging events: rows written in the transaction that is their cause, so that neither exists without the other."""

from datetime import datetime

from shared.clock import wall
from shared.db.pool import Connection
from shared.db.statements import load
from shared.events import Envelope, Event, Visibility
from shared.events.trace import traceparent
from shared.model.ids import uuid7

SQL = load("shared.db")


async def stage(
    conn: Connection,
    source: str,
    *events: Event,
    now: datetime | None = None,
    visibility: Visibility | None = None,
) -> None:
    """Stage `events`, said by the room `source`, inside the caller's transaction.

    `visibility` (default: the event's own) is that of what is told of.
    """
    if not events:
        return
    trace, at = traceparent(), now or wall()
    staged = [
        Envelope.around(e, id=uuid7(), source=source, time=at, traceparent=trace, visibility=visibility) for e in events
    ]
    bodies = [envelope.wire().decode() for envelope in staged]
    await conn.execute(SQL["stage"], [e.id for e in staged], [e.type for e in staged], bodies)
