"""From the log to deliveries: each event once, for each endpoint that wants it and may see it.

The rows and the cursor move in one transaction, so a stop at any moment neither loses an event nor makes it two.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from services.report.hooks.sees import Held, holder
from services.report.hooks.store import SQL, Listener, a_listener, disable, put_by, tokens
from shared.db.pool import Connection
from shared.events import Envelope
from shared.floor import Floor

CURSOR = "webhooks"
BATCH = 200


async def follow_once(floor: Floor) -> int:
    """Take in the next events of the log. Returns how many; 0 at its end."""
    async with floor.pool.acquire() as conn, conn.transaction():
        await conn.execute(SQL["open_cursor"], CURSOR)
        cursor = await conn.fetchval(SQL["lock_cursor"], CURSOR)
        rows = await conn.fetch(SQL["events_after"], cursor, BATCH)
        if not rows:
            return 0
        listeners = [a_listener(row) for row in await conn.fetch(SQL["all_hooks"])]
        if any(hook.state != "disabled" for hook in listeners):
            await _hand_out(conn, listeners, [(r["sequence"], r["body"]) for r in rows], floor.clock())
        await conn.execute(SQL["set_cursor"], CURSOR, rows[-1]["sequence"])
    return len(rows)


async def _hand_out(
    conn: Connection, listeners: list[Listener], events: list[tuple[int, dict[str, Any]]], now: datetime
) -> None:
    held = await tokens(conn)
    for hook in listeners:
        if hook.state == "disabled":
            continue
        if holder(hook, held, now) is None:
            await disable(conn, hook.id, "the token that made it holds no longer", hook.remote, now)
        else:
            await put_by(conn, deliveries(hook, held, events, now))


def deliveries(
    hook: Listener, held: dict[str, Held], events: list[tuple[int, dict[str, Any]]], now: datetime
) -> Iterator[tuple[object, ...]]:
    """Rows for what `hook` is told of these events of the log."""
    token = holder(hook, held, now)
    for sequence, body in events:
        event = Envelope.model_validate(body)
        if token is not None and sequence > hook.after and hook.hears(event, token):
            yield hook.id, event.id, sequence, event.type, False, body_of(event), now


def body_of(event: Envelope) -> str:
    """The bytes that are sent, as text: CloudEvents, and `timestamp` for readers of Standard Webhooks."""
    shown = event.model_dump(mode="json")
    return json.dumps(shown | {"timestamp": shown["time"]}, ensure_ascii=False, separators=(",", ":"))
