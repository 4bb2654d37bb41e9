"""Staging events: rows written in the transaction that is their cause, so that neither exists without the other."""

from datetime import datetime

from shared.clock import wall
from shared.db.pool import Connection
from shared.db.statements import load
from shared.events import Envelope, Event
from shared.events.trace import traceparent
from shared.model.ids import uuid7

SQL = load("shared.db")


async def stage(conn: Connection, source: str, *events: Event, now: datetime | None = None) -> None:
    """Stage `events`, said by the room `source`, inside the caller's transaction."""
    for event in events:
        envelope = Envelope.around(event, id=uuid7(), source=source, time=now or wall(), traceparent=traceparent())
        await conn.execute(SQL["stage"], envelope.id, envelope.type, envelope.model_dump(mode="json"))
    if events:
        await conn.execute(SQL["notify"], "netci_staged", "")
