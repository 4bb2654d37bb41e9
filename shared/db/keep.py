"""Retention: what is older than the configuration keeps goes, in small steps, by one process at a time.

What may go is decided by functions of the database (migration 0008), which have the owner's rights and refuse to
take what is younger than a day. The audit, dead letters and runs themselves are kept for good.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Never

import asyncpg
import structlog

from shared.blobs.base import Blobs
from shared.clock import Clock
from shared.db.lease import held
from shared.db.outbox import SQL
from shared.db.pool import AWAY, Pool
from shared.errors import NetciError
from shared.settings import Keep

log = structlog.get_logger(__name__)

EVERY = timedelta(hours=1)
STEP = 5000
LEASE_NAME = "retention"
"""Held while something is taken away, and by a backup, so that what it refers to stays."""
_DAY = timedelta(days=1)
_TIMEOUT = 300.0
"""Seconds that one step may take on a large table."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """Takes away what is too old. `pool` has any room's rights; `holder` is this process."""

    pool: Pool
    blobs: Blobs
    keep: Keep
    clock: Clock
    holder: str
    step: int = STEP

    async def run(self) -> Never:
        """Once an hour, until cancelled. The lease is held for the round only: a backup takes it as well."""
        while True:
            try:
                async with held(self.pool, LEASE_NAME, self.holder):
                    log.info("retention", **await self.once())
            except AWAY:
                raise
            except (asyncpg.PostgresError, NetciError) as exc:
                # A reader in the way of a drop, a lease that was lost: the next hour tries again.
                log.warning("retention: not done", error=repr(exc))
            await asyncio.sleep(EVERY.total_seconds())

    async def once(self) -> dict[str, int]:
        """One round over every class. Returns how many of each went."""
        now, keep = self.clock(), self.keep
        await self._ask("prepare_days")
        return {
            "settled": await self._all("forget_settled", now - _least(keep.inbox), self.step),
            "events": await self._all("forget_events", now - _least(keep.events), self.step),
            "event_parts": int(await self._ask("drop_empty_events")),
            "case_days": await self._days((now - _least(keep.cases)).date()),
            "runs": await self._all("forget_logs", now - _least(keep.logs_pass), True, self.step)
            + await self._all("forget_logs", now - _least(keep.logs_fail), False, self.step),
            "blobs": await _until_none(self._some_blobs),
            "unfinished": await self.blobs.sweep(now - _DAY),
        }

    async def _ask(self, name: str, *arguments: Any) -> Any:
        return await self.pool.fetchval(SQL[name], *arguments, timeout=_TIMEOUT)

    async def _all(self, name: str, *arguments: Any) -> int:
        async def some() -> int:
            return int(await self._ask(name, *arguments))

        return await _until_none(some)

    async def _days(self, before: date) -> int:
        async def one() -> int:
            return int(await self._ask("forget_cases", before) is not None)

        return await _until_none(one)

    async def _some_blobs(self) -> int:
        """Rows and bytes in one transaction: see `floor.forget_blobs`."""
        before = self.clock() - _DAY - timedelta(minutes=1)
        async with self.pool.acquire() as conn, conn.transaction():
            rows = await conn.fetch(SQL["forget_blobs"], before, self.step, timeout=_TIMEOUT)
            for row in rows:
                await self.blobs.delete(row["sha256"])
        return len(rows)


def _least(kept: timedelta) -> timedelta:
    """The database refuses to take what is younger than a day; a shorter setting means that day."""
    return max(kept, _DAY + timedelta(minutes=1))


async def _until_none(some: Callable[[], Awaitable[int]]) -> int:
    total = 0
    while (gone := await some()) > 0:
        total += gone
    return total
