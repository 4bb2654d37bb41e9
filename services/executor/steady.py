"""Writing while the database comes and goes: once more, until it works or the caller is told to stop."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from shared.db.pool import AWAY

log = structlog.get_logger(__name__)

T = TypeVar("T")
LONGEST = 120.0
"""Seconds after which it is no outage: the heartbeat, which needs the same database, would have ended us."""


async def steadily(act: Callable[[], Awaitable[T]], longest: float = LONGEST) -> T:
    """What `act` returns, begun anew while the database (or the disk for blobs) is away.

    `act` must bear being repeated after it was carried out and only its answer was lost. Who holds a lease runs
    this beside its heartbeat, which cancels it when the lease is lost.
    """
    loop = asyncio.get_running_loop()
    until, wait = loop.time() + longest, 0.05
    while True:
        try:
            return await act()
        except AWAY as exc:
            # A value that cannot be sent is an InterfaceError of asyncpg's too, and no outage.
            if isinstance(exc, ValueError) or loop.time() >= until:
                raise
            log.warning("the database is away, trying again", error=str(exc) or type(exc).__name__)
        await asyncio.sleep(wait)
        wait = min(2.0, wait * 2)
