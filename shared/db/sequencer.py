"""The sequencer: one in the whole installation moves staged events to the log and numbers them without gaps.

Theory of operation. Readers follow the log by number. If numbers were drawn when events are staged, a slow
transaction would commit a small number after a reader has passed it, and that reader would miss the event for
good. So numbers are given afterwards, to committed rows only, by one process at a time. Who that is, is decided
by an advisory lock of a session: every process tries, one has it, the rest stand by and take over within a second
of its death, because the lock dies with the session.
"""

import asyncio
from typing import Any, Never

import asyncpg
import structlog

from shared.db.bells import Bells
from shared.db.outbox import SQL
from shared.db.pool import AWAY, connect
from shared.errors import Transient

log = structlog.get_logger(__name__)

LOCK = 7303
BATCH = 500


async def sequence(dsn: str, room: str, bells: Bells) -> Never:
    """Be the sequencer, or stand by to become it."""
    while True:
        try:
            await _one_session(dsn, room, bells)
        except (Transient, *AWAY) as exc:
            log.warning("sequencer: lost the database", error=str(exc))
        except asyncpg.PostgresError as exc:
            # A statement that was cancelled, a lock not given: nothing that should end the process.
            log.error("sequencer: broke off", error=repr(exc))
        await asyncio.sleep(0.5)


async def _one_session(dsn: str, room: str, bells: Bells) -> None:
    conn = await connect(dsn, room)
    try:
        while not await conn.fetchval(SQL["sequencer_lock"], LOCK, timeout=10):  # noqa: ASYNC110
            await asyncio.sleep(0.5)
        log.info("sequencer: elected")
        while True:
            seen = bells.count("netci_staged")
            while await drain(conn):
                pass
            await bells.wait("netci_staged", seen, 2.0)
    finally:
        conn.terminate()


async def drain(conn: Any) -> bool:
    """Move one batch; True if there may be more."""
    moved = await conn.fetchval(SQL["sequence"], BATCH, timeout=30)
    return bool(moved == BATCH)
