"""A long JSON list, sent as it is made, so that no answer is ever held whole."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

from aiohttp import web

PATIENCE = 60.0
"""Seconds that a reader may take for one piece."""


def as_text(value: Any) -> bytes:
    """A value as the JSON that goes out."""
    return json.dumps(value, ensure_ascii=False).encode()


async def as_list(request: web.Request, pieces: AsyncIterator[Iterable[Any]]) -> web.StreamResponse:
    """The values of all `pieces` as one list; bytes are JSON already. What fails before the first is sent becomes an
    ordinary answer.
    """
    response = web.StreamResponse(headers={"Access-Control-Allow-Origin": "*"})
    response.content_type = "application/json"
    sign = b"["
    async for values in pieces:
        texts = [value if isinstance(value, bytes) else as_text(value) for value in values]
        if not texts:
            continue
        if not response.prepared:
            await response.prepare(request)
        async with asyncio.timeout(PATIENCE):
            await response.write(sign + b",".join(texts))
        sign = b","
    if not response.prepared:
        await response.prepare(request)
    await response.write(b"[]" if sign == b"[" else b"]")
    await response.write_eof()
    return response
