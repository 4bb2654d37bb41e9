"""Making what is derived anew from the ledger, a run at a time, while everything goes on."""

from collections.abc import Callable

from services.report.store import SQL, ReportStore
from shared.db.pool import Connection

AT_ONCE = 500


async def rebuild_rollups(conn: Connection, told: Callable[[int], None]) -> int:
    """Sum every closed run anew; `told` hears of each. Returns how many there were."""
    store, made = ReportStore(), 0
    after: int | None = None
    while rows := await conn.fetch(SQL["done_runs"], after, AT_ONCE):
        for row in rows:
            after = int(row["id"])
            async with conn.transaction():
                await store.roll_up_run(conn, after)
            told(after)
            made += 1
    return made
