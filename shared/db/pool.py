"""Connections to the database, each with the rights of one room.

A pool's sessions run as the role ``netci_<room>``: the login may be that role itself (rooms as separate
processes with separate passwords) or one that is a member of it (`netci up`, the operator).
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg

from shared.errors import Refused, Transient

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:
    Connection = asyncpg.Connection
    Pool = asyncpg.Pool

Record = asyncpg.Record

AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what a statement gets whose connection breaks while it is being sent
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ReadOnlySQLTransactionError,
    OSError,
    TimeoutError,
)
"""What is raised while the database is away. The last two, and InterfaceError, may also come from elsewhere: whoever
runs a body of others' making asks `surely_away`."""

_REFUSES = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.InvalidParameterValueError,
)


def surely_away(exc: BaseException) -> bool:
    """Whether `exc` can only mean that the database went away; a time-out or an OSError may be anybody's."""
    if isinstance(exc, asyncpg.InternalClientError):
        return True  # The client stumbled over an answer that broke off.
    if isinstance(exc, asyncpg.InterfaceError):
        return "clos" in str(exc)  # "connection is closed", "pool is closing"; else a call of ours is wrong
    return isinstance(exc, AWAY) and isinstance(exc, asyncpg.PostgresError)


async def prepare_connection(conn: Any) -> None:
    """Make jsonb come and go as Python values."""
    for kind in ("json", "jsonb"):
        await conn.set_type_codec(kind, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")


_ROLES = {"checks": "executor"}
"""Rooms with the rights of another: the halves of executor differ in secrets and in what they run, not in rights."""


def _settings(room: str) -> dict[str, str]:
    mine = {"application_name": f"netci {room}".strip(), "jit": "off"}
    return mine | {"role": f"netci_{_ROLES.get(room, room)}"} if room else mine


def _why(exc: BaseException) -> str:
    if isinstance(exc, FileNotFoundError):
        return "its socket is not there; `netci up` starts the database that comes with it, and ends it"
    return str(exc) or type(exc).__name__


async def connect(dsn: str, room: str = "", timeout: float = 10) -> "asyncpg.Connection[asyncpg.Record]":
    """One connection outside any pool, with the rights of `room` (the login's own if empty).

    Raises Transient if the database does not answer, Refused if it does not let us in.
    """
    try:
        conn = await asyncpg.connect(dsn, timeout=timeout, server_settings=_settings(room))
    except AWAY as exc:
        raise Transient(f"the database does not answer: {_why(exc)}") from exc
    except _REFUSES as exc:
        raise Refused(f"the database does not let us in: {exc}") from exc
    try:
        async with asyncio.timeout(timeout):
            await prepare_connection(conn)
    except AWAY as exc:
        conn.terminate()
        raise Transient(f"the database does not answer: {_why(exc)}") from exc
    except BaseException:
        conn.terminate()
        raise
    return conn


async def _as_it_is(conn: Any) -> None:
    """What a connection is given back in. An open transaction has been rolled back before this; sessions of pools are
    never changed otherwise (settings and locks are those of a transaction), so the round trip that asyncpg makes to
    reset them, each time, is saved.
    """


@asynccontextmanager
async def open_pool(dsn: str, room: str = "", size: int = 8, command_timeout: float = 60) -> AsyncIterator["Pool"]:
    """A pool with the rights of `room`. `command_timeout` in seconds bounds every statement.

    Leaving the context closes it within 5 s, connections that are stuck included.
    """
    pool = await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=size,
        command_timeout=command_timeout,
        server_settings=_settings(room),
        init=prepare_connection,
        reset=_as_it_is,
        max_inactive_connection_lifetime=120,
        timeout=10,
    )
    try:
        yield pool
    finally:
        await _close(pool)


async def _close(pool: "Pool") -> None:
    try:
        async with asyncio.timeout(5):
            await pool.close()
    except (TimeoutError, *AWAY):
        pool.terminate()
