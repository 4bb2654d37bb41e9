"""The bus that is PostgreSQL itself: the log is the wire, NOTIFY the bell. The embedded default."""

import asyncio
from datetime import timedelta
from typing import Never

from shared.bus.base import Queue
from shared.bus.inbox import Inbox, work_off
from shared.db.bells import Bells
from shared.db.pool import Pool


class PostgresBus:
    """Durable without a broker."""

    def __init__(self, pool: Pool, bells: Bells) -> None:
        self._pool = pool
        self._bells = bells

    async def consume(self, queue: Queue) -> Never:
        await work_off(Inbox(self._pool, queue), self._bells, "netci_events", sweep_every=lambda: timedelta(0))
        raise AssertionError("consuming never ends")

    async def relay(self) -> Never:
        await asyncio.get_running_loop().create_future()
        raise AssertionError("sleeps for ever")
