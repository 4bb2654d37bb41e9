"""Three buses, one promise: at least once, once in the tables, failures counted and buried, kills not counted."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from shared.bus.base import Bus, Handler, Queue
from shared.bus.memory import MemoryBus
from shared.bus.postgres import PostgresBus
from shared.bus.rabbit import RabbitBus
from shared.clock import wall
from shared.db.bells import Bells
from shared.db.outbox import stage
from shared.db.pool import Connection, Pool
from shared.db.sequencer import sequence
from shared.events import Envelope, RunDone, TreeMoved
from shared.model.ids import uuid7
from tests.conftest import Database
from tests.support.rabbitmq import RabbitMQ

PATIENCE = 40


def a_queue(handler: Handler, attempts: int = 3, kind: type[Any] = TreeMoved) -> Queue:
    return Queue("tested", {kind: handler}, attempts, wait=lambda attempt: 0.01)


def a_move(n: int) -> TreeMoved:
    return TreeMoved(project="netdev", tree=f"t{n}", head="0" * 40)


@dataclass
class Rig:
    """A bus with a way to publish, and to see what was buried."""

    bus: Bus
    publish: Callable[[Any], Awaitable[None]]
    dead: Callable[[], Awaitable[list[str]]]
    declare: Callable[[Queue], Awaitable[None]]
    seen: list[str] = field(default_factory=list)
    pool: Pool | None = None


@pytest.fixture(params=["memory", "postgres", "rabbit"])
async def rig(request: pytest.FixtureRequest, database: Database, rabbitmq: RabbitMQ) -> AsyncIterator[Rig]:
    if request.param == "memory":
        yield memory_rig()
        return
    async with database_rig(database, rabbitmq.url if request.param == "rabbit" else "") as made:
        yield made


def memory_rig() -> Rig:
    bus = MemoryBus()

    async def publish(event: Any) -> None:
        await bus.publish(Envelope.around(event, id=uuid7(), source="test", time=wall()))

    async def dead() -> list[str]:
        return bus.dead("tested")

    async def declare(queue: Queue) -> None:
        bus.declare(queue)

    return Rig(bus, publish, dead, declare)


@asynccontextmanager
async def database_rig(database: Database, url: str) -> AsyncIterator[Rig]:
    pool, bells = await database.pool("branch", size=8), Bells()
    bus: Bus = PostgresBus(pool, bells)
    if url:
        exchange = f"x{uuid.uuid4().hex[:8]}"
        bus = RabbitBus(url, exchange, pool, bells, database.dsn, "branch", sweep=timedelta(seconds=60))

    async def publish(event: Any) -> None:
        async with pool.acquire() as conn, conn.transaction():
            await stage(conn, "test", event)

    async def dead() -> list[str]:
        return [r["error"] for r in await pool.fetch("select error from floor.inbox where state = 'dead'")]

    async def declare(queue: Queue) -> None:
        from shared.bus.inbox import Inbox

        await Inbox(pool, queue).declare()

    background = [bells.listen(database.dsn, "branch"), sequence(database.dsn, "branch", bells), bus.relay()]
    tasks = [asyncio.ensure_future(task) for task in background]
    yield Rig(bus, publish, dead, declare, pool=pool)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def consuming(rig: Rig, queue: Queue, consumers: int = 1) -> AsyncIterator[list[asyncio.Future[Any]]]:
    await rig.declare(queue)
    tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(rig.bus.consume(queue)) for _ in range(consumers)]
    try:
        async with asyncio.timeout(PATIENCE):
            yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def noting(rig: Rig) -> Handler:
    async def handle(conn: Connection, event: TreeMoved) -> None:
        rig.seen.append(event.tree)

    return handle


async def test_every_event_is_handled_once(rig: Rig) -> None:
    async with consuming(rig, a_queue(noting(rig)), consumers=2):
        for n in range(30):
            await rig.publish(a_move(n))
        await until(lambda: len(rig.seen) >= 30)
        await asyncio.sleep(0.2)
    assert sorted(rig.seen) == sorted(f"t{n}" for n in range(30))


async def test_events_of_other_types_do_not_come(rig: Rig) -> None:
    async with consuming(rig, a_queue(noting(rig))):
        await rig.publish(RunDone(project="netdev", run=1, remote="r", executor="e", branch="b", state="done"))
        await rig.publish(a_move(1))
        await until(lambda: bool(rig.seen))
    assert rig.seen == ["t1"]


async def test_what_came_while_nobody_consumed_is_handled_later(rig: Rig) -> None:
    queue = a_queue(noting(rig))
    await rig.declare(queue)
    for n in range(5):
        await rig.publish(a_move(n))
    async with consuming(rig, queue):
        await until(lambda: len(rig.seen) == 5)


async def test_a_failing_handler_is_tried_again(rig: Rig) -> None:
    async def fail_twice(conn: Connection, event: TreeMoved) -> None:
        rig.seen.append(event.tree)
        if len(rig.seen) < 3:
            raise RuntimeError("not yet")

    async with consuming(rig, a_queue(fail_twice)):
        await rig.publish(a_move(1))
        await until(lambda: len(rig.seen) == 3)
        await asyncio.sleep(0.1)
    assert rig.seen == ["t1"] * 3
    assert await rig.dead() == []


async def test_a_poison_event_is_buried_with_its_reason_and_others_go_on(rig: Rig) -> None:
    async def choke(conn: Connection, event: TreeMoved) -> None:
        rig.seen.append(event.tree)
        if event.tree == "t1":
            raise RuntimeError("poison")

    async with consuming(rig, a_queue(choke)):
        await rig.publish(a_move(1))
        await rig.publish(a_move(2))
        await until(lambda: rig.seen.count("t1") == 3 and "t2" in rig.seen)
        await asyncio.sleep(0.2)
    assert rig.seen.count("t1") == 3
    assert await rig.dead() == ["RuntimeError: poison"]


async def test_a_killed_consumer_counts_as_no_failure(rig: Rig) -> None:
    began = asyncio.Event()

    async def hang_first(conn: Connection, event: TreeMoved) -> None:
        rig.seen.append(event.tree)
        if len(rig.seen) <= 5:
            began.set()
            await asyncio.sleep(60)

    queue = a_queue(hang_first, attempts=2)
    for _ in range(5):
        began.clear()
        async with consuming(rig, queue) as tasks:
            if not rig.seen:
                await rig.publish(a_move(1))
            await began.wait()
            for task in tasks:
                task.cancel()
    async with consuming(rig, queue):
        await until(lambda: len(rig.seen) == 6)
    assert await rig.dead() == []


async def test_a_broker_killed_and_restarted_loses_nothing(database: Database) -> None:
    """SIGKILL of RabbitMQ right after the queue was declared: the queue may come back without a leader."""
    broker = RabbitMQ()
    broker.start()
    await asyncio.to_thread(broker.wait)
    try:
        async with database_rig(database, broker.url) as rig:
            async with consuming(rig, a_queue(noting(rig))):
                await rig.publish(a_move(0))
                await until(lambda: len(rig.seen) == 1)
                for n in range(1, 11):
                    await rig.publish(a_move(n))
                    if n == 5:
                        broker.kill()
                broker.start()
                await asyncio.to_thread(broker.wait)
                async with asyncio.timeout(PATIENCE):
                    while len(set(rig.seen)) < 11:
                        await asyncio.sleep(0.1)
    finally:
        broker.close()
    assert sorted(rig.seen) == sorted(f"t{n}" for n in range(11))


async def test_a_relay_that_loses_its_broker_goes_on_with_the_next_one(database: Database) -> None:
    """What was not confirmed is published again; the relay itself never ends for it."""
    broker = RabbitMQ()
    broker.start()
    await asyncio.to_thread(broker.wait)
    pool, bells = await database.pool("branch", size=4), Bells()
    bus = RabbitBus(broker.url, f"x{uuid.uuid4().hex[:8]}", pool, bells, database.dsn, "branch")
    background = [
        asyncio.ensure_future(task)
        for task in (bus.relay(), bells.listen(database.dsn, "branch"), sequence(database.dsn, "branch", bells))
    ]

    async def publish_until_relayed(n: int) -> None:
        async with pool.acquire() as conn, conn.transaction():
            await stage(conn, "test", a_move(n))
        while (await pool.fetchval("select max(sequence) from floor.cursors") or 0) < n:
            assert not background[0].done()
            await asyncio.sleep(0.05)

    try:
        async with asyncio.timeout(2 * PATIENCE):
            # The first event may be logged before the relay looks for the end of the log.
            while not await pool.fetchval("select count(*) from pg_locks where locktype = 'advisory' and objid = 7304"):
                await asyncio.sleep(0.05)
            await asyncio.sleep(1)
            await publish_until_relayed(1)
            broker.kill()
            async with pool.acquire() as conn, conn.transaction():
                await stage(conn, "test", *(a_move(n) for n in range(2, 8)))
            await asyncio.sleep(1)
            broker.start()
            await asyncio.to_thread(broker.wait)
            await publish_until_relayed(8)
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        broker.close()
