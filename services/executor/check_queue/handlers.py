"""What the room does when it hears of a series, and what it finds by itself when it did not."""

from collections.abc import Mapping
from typing import Any

import structlog

from services.executor.check_queue.decide import LANES, Lane
from services.executor.check_queue.planning import Planner
from services.executor.check_queue.store import ROOM, SQL, kind_of
from shared.bus.base import Handlers
from shared.db.pool import Connection
from shared.db.work import Work, enqueue, settle
from shared.errors import Missing, Refused
from shared.events import SeriesApplied, SeriesArrived, SeriesChanged, SeriesRefused
from shared.floor import Floor

log = structlog.get_logger(__name__)

BACK = 7 * 86400.0
"""Seconds; a series that came earlier and was never looked at is not checked any more."""

FORGET = 500


def handlers(planner: Planner) -> Handlers:
    """Every event of a series says only that it should be looked at."""

    async def on_series(conn: Connection, event: Any) -> None:
        await planner.look(conn, event.series)

    return dict.fromkeys((SeriesArrived, SeriesApplied, SeriesRefused, SeriesChanged), on_series)


async def reconcile(floor: Floor, planner: Planner) -> int:
    """Look at what no event told us of, ask again for work whose row was lost, forget what is old."""
    configured = zip(*planner.configured, strict=True) if planner.configured else ((), (), ())
    found = await floor.pool.fetch(SQL["unlooked"], *configured, BACK)
    done = 0
    for row in found:
        async with floor.pool.acquire() as conn, conn.transaction():
            done += await planner.look(conn, row["id"])
    async with floor.pool.acquire() as conn, conn.transaction():
        for row in await conn.fetch(SQL["workless"]):
            await enqueue(conn, ROOM, kind_of(row["lane"]), str(row["id"]), {"plan": row["id"]})
        await conn.execute(SQL["forget_plans"], floor.clock() - floor.settings.keep.cases, FORGET)
    return done


async def say_hands(floor: Floor, hands: Mapping[Lane, int]) -> None:
    """How many plans of each lane this process works on at one time: by it, expected times are told."""
    for lane in LANES:
        await floor.pool.execute(SQL["lane_hands"], lane, floor.holder, hands[lane])
    await floor.pool.execute(SQL["forget_lanes"])


class Rechecking:
    """Does the work of the kind that `shared.recheck` asks for."""

    def __init__(self, floor: Floor, planner: Planner) -> None:
        self._floor, self._planner = floor, planner

    async def do(self, work: Work) -> None:
        wish = work.payload
        async with settle(self._floor.pool, work) as conn:
            try:
                await self._planner.again(conn, int(wish["series"]), wish["checks"], wish["why"], wish["by"])
            except (Refused, Missing) as exc:
                # Nobody waits here for an answer, and asking again changes nothing.
                log.warning("checks: not asked again", series=wish["series"], by=wish["by"], reason=str(exc))
