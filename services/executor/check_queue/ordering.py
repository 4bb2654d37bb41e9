"""The order of what waits, kept as priorities of its rows of work: looked at anew whenever something came or went."""

import asyncio
from typing import Never

import structlog

from services.executor.check_queue.decide import LANES, Lane
from services.executor.check_queue.priority import Waiting, priorities
from services.executor.check_queue.store import SQL
from shared.db.pool import AWAY, Connection
from shared.floor import Floor

log = structlog.get_logger(__name__)

CALM = 0.25
"""Seconds between two looks: series come in waves."""


async def order(floor: Floor, lane: Lane) -> int:
    """Put what waits in the lane in order; returns how many places changed. One process at a time."""
    async with floor.pool.acquire() as conn, conn.transaction():
        if not await conn.fetchval(SQL["try_rank"], lane):
            return 0
        rows = await conn.fetch(SQL["waiting"], lane)
        wanted = priorities(
            (
                Waiting(
                    r["id"], r["author"], r["kind"] == "fixes", r["patches"], r["expected"], r["planned"],
                    bool(r["asked_by"]),
                )
                for r in rows
            ),
            floor.clock(),
        )  # fmt: skip
        changed = {row["id"]: wanted[row["id"]] for row in rows if row["priority"] != wanted[row["id"]]}
        return await _write(conn, lane, changed)


async def _write(conn: Connection, lane: Lane, changed: dict[int, int]) -> int:
    if changed:
        await conn.execute(SQL["rank"], lane, list(changed), list(changed.values()))
    return len(changed)


async def keep_order(floor: Floor) -> Never:
    """For as long as the room runs."""
    while True:
        seen = floor.bells.count("netci_work")
        try:
            for lane in LANES:
                await order(floor, lane)
        except AWAY as exc:
            log.warning("checks: the database is away", error=str(exc))
        await asyncio.sleep(CALM)
        await floor.bells.wait("netci_work", seen, 30)
