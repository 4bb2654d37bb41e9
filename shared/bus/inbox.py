"""The inbox: which event a queue has seen, handled, failed or buried. The same for every bus with a database.

Theory of operation. Rows come in by two ways: a broker's message (fast), and a sweep that copies every event of
the queue's types between `swept` and the end of the log (sure). Both insert `on conflict do nothing`, so they may
overlap at will. Handling claims a due row with SKIP LOCKED and keeps the lock for the length of the handler's
transaction: a consumer that dies gives the row back at once, with nothing counted.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import structlog

from shared.bus.base import Delivery, Queue, decode
from shared.db.bells import Bells
from shared.db.outbox import SQL
from shared.db.pool import AWAY, Connection, Pool, Record
from shared.events.trace import follow
from shared.metrics import EVENTS

log = structlog.get_logger(__name__)


class Inbox:
    """One queue's inbox. `handle_due` does the work; `sweep` and `receive` bring rows in."""

    def __init__(self, pool: Pool, queue: Queue) -> None:
        self._pool = pool
        self.queue = queue

    async def declare(self) -> None:
        await self._pool.execute(SQL["declare_queue"], self.queue.name, self.queue.types)

    async def sweep(self, *, wait: bool = False) -> int:
        """Bring in all events up to the end of the log. Returns how many were new.

        While another consumer of the queue sweeps, this does nothing; with `wait` it sweeps after that one, so
        that everything logged before the call is surely in.
        """
        async with self._pool.acquire() as conn, conn.transaction():
            row = await conn.fetchrow(SQL["await_queue" if wait else "lock_queue"], self.queue.name)
            if row is None:
                return 0
            last = await conn.fetchval(SQL["last_sequence"])
            if last <= row["swept"]:
                return 0
            done = await conn.execute(SQL["sweep"], self.queue.name, row["swept"], last, self.queue.types)
            await conn.execute(SQL["swept"], self.queue.name, last)
            return int(done.split()[-1])

    async def receive(self, event_id: UUID, sequence: int) -> None:
        """A broker's message, made durable; ack it after this returns."""
        await self._pool.execute(SQL["receive"], self.queue.name, event_id, sequence)

    async def handle_due(self) -> bool:
        """Handle one due row; False if none is due. Raises only what `AWAY` names, when the database is away."""
        async with self._pool.acquire() as conn:
            row = delivery = None
            try:
                async with conn.transaction():
                    row = await conn.fetchrow(SQL["claim_delivery"], self.queue.name)
                    if row is None:
                        return False
                    delivery = _delivery(row)
                    if delivery is not None:
                        follow(delivery.envelope.traceparent)
                        await self.queue.handlers[type(delivery.event)](conn, delivery.event)
                    await conn.execute(SQL["delivery_done"], self.queue.name, row["event_id"])
            except Exception as exc:
                # With the connection gone it is the database that failed, not the handler.
                if conn.is_closed():
                    raise ConnectionError(f"the connection was lost: {exc!r}") from exc
                if row is None:
                    raise
                await self._failed(conn, row["event_id"], row["attempts"], delivery, exc)
                return True
        self._say(delivery, "handled")
        return True

    async def _failed(
        self, conn: Connection, event_id: UUID, attempts: int, delivery: Delivery | None, exc: Exception
    ) -> None:
        wait = self.queue.wait(attempts)
        await conn.execute(
            SQL["delivery_failed"], self.queue.name, event_id, f"{type(exc).__name__}: {exc}", wait,
            self.queue.attempts,
        )  # fmt: skip
        self._say(delivery, "failed", error=repr(exc), attempt=attempts, exc_info=True)

    def _say(self, delivery: Delivery | None, outcome: str, **more: object) -> None:
        kind = delivery.envelope.type if delivery else "unknown"
        EVENTS.labels(self.queue.name, kind, outcome).inc()
        subject = delivery.envelope.subject if delivery else ""
        write = log.info if outcome == "handled" else log.error
        write("event: " + outcome, queue=self.queue.name, type=kind, subject=subject, **more)

    async def next_due(self) -> float:
        """Seconds until something is due; 5 if nothing is foreseen."""
        left = await self._pool.fetchval(SQL["next_due"], self.queue.name)
        return 5.0 if left is None else max(0.0, min(5.0, left))


def _delivery(row: Record) -> Delivery | None:
    found = decode(row["type"], row["body"])
    if found is None:
        return None  # Of a newer netci: this one has no handler for it, so there is nothing to do.
    envelope, event = found
    return Delivery(envelope.id, row["sequence"], row["attempts"], envelope, event)


async def work_off(inbox: Inbox, bells: Bells, bell: str, *, sweep_every: Callable[[], timedelta]) -> None:
    """Sweep and handle for ever: at each ring of `bell`, when a retry is due, and every `sweep_every`.

    A zero `sweep_every` sweeps at each round: then the log itself is the bus.
    """
    loop = asyncio.get_running_loop()
    swept = float("-inf")
    await _patiently(inbox.declare)
    while True:
        seen = bells.count(bell)
        try:
            if loop.time() - swept >= sweep_every().total_seconds():
                await inbox.sweep()
                swept = loop.time()
            while await inbox.handle_due():
                pass
            wait = min(await inbox.next_due(), sweep_every().total_seconds() or 5.0)
        except AWAY as exc:
            log.warning("bus: the database is away", queue=inbox.queue.name, error=str(exc))
            await asyncio.sleep(0.5)
            swept = float("-inf")
            continue
        if wait <= 0:
            wait = 0.05  # Due, but locked by another consumer.
        await bells.wait(bell, seen, wait)


async def _patiently(act: object) -> None:
    while True:
        try:
            await act()  # type: ignore[operator]
            return
        except AWAY as exc:
            log.warning("bus: waiting for the database", error=str(exc))
            await asyncio.sleep(0.5)
