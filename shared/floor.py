"""What a room is handed: everything common, in one frozen value. No container, no globals."""

import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from shared.blobs.base import Blobs
from shared.blobs.disk import DiskBlobs
from shared.bus.base import Bus
from shared.bus.postgres import PostgresBus
from shared.clock import Clock, wall
from shared.db.bells import Bells
from shared.db.embedded import Embedded
from shared.db.pool import Connection, Pool, connect, open_pool
from shared.settings import Settings, secret


@dataclass(frozen=True)
class Floor:
    """The common floor under one room. `pool` has that room's rights; `holder` names this process in leases.

    `unready` names the rooms of this process that do not take part right now.
    """

    settings: Settings
    room: str
    dsn: str
    pool: Pool
    bus: Bus
    bells: Bells
    blobs: Blobs
    clock: Clock
    holder: str
    unready: Callable[[], list[str]] = list


def dsn_of(settings: Settings) -> str:
    """The database's address: from its file, the environment, the configuration, else the embedded one's."""
    if settings.database.url_file:
        return secret(file=settings.database.url_file, what="database.url_file")
    if settings.database.url_env:
        given = os.environ.get(settings.database.url_env) or settings.database.url
        return given or secret(env=settings.database.url_env, what="database.url_env")
    return settings.database.url or Embedded(settings.data).dsn


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Connection]:
    """One connection for a command of a person, with the rights of whoever logs in."""
    conn = await connect(dsn_of(settings))
    try:
        yield conn
    finally:
        await conn.close()


def bus_url(settings: Settings) -> str:
    """The broker's address, found as the database's is; "" where PostgreSQL itself is the bus."""
    if settings.bus.url_file:
        return secret(file=settings.bus.url_file, what="bus.url_file")
    if settings.bus.url_env:
        return os.environ.get(settings.bus.url_env) or settings.bus.url
    return settings.bus.url


def holder() -> str:
    """This process among all: host, pid and a little chance, as pids come again."""
    return f"{socket.gethostname()}:{os.getpid()}:{os.urandom(3).hex()}"


@asynccontextmanager
async def laid(
    settings: Settings, room: str, bells: Bells, name: str, clock: Clock = wall, unready: Callable[[], list[str]] = list
) -> AsyncIterator[Floor]:
    """The floor for `room`, closed at the end. `bells` are the process's, rung by its listener."""
    dsn = dsn_of(settings)
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(dsn, room, settings.database.pool))
        bus = make_bus(settings, pool, bells, dsn, room)
        blobs = DiskBlobs(settings.data / "blobs")
        yield Floor(settings, room, dsn, pool, bus, bells, blobs, clock, name, unready)


def make_bus(settings: Settings, pool: Pool, bells: Bells, dsn: str, room: str) -> Bus:
    """RabbitMQ if the configuration names one, else PostgreSQL itself."""
    if url := bus_url(settings):
        from shared.bus.rabbit import RabbitBus

        return RabbitBus(url, settings.bus.exchange, pool, bells, dsn, room)
    return PostgresBus(pool, bells)
