"""What a person has paused: posting, a stream, a source, an executor. Looked at before each act, so it holds now."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.db.outbox import SQL
from shared.db.pool import Connection, Pool
from shared.errors import Refused

KINDS = ("post", "stream", "source", "executor")


async def paused(conn: Connection | Pool, kind: str, name: str) -> str | None:
    """Why `name` is paused; None if it is not."""
    why = await conn.fetchval(SQL["paused"], kind, name)
    return None if why is None else str(why)


async def pause(conn: Connection, kind: str, name: str, why: str, by: str) -> None:
    """Pause, audited. Raises Refused without a reason."""
    if not why.strip():
        raise Refused("say why: the reason is shown to everybody who waits")
    async with _changed(conn, "pause", kind, name, why, by):
        await conn.execute(SQL["pause"], kind, name, why, by)


async def resume(conn: Connection, kind: str, name: str, why: str, by: str) -> bool:
    """Undo a pause; False if there was none."""
    async with _changed(conn, "resume", kind, name, why, by):
        gone = await conn.fetchval(SQL["resume"], kind, name)
    return gone is not None


@asynccontextmanager
async def _changed(conn: Connection, verb: str, kind: str, name: str, why: str, by: str) -> AsyncIterator[None]:
    """What is done to a pause is audited with it, and seen by all rooms when both are there."""
    async with conn.transaction():
        yield
        await conn.execute(SQL["audit"], by, f"{verb} {kind}", name, why, {})
        await conn.execute(SQL["notify"], "netci_pauses", name)
