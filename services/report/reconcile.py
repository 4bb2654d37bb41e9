"""Looking at the tables again and again, whatever events said: what should have been concluded or posted, and is not.

Every verb is idempotent, so several processes may do it side by side.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Never

import structlog

from services.report.channels import wanted
from services.report.deciding import Deciding
from services.report.handlers import LATER, want_fold, want_roll_up
from services.report.intents import Intents
from services.report.store import SQL, a_verdict
from shared.db.pool import AWAY
from shared.floor import Floor
from shared.model.ids import OWN_REMOTE

log = structlog.get_logger(__name__)

EVERY = timedelta(minutes=1)
RENDERINGS_KEPT = timedelta(days=14)
"""Twice as long as readers of NIPA's format look back."""
AT_ONCE = 2000
"""Runs that are asked to be summed once more in a minute."""
LOOK_BACK = timedelta(days=14)
"""How old a cut or a verdict may be to be looked at again."""
LATELY = timedelta(hours=2)
THOROUGH = timedelta(hours=1)
"""What checks said and what was posted is a hundred rows a series: all of the two weeks are looked through at the
start and once in this time, and otherwise what is new or changed of late."""


class Reconciling:
    """See the module."""

    def __init__(self, floor: Floor, deciding: Deciding, intents: Intents) -> None:
        self._floor = floor
        self._deciding = deciding
        self._intents = intents
        self._thorough: datetime | None = None

    async def run(self) -> Never:
        """Look at once, and then every minute."""
        while True:
            try:
                await self.once()
                wait = EVERY.total_seconds()
            except AWAY as exc:
                log.warning("reconcile: the database is away", error=str(exc))
                wait = 1.0
            await asyncio.sleep(wait)

    async def once(self) -> None:
        now = self._floor.clock()
        thorough = self._thorough is None or now - self._thorough >= THOROUGH
        since = now - (LOOK_BACK if thorough else LATELY)
        await self._cuts()
        await self._outcomes()
        await self._series()
        await self._checks(since)
        await self._floor.pool.execute(SQL["drop_stale"])
        await self._posts(since)
        if thorough:
            await self._floor.pool.execute(SQL["forget_old_renderings"], now - RENDERINGS_KEPT, AT_ONCE)
        self._thorough = now if thorough else self._thorough

    async def _cuts(self) -> None:
        async with self._floor.pool.acquire() as conn, conn.transaction():
            for row in await conn.fetch(SQL["cuts_to_fold"], self._floor.clock() - LOOK_BACK):
                await want_fold(conn, row["id"], LATER)

    async def _outcomes(self) -> None:
        """After an upgrade, runs that are summed already are summed once more, a piece at a time."""
        async with self._floor.pool.acquire() as conn, conn.transaction():
            for row in await conn.fetch(SQL["unprojected"], AT_ONCE):
                await want_roll_up(conn, row["run_id"], LATER)

    async def _series(self) -> None:
        now = self._floor.clock()
        for row in await self._floor.pool.fetch(SQL["series_to_settle"], now - LOOK_BACK):
            async with self._floor.pool.acquire() as conn, conn.transaction():
                await self._deciding.series(conn, row["id"], now)

    async def _checks(self, since: datetime) -> None:
        now = self._floor.clock()
        for name, project in self._floor.settings.projects.items():
            told = (name, list(project.checks), OWN_REMOTE)
            rows = await self._floor.pool.fetch(SQL["checks_to_tell"], since, *told)
            for row in rows:
                async with self._floor.pool.acquire() as conn, conn.transaction():
                    await self._deciding.checks(conn, row["series_id"], now)

    async def _posts(self, since: datetime) -> None:
        for name, project in self._floor.settings.projects.items():
            for channel in wanted(project):
                async with self._floor.pool.acquire() as conn, conn.transaction():
                    await conn.execute(SQL["alone_with_verdicts"])
                    rows = await conn.fetch(SQL["untold"], name, channel.name, project.post, since)
                    if told := await self._intents.tell(conn, [a_verdict(row) for row in rows]):
                        log.info("reconcile: intents written", project=name, channel=channel.name, posts=told)
