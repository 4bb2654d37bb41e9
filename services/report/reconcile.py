"""Looking at the tables again and again, whatever events said: what should have been concluded or posted, and is not.

Every verb is idempotent, so several processes may do it side by side.
"""

import asyncio
from datetime import timedelta
from typing import Never

import structlog

from services.report.channels import wanted
from services.report.deciding import Deciding
from services.report.handlers import LATER, want_fold
from services.report.intents import Intents
from services.report.store import SQL, a_verdict
from shared.db.pool import AWAY
from shared.floor import Floor

log = structlog.get_logger(__name__)

EVERY = timedelta(minutes=1)
LOOK_BACK = timedelta(days=14)
"""How old a cut or a verdict may be to be looked at again."""


class Reconciling:
    """See the module."""

    def __init__(self, floor: Floor, deciding: Deciding, intents: Intents) -> None:
        self._floor = floor
        self._deciding = deciding
        self._intents = intents

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
        await self._cuts()
        await self._series()
        await self._checks()
        await self._floor.pool.execute(SQL["drop_stale"])
        await self._posts()

    async def _cuts(self) -> None:
        async with self._floor.pool.acquire() as conn, conn.transaction():
            for row in await conn.fetch(SQL["cuts_to_fold"], self._floor.clock() - LOOK_BACK):
                await want_fold(conn, row["id"], LATER)

    async def _series(self) -> None:
        now = self._floor.clock()
        for row in await self._floor.pool.fetch(SQL["series_to_settle"], now - LOOK_BACK):
            async with self._floor.pool.acquire() as conn, conn.transaction():
                await self._deciding.series(conn, row["id"], now)

    async def _checks(self) -> None:
        now = self._floor.clock()
        for name, project in self._floor.settings.projects.items():
            rows = await self._floor.pool.fetch(SQL["checks_to_tell"], now - LOOK_BACK, name, list(project.checks))
            for row in rows:
                async with self._floor.pool.acquire() as conn, conn.transaction():
                    await self._deciding.checks(conn, row["series_id"], now)

    async def _posts(self) -> None:
        since = self._floor.clock() - LOOK_BACK
        for name, project in self._floor.settings.projects.items():
            for channel in wanted(project):
                async with self._floor.pool.acquire() as conn, conn.transaction():
                    await conn.execute(SQL["alone_with_verdicts"])
                    rows = await conn.fetch(SQL["untold"], name, channel.name, project.post, since)
                    if told := await self._intents.tell(conn, [a_verdict(row) for row in rows]):
                        log.info("reconcile: intents written", project=name, channel=channel.name, posts=told)
