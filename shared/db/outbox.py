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
    rows = [
        _row(Envelope.around(e, id=uuid7(), source=source, time=at, traceparent=trace, visibility=visibility))
        for e in events
    ]
    await conn.executemany(SQL["stage"], rows)
    await conn.execute(SQL["notify"], "netci_staged", "")


def _row(envelope: Envelope) -> tuple[object, ...]:
    return envelope.id, envelope.type, envelope.model_dump(mode="json")
