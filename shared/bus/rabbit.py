"""The bus over RabbitMQ: the broker is the speed, the log and the inbox remain the truth.

Theory of operation. One process relays: it reads the log behind a cursor, publishes with confirms and moves the
cursor. A consumer turns each message into a row of its inbox, commits, and acks; handling goes on from the row. So
a message is on the broker for milliseconds, and a lost one costs time only: each queue sweeps the log every
minute as well. A queue that is gone, or was left without a leader (RabbitMQ killed right after the declaration
never recovers such a queue), is deleted and declared again; the sweep brings what was in it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Never

import aio_pika
import structlog
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError

from shared.bus.base import Queue
from shared.bus.inbox import Inbox, work_off
from shared.bus.topology import QUEUE_ARGUMENTS, queue_name, routing_key
from shared.db.bells import Bells
from shared.db.outbox import SQL
from shared.db.pool import AWAY, Pool, connect
from shared.errors import Transient
from shared.events.base import PREFIX, Envelope

log = structlog.get_logger(__name__)

RELAY_LOCK = 7304
SWEEP = timedelta(seconds=60)
_BROKER_AWAY = (AMQPError, ChannelInvalidStateError, OSError, TimeoutError, asyncio.InvalidStateError)
_PUBLISH_TIMEOUT = 10
_BATCH = 200


class RabbitBus:
    """RabbitMQ by `url` (amqp:// or amqps://). `dsn` and `room` are for the relay's own lock session."""

    def __init__(
        self, url: str, exchange: str, pool: Pool, bells: Bells, dsn: str, room: str, sweep: timedelta = SWEEP
    ) -> None:
        self._url = url
        self._exchange = exchange
        self._pool = pool
        self._bells = bells
        self._dsn = dsn
        self._room = room
        self._sweep = sweep

    async def consume(self, queue: Queue) -> Never:
        inbox = Inbox(self._pool, queue)
        bell = f"inbox:{queue.name}"
        hearing = asyncio.Event()

        def sweep_every() -> timedelta:
            # Deaf to the broker, the log itself is listened to: slower by a second, and nothing else changes.
            return self._sweep if hearing.is_set() else timedelta(seconds=1)

        async with asyncio.TaskGroup() as group:
            group.create_task(self._receive_for_ever(inbox, bell, hearing))
            group.create_task(work_off(inbox, self._bells, bell, sweep_every=sweep_every))
        raise AssertionError("consuming never ends")

    # Messages in

    async def _receive_for_ever(self, inbox: Inbox, bell: str, hearing: asyncio.Event) -> Never:
        while True:
            try:
                async with self._connected() as connection:
                    await self._receive(connection, inbox, bell, hearing)
            except (*_BROKER_AWAY, *AWAY) as exc:
                log.warning("bus: receiving broke off", queue=inbox.queue.name, error=repr(exc))
            hearing.clear()
            _unless_cancelled()
            await asyncio.sleep(1)

    async def _receive(self, connection: Any, inbox: Inbox, bell: str, hearing: asyncio.Event) -> None:
        queue = await self._declared(connection, inbox.queue)
        lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def arrived(message: AbstractIncomingMessage) -> None:
            try:
                envelope = Envelope.model_validate_json(message.body)
                await inbox.receive(envelope.id, int(envelope.sequence))
                await message.ack()
                self._bells.ring(bell)
            except Exception as exc:
                # Not acked: the broker gives it again on the next connection.
                if not lost.done():
                    lost.set_exception(ConnectionError(repr(exc)))

        await queue.consume(arrived, timeout=_PUBLISH_TIMEOUT)
        _unless_cancelled()
        # What was relayed before this queue was bound is in the log and nowhere else.
        await inbox.declare()
        await inbox.sweep(wait=True)
        hearing.set()
        self._bells.ring(bell)
        queue.channel.close_callbacks.add(lambda *_: None if lost.done() else lost.set_result(None))
        while True:
            try:
                async with asyncio.timeout(15):
                    await asyncio.shield(lost)
                    return
            except TimeoutError:
                # A queue without a leader accepts a consumer and is silent: ask it.
                await self._alive(connection, inbox.queue)

    async def _declared(self, connection: Any, queue: Queue) -> AbstractQueue:
        try:
            return await self._declare(connection, queue)
        except (*_BROKER_AWAY,) as exc:
            if connection.is_closed:
                raise
            name = queue_name(self._exchange, queue.name)
            log.warning("bus: queue does not answer, made anew", queue=name, error=repr(exc))
            channel = await connection.channel()
            await channel.queue_delete(name, timeout=_PUBLISH_TIMEOUT)
            return await self._declare(connection, queue)

    async def _declare(self, connection: Any, queue: Queue) -> AbstractQueue:
        channel: AbstractChannel = await connection.channel()
        await channel.set_qos(prefetch_count=64, timeout=_PUBLISH_TIMEOUT)
        exchange = await channel.declare_exchange(
            self._exchange, aio_pika.ExchangeType.TOPIC, durable=True, timeout=_PUBLISH_TIMEOUT
        )
        declared = await channel.declare_queue(
            queue_name(self._exchange, queue.name), durable=True, arguments=QUEUE_ARGUMENTS,
            timeout=_PUBLISH_TIMEOUT,
        )  # fmt: skip
        for type_name in queue.types:
            await declared.bind(exchange, routing_key(type_name), timeout=_PUBLISH_TIMEOUT)
        return declared

    async def _alive(self, connection: Any, queue: Queue) -> None:
        """Raise if the queue is gone. A passive declare closes its channel when there is no such queue."""
        channel = await connection.channel()
        await channel.declare_queue(queue_name(self._exchange, queue.name), passive=True, timeout=_PUBLISH_TIMEOUT)
        await channel.close()

    # The log out

    async def relay(self) -> Never:
        while True:
            try:
                await self._relay_once()
            except (Transient, *_BROKER_AWAY, *AWAY) as exc:
                log.warning("relay: broke off", error=repr(exc))
            _unless_cancelled()
            await asyncio.sleep(1)

    async def _relay_once(self) -> None:
        lock = await connect(self._dsn, self._room)
        try:
            while not await lock.fetchval(SQL["sequencer_lock"], RELAY_LOCK, timeout=10):  # noqa: ASYNC110
                await asyncio.sleep(1)
            async with self._connected() as connection:
                channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
                exchange = await channel.declare_exchange(
                    self._exchange, aio_pika.ExchangeType.TOPIC, durable=True, timeout=_PUBLISH_TIMEOUT
                )
                log.info("relay: elected", exchange=self._exchange)
                await self._publish_for_ever(lock, exchange)
        finally:
            lock.terminate()

    async def _publish_for_ever(self, lock: Any, exchange: Any) -> Never:
        cursor = await lock.fetchval(SQL["cursor"], f"rabbit:{self._exchange}")
        if cursor is None:
            cursor = await lock.fetchval(SQL["last_sequence"])
        while True:
            seen = self._bells.count("netci_events")
            rows = await lock.fetch(
                SQL["read_events"], cursor, None, ["public", "project", "operator"], _BATCH, timeout=30
            )
            if rows:
                # Not a TaskGroup: its group of errors is none of those that mean "the broker is away".
                ended = await asyncio.gather(*(self._publish(exchange, row) for row in rows), return_exceptions=True)
                for trouble in filter(None, ended):
                    raise trouble
                cursor = rows[-1]["sequence"]
                await lock.execute(SQL["move_cursor"], f"rabbit:{self._exchange}", cursor, timeout=30)
                continue
            await self._bells.wait("netci_events", seen, 1.0)

    async def _publish(self, exchange: Any, row: Any) -> None:
        envelope = Envelope.model_validate(row["body"])
        message = aio_pika.Message(
            envelope.wire(),
            content_type="application/cloudevents+json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=str(envelope.id),
            type=envelope.type,
            timestamp=envelope.time,
            headers={f"cloudEvents_{k}": getattr(envelope, k) for k in ("id", "source", "specversion", "type")}
            | {"cloudEvents_id": str(envelope.id)},
        )
        try:
            await exchange.publish(message, routing_key=row["type"].removeprefix(PREFIX), timeout=_PUBLISH_TIMEOUT)
        except aio_pika.exceptions.DeliveryError:
            # Nobody bound that type yet: the sweep of whoever binds it later brings it from the log.
            log.debug("relay: nobody listens", type=row["type"])

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Any]:
        """A plain connection: reconnecting is our own loop's, so that no half-dead channel is used on."""
        connection = await aio_pika.connect(self._url, timeout=10, heartbeat=20)
        try:
            yield connection
        finally:
            try:
                async with asyncio.timeout(3):
                    await connection.close()
            except _BROKER_AWAY:
                pass


def _unless_cancelled() -> None:
    """Raise the cancellation that the client library swallowed: it makes its own error of one during a request."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def answers(url: str) -> str:
    """What is wrong with the broker at `url`; "" if it lets us in."""
    try:
        connection = await aio_pika.connect(url, timeout=10)
        await connection.close()
    except _BROKER_AWAY as exc:
        return repr(exc)
    return ""


async def delete_queues(url: str, exchange: str, names: Iterable[str]) -> None:
    """Delete the queues of these rooms with all that is in them: it costs time and nothing else, as the log stays."""
    connection = await aio_pika.connect(url, timeout=10)
    try:
        for name in names:
            channel = await connection.channel()
            await channel.queue_delete(queue_name(exchange, name), timeout=_PUBLISH_TIMEOUT)
    finally:
        await connection.close()
