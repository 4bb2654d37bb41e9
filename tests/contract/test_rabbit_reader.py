"""An operator's own queue on our exchange, with the rights of docs/how-to/follow-events.md, on a real broker."""

import asyncio
import json
import re
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aiormq.exceptions import ChannelAccessRefused

from shared.bus.base import Queue
from shared.bus.rabbit import RabbitBus
from shared.db.bells import Bells
from shared.db.outbox import stage
from shared.db.pool import Connection, Pool
from shared.db.sequencer import sequence
from shared.events import TreeMoved
from shared.events.base import Event
from tests.conftest import Database
from tests.support.rabbitmq import RabbitMQ

PAGE = Path(__file__).parents[2] / "docs/how-to/follow-events.md"
OURS = "netci.branch"


def commands() -> list[list[str]]:
    """The commands of the page, word by word."""
    lines = re.findall(r"^rabbitmqctl (.*)$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert len(lines) == 3
    return [shlex.split(line) for line in lines]


@pytest.fixture(scope="module")
def reader(rabbitmq: RabbitMQ) -> str:
    """The address of the broker for the read-only user."""
    for words in commands():
        rabbitmq.ctl(*words)
    return rabbitmq.url.replace("guest:guest", "observer:CHANGE-THIS")


@asynccontextmanager
async def our_bus(database: Database, url: str) -> AsyncIterator[Pool]:
    """The bus at work on the exchange `netci`, with one queue of ours."""
    pool, bells = await database.pool("branch", size=8), Bells()
    bus = RabbitBus(url, "netci", pool, bells, database.dsn, "branch")

    async def on_move(conn: Connection, event: Event) -> None:
        return

    tasks = [
        asyncio.ensure_future(bells.listen(database.dsn)),
        asyncio.ensure_future(sequence(database.dsn, "", bells)),
        asyncio.ensure_future(bus.consume(Queue("branch", {TreeMoved: on_move}))),
        asyncio.ensure_future(bus.relay()),
    ]
    try:
        yield pool
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def channel(url: str) -> AsyncIterator[Any]:
    """A channel with confirms, so that a refusal to publish is heard."""
    connection = await aio_pika.connect(url, timeout=20)
    async with connection:
        yield await connection.channel(publisher_confirms=True)


async def has_ours(url: str) -> None:
    """Wait until our queue is declared."""
    async with asyncio.timeout(60):
        while True:
            try:
                async with channel(url) as held:
                    await held.declare_queue(OURS, passive=True)
                    return
            except aio_pika.exceptions.ChannelNotFoundEntity:
                await asyncio.sleep(0.1)


async def test_a_reader_binds_a_queue_of_its_own_and_gets_events(
    database: Database, rabbitmq: RabbitMQ, reader: str
) -> None:
    async with our_bus(database, rabbitmq.url) as pool:
        await has_ours(rabbitmq.url)
        async with channel(reader) as held:
            queue = await held.declare_queue("observer.moves", durable=True)
            await queue.bind("netci", "tree.moved.*")
            async with pool.acquire() as conn, conn.transaction():
                await stage(conn, "branch", TreeMoved(project="netdev", tree="net", head="0" * 40))
            async with asyncio.timeout(60), queue.iterator() as messages:
                message = await anext(messages)
                await message.ack()
    told = json.loads(message.body)
    assert (told["type"], told["data"]["tree"]) == ("dev.netci.tree.moved.v1", "net")
    assert message.routing_key == "tree.moved.v1"
    assert message.content_type == "application/cloudevents+json"


async def _publish(held: Any) -> None:
    exchange = await held.get_exchange("netci", ensure=False)
    await exchange.publish(aio_pika.Message(b"{}"), "tree.moved.v1", timeout=20)


async def _publish_to_our_queue(held: Any) -> None:
    await held.default_exchange.publish(aio_pika.Message(b"{}"), OURS, timeout=20)


async def _read_ours(held: Any) -> None:
    await (await held.get_queue(OURS, ensure=False)).get(timeout=20, fail=False)


async def _purge_ours(held: Any) -> None:
    await (await held.get_queue(OURS, ensure=False)).purge(timeout=20)


async def _delete_ours(held: Any) -> None:
    await (await held.get_queue(OURS, ensure=False)).delete(if_unused=False, if_empty=False, timeout=20)


async def _bind_ours(held: Any) -> None:
    await (await held.get_queue(OURS, ensure=False)).bind("netci", "#", timeout=20)


async def _delete_the_exchange(held: Any) -> None:
    await (await held.get_exchange("netci", ensure=False)).delete(timeout=20)


async def _feed_the_exchange_from_a_dead_letter(held: Any) -> None:
    await held.declare_queue("observer.back", arguments={"x-dead-letter-exchange": "netci"}, timeout=20)


async def _feed_the_exchange_from_another(held: Any) -> None:
    source = await held.declare_exchange("observer.source", "fanout", timeout=20)
    await (await held.get_exchange("netci", ensure=False)).bind(source, "#", timeout=20)


@pytest.mark.parametrize(
    "act",
    [
        _publish, _publish_to_our_queue, _read_ours, _purge_ours, _delete_ours, _bind_ours, _delete_the_exchange,
        _feed_the_exchange_from_a_dead_letter, _feed_the_exchange_from_another,
    ],
)  # fmt: skip
async def test_a_reader_can_do_nothing_else(database: Database, rabbitmq: RabbitMQ, reader: str, act: Any) -> None:
    async with our_bus(database, rabbitmq.url):
        await has_ours(rabbitmq.url)
        async with channel(reader) as held:
            with pytest.raises(ChannelAccessRefused):
                await act(held)
        async with channel(rabbitmq.url) as held:
            await held.declare_queue(OURS, passive=True)
