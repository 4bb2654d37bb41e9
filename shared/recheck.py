"""Asking for the checks of a series once more: a wish of a person, left as work for the room that runs checks."""

import json
from collections.abc import Sequence
from hashlib import sha256

from shared.db.outbox import SQL
from shared.db.pool import Connection
from shared.db.work import enqueue
from shared.errors import Refused

ROOM, KIND = "checks", "checks:recheck"


async def ask(conn: Connection, series: int, checks: Sequence[str], why: str, by: str) -> None:
    """Ask for `checks` of the series, for all if none is named. Audited; the same wish again is the same wish.

    Call it in a transaction. Raises Refused for names that are none.
    """
    names = sorted(set(checks))
    if len(names) > 100 or any(not name or len(name) > 255 for name in names):
        raise Refused("at most 100 checks may be named, by their contexts")
    # However long their names are, and whatever is in them, other checks are another wish.
    key = f"{series} {sha256(json.dumps(names).encode()).hexdigest()[:32]}"
    wish = {"series": series, "checks": names, "why": why[:500], "by": by[:200]}
    await enqueue(conn, ROOM, KIND, key, wish, priority=1)
    await conn.execute(SQL["audit"], by, "recheck", str(series), why[:500], {"checks": names})
