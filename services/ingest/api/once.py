"""Writes that may come twice: one transaction each, and under an Idempotency-Key the answer of the first.

The key is held by a lock while its request runs, so that the same again meanwhile is told so. What was refused is not
kept: mended, it may come under the same key.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from services.ingest.api.desk import LabDesk
from services.ingest.api.store import SQL
from shared.db.pool import Connection
from shared.errors import Refused, Superseded
from shared.web.openapi import Asked, Parameter

LONGEST_KEY = 200

KEY = Parameter(
    "Idempotency-Key", str, f"At most {LONGEST_KEY} characters. The same request again under it has the same answer."
)


class Otherwise(Refused):
    """Under this key something else was sent before."""

    status_hint = 422


@dataclass(frozen=True, slots=True)
class Told:
    """An answer that can be kept."""

    status: int
    body: dict[str, Any]


def digest_of(asked: Asked, data: bytes) -> bytes:
    """What makes two requests the same."""
    request = asked.request
    head = "\0".join((request.method, request.path_qs, request.content_type, ""))
    return hashlib.sha256(head.encode("utf-8", "replace") + hashlib.sha256(data).digest()).digest()


async def once(
    desk: LabDesk, asked: Asked, digest: bytes, act: Callable[[Connection], Awaitable[Told]]
) -> web.Response:
    """Do `act` in a transaction, unless it has been done under the key. Raises Otherwise, Superseded."""
    key = _key(asked)
    async with desk.floor.pool.acquire() as conn, conn.transaction():
        told = await _before(conn, asked.holder.remote, key, digest) if key else None
        if told is None:
            told = await act(conn)
            if key:
                await conn.execute(SQL["keep_answer"], asked.holder.remote, key, digest, told.status, told.body)
    return web.json_response(told.body, status=told.status)


def _key(asked: Asked) -> str:
    key = asked.request.headers.get("Idempotency-Key", "").strip()
    if len(key) > LONGEST_KEY or not key.isprintable():
        raise Refused(f"Idempotency-Key: at most {LONGEST_KEY} printable characters")
    # What was tried has been answered, and has not been done. No header holds a newline.
    return f"trial\n{key}" if key and asked.holder.sandbox else key


async def _before(conn: Connection, remote: str, key: str, digest: bytes) -> Told | None:
    if not await conn.fetchval(SQL["hold_key"], remote, key):
        raise Superseded("the same is being done just now under this key", headers={"Retry-After": "2"})
    row = await conn.fetchrow(SQL["answer"], remote, key)
    if row is None:
        return None
    if bytes(row["digest"]) != digest:
        raise Otherwise("this Idempotency-Key came with another request before; take a new one for a new request")
    return Told(row["status"], row["body"])
