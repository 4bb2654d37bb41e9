"""Wake-ups between processes: PostgreSQL's NOTIFY, turned into bells that tasks of this process wait for.

A bell only says *look*. Nothing is lost when the listening connection breaks: whoever waits has a timeout, and a
reconnect rings every bell.
"""

import asyncio
from collections import defaultdict
from typing import Any, Never

import asyncpg
import structlog

from shared.db.pool import AWAY, connect
from shared.errors import Transient

log = structlog.get_logger(__name__)

HOOKS = "netci_hooks"
"""Its payload names who is woken (`bell_of_source`, `bell_of_tree`, …); that bell rings as well."""

CHANNELS = ("netci_events", "netci_staged", "netci_work", "netci_pauses", "netci_orders", "netci_runs", HOOKS)


class Bells:
    """Counters that only rise; a task looks at one, does its round, and waits until it has moved."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = defaultdict(int)
        self._waiters: dict[str, set[asyncio.Future[None]]] = defaultdict(set)

    def count(self, name: str) -> int:
        return self._counts[name]

    def ring(self, name: str) -> None:
        self._counts[name] += 1
        for waiter in self._waiters.pop(name, ()):
            if not waiter.done():
                waiter.set_result(None)

    def ring_all(self) -> None:
        for name in CHANNELS:
            self.ring(name)

    async def wait(self, name: str, seen: int, timeout: float) -> None:
        """Return once the bell has moved on from `seen`, at the latest after `timeout` seconds."""
        if self._counts[name] != seen or timeout <= 0:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[name].add(waiter)
        try:
            async with asyncio.timeout(timeout):
                await waiter
        except TimeoutError:
            pass
        finally:
            self._waiters[name].discard(waiter)

    async def listen(self, dsn: str, room: str = "") -> Never:
        """Ring for every NOTIFY, for as long as the process lives; reconnects by itself."""
        while True:
            try:
                await self._listen_once(dsn, room)
            except (Transient, asyncpg.PostgresError, *AWAY) as exc:
                log.warning("bells: lost the database", error=str(exc))
            await asyncio.sleep(1)

    async def _listen_once(self, dsn: str, room: str) -> None:
        conn = await connect(dsn, room)
        lost = asyncio.Event()
        conn.add_termination_listener(lambda _: lost.set())
        try:
            for channel in CHANNELS:
                await conn.add_listener(channel, self._heard)
            self.ring_all()
            while not lost.is_set():
                try:
                    async with asyncio.timeout(15):
                        await lost.wait()
                except TimeoutError:
                    # A half-open connection hears nothing and says nothing: ask.
                    await conn.execute("select 1", timeout=10)
        finally:
            conn.terminate()

    def _heard(self, conn: Any, pid: int, channel: str, payload: object) -> None:
        self.ring(channel)
        if channel == HOOKS:
            self.ring(str(payload))


def bell_of_source(project: str) -> str:
    """Rung when a project's source should be looked at."""
    return f"source:{project}"


def bell_of_tree(project: str, tree: str) -> str:
    """Rung when a tree should be fetched."""
    return f"tree:{project}/{tree}"


def bell_of_checks(plan: int) -> str:
    """Rung when the answers of a plan of checks are no longer wanted."""
    return f"checks:{plan}"
