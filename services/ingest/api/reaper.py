"""Runs whose labs have vanished are closed, and what is kept of labs' requests is forgotten in time.

Level-triggered: it looks at the tables again and again, whatever happened before. One process of the installation
does it, under a lease.
"""

import asyncio
from datetime import timedelta
from typing import Never

import structlog

from services.ingest.api.checking import give_up
from services.ingest.api.desk import LabDesk
from services.ingest.api.rights import open_run
from services.ingest.api.store import SQL
from shared.db.pool import AWAY, Record

log = structlog.get_logger(__name__)

LEASE = "labs:reaper"
EVERY = timedelta(seconds=20)
AT_ONCE = 200

ANSWERS = timedelta(days=2)
REJECTIONS = timedelta(days=30)
RUNS = timedelta(days=30)
TRIALS = timedelta(days=1, minutes=1)
"""The database refuses to take away what is younger than a day by its own clock."""


class Reaper:
    """See the module."""

    def __init__(self, desk: LabDesk, every: timedelta = EVERY) -> None:
        self._desk = desk
        self._every = every.total_seconds()

    async def run(self, number: int) -> Never:
        """Look now, and then every so often, while the lease `number` is ours."""
        while True:
            try:
                await self.once()
            except AWAY as exc:
                log.warning("labs: the database is away", error=str(exc) or type(exc).__name__)
            except Exception:
                # A run or a row that cannot be dealt with must not keep all others open for good.
                log.exception("labs: a look broke off")
            await asyncio.sleep(self._every)

    async def once(self) -> int:
        """Gives how many runs were closed."""
        rows = await self._desk.floor.pool.fetch(SQL["overdue"], AT_ONCE)
        closed = [await self._close_or_say(row["run_id"]) for row in rows]
        await self._forget()
        return sum(closed)

    async def _close_or_say(self, run: int) -> bool:
        """One that cannot be closed is looked at again the next time, after the others."""
        try:
            return await self._close(run)
        except AWAY:
            raise
        except Exception:
            log.exception("labs: a run is not closed", run=run)
            return False

    async def _close(self, run: int) -> bool:
        async with self._desk.floor.pool.acquire() as conn, conn.transaction():
            row = await conn.fetchrow(SQL["lock_overdue"], run)
            if row is None:
                return False
            why = self._why(row)
            closed = await self._desk.ledger.abandon(conn, open_run(run, row["day"]), "infra", why)
            await give_up(self._desk, conn, row, why)
        log.info("labs: run closed", run=run, executor=row["executor"], heard=str(row["beat"]))
        return closed

    def _why(self, row: Record) -> str:
        if row["deadline"] >= row["started"] + self._desk.labs.longest:
            hours = self._desk.labs.longest / timedelta(hours=1)
            return f"open for over {hours:g} hours; last heard of at {row['beat']:%Y-%m-%d %H:%M} UTC"
        return f"not heard of since {row['beat']:%Y-%m-%d %H:%M} UTC"

    async def _forget(self) -> None:
        pool, now = self._desk.floor.pool, self._desk.floor.clock()
        await pool.execute(SQL["forget_answers"], now - ANSWERS)
        await pool.execute(SQL["forget_old_rejections"], now - REJECTIONS)
        await pool.execute(SQL["forget_names"], (now - RUNS).date())
        await pool.execute(SQL["forget_lab_runs"], now - RUNS)
        # Whoever tries may make more of them between two looks than one step takes away.
        while await pool.fetchval(SQL["forget_trials"], now - TRIALS, AT_ONCE) == AT_ONCE:
            pass
