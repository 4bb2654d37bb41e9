"""Work: rows that a worker claims under a lease, for all that is long or outside.

A lease has a number that only rises; whoever finishes with an older number is told `Superseded` and its
transaction is rolled back. A worker that dies lets its lease run out and another claims the row again, so what
work does must bear being begun twice.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Never

import structlog

from shared.db.bells import Bells
from shared.db.lease import keep_alive
from shared.db.outbox import SQL
from shared.db.pool import AWAY, Connection, Pool, surely_away
from shared.errors import NetciError, Superseded
from shared.race import race

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=float(os.environ.get("NETCI_LEASE", "15")))
"""How long a dead worker is waited for. NETCI_LEASE (seconds) is for tests that kill often."""


@dataclass(frozen=True, slots=True)
class Work:
    """A claimed row. `number` is the lease's, larger than that of any earlier owner."""

    id: int
    room: str
    kind: str
    key: str
    payload: Mapping[str, Any]
    attempts: int
    number: int

    def log_context(self) -> dict[str, Any]:
        return {"kind": self.kind, "key": self.key, "lease": self.number, "attempt": self.attempts}


class Postpone(NetciError):
    """Not now: come back after `wait` seconds. Counts as no failure."""

    def __init__(self, wait: float, text: str) -> None:
        super().__init__(text)
        self.wait = wait


async def enqueue(
    conn: Connection,
    room: str,
    kind: str,
    key: str,
    payload: Mapping[str, Any] | None = None,
    *,
    priority: int = 0,
    wait: float = 0,
) -> int:
    """Ask for work, once per (room, kind, key); a settled row of that key starts anew. Returns its id."""
    id_ = await conn.fetchval(SQL["enqueue"], room, kind, key, dict(payload or {}), priority, wait)
    await conn.execute(SQL["notify"], "netci_work", room)
    return int(id_)


async def cancel(conn: Connection, room: str, kind: str, key: str) -> None:
    """No longer wanted; a worker that holds it learns so at its next heartbeat."""
    await conn.execute(SQL["cancel_work"], room, kind, key)


async def claim(pool: Pool, room: str, kinds: Collection[str], holder: str, lease: timedelta = LEASE) -> Work | None:
    """Take the next row that is due, or whose owner died; None if there is none."""
    row = await pool.fetchrow(SQL["claim_work"], room, list(kinds), holder, lease.total_seconds())
    if row is None:
        return None
    return Work(row["id"], row["room"], row["kind"], row["key"], row["payload"], row["attempts"], row["lease_number"])


async def finish(conn: Connection, work: Work) -> None:
    """Settle the row in the caller's transaction. Raises Superseded if the lease is another's by now."""
    if await conn.fetchval(SQL["finish_work"], work.id, work.number) is None:
        raise Superseded(f"{work.kind} {work.key}: lease {work.number} is over")


async def heartbeat(pool: Pool, work: Work, lease: timedelta = LEASE) -> Never:
    """Keep the lease alive; raises Superseded when it is lost. Meant as a guard in a race."""
    seconds = lease.total_seconds()

    async def beat() -> bool:
        return await pool.fetchval(SQL["beat_work"], work.id, work.number, seconds) is not None

    await keep_alive(beat, seconds, f"{work.kind} {work.key}: lease {work.number}")


Do = Callable[[Work], Awaitable[None]]
"""Does the work and calls `finish` in its last transaction."""


@dataclass(frozen=True)
class Tray:
    """Rows of some kinds as one worker sees them: taken, kept while they are worked on, put back when that broke."""

    pool: Pool
    bells: Bells
    room: str
    holder: str
    kinds: Collection[str]
    lease: timedelta = LEASE
    tries: int = 8

    async def take(self) -> Work | None:
        """The next row that is due; None after a few seconds without one."""
        seen = self.bells.count("netci_work")
        try:
            work = await claim(self.pool, self.room, self.kinds, self.holder, self.lease)
            if work is not None:
                return work
            wait = await self.pool.fetchval(SQL["work_due"], self.room, list(self.kinds))
        except AWAY as exc:
            log.warning("work: the database is away", room=self.room, error=str(exc))
            wait = 1.0
        await self.bells.wait("netci_work", seen, min(5.0, max(0.05, 5.0 if wait is None else wait)))
        return None

    async def keep(self, work: Work) -> Never:
        """A guard: keeps the row ours."""
        await heartbeat(self.pool, work, self.lease)

    async def broke(self, work: Work, exc: Exception) -> None:
        """What the work was ended by: written down, and tried again later where that helps."""
        try:
            await self._settle(work, exc)
        except AWAY as away:
            # The lease runs out, and the row comes again by itself.
            log.warning("work: the database is away", room=self.room, error=str(away))
            await asyncio.sleep(1)

    async def _settle(self, work: Work, exc: Exception) -> None:
        if isinstance(exc, Superseded):
            log.info("work: let go", reason=str(exc))
        elif isinstance(exc, Postpone):
            await self.pool.execute(SQL["postpone_work"], work.id, work.number, exc.wait, str(exc))
        elif surely_away(exc):
            # Nobody's fault.
            await self.pool.execute(SQL["postpone_work"], work.id, work.number, 1.0, str(exc))
        else:
            await self._failed(work, exc)

    async def _failed(self, work: Work, exc: Exception) -> None:
        wait = min(300.0, 1.0 * 2**work.attempts)
        known = isinstance(exc, NetciError)
        log.error("work: failed", error=repr(exc), wait=wait, exc_info=None if known else exc)
        await self.pool.execute(
            SQL["fail_work"], work.id, work.number, f"{type(exc).__name__}: {exc}", wait, self.tries
        )


@dataclass(frozen=True, slots=True)
class Desk:
    """Where work of a room is taken up: its kinds and who does each, how many at a time."""

    pool: Pool
    bells: Bells
    room: str
    holder: str
    kinds: Mapping[str, Do]
    hands: int = 1
    lease: timedelta = LEASE
    tries: int = 8

    @property
    def tray(self) -> Tray:
        return Tray(self.pool, self.bells, self.room, self.holder, self.kinds, self.lease, self.tries)

    async def run(self) -> Never:
        """Work off what comes, `hands` rows at a time, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self.hands):
                group.create_task(self._hand())
        raise AssertionError("a hand never ends")

    async def _hand(self) -> None:
        while True:
            if work := await self.tray.take():
                await self.do(work)

    async def do(self, work: Work) -> None:
        """One row, from claim to settled; an exception is written down and tried again later."""
        with structlog.contextvars.bound_contextvars(**work.log_context()):
            try:
                await race(self.kinds[work.kind](work), self.tray.keep(work))
            except Exception as exc:
                await self.tray.broke(work, exc)


@asynccontextmanager
async def settle(pool: Pool, work: Work) -> AsyncIterator[Connection]:
    """The last transaction of a piece of work: what is written in it and the row's end happen together."""
    async with pool.acquire() as conn, conn.transaction():
        yield conn
        await finish(conn, work)
