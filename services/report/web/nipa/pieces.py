"""A long JSON list, sent as it is made, so that no answer is ever held whole."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

from aiohttp import web

PATIENCE = 60.0
"""Seconds that a reader may take for one piece."""


async def as_list(request: web.Request, pieces: AsyncIterator[Iterable[Any]]) -> web.StreamResponse:
    """The values of all `pieces` as one list. What fails before the first is sent becomes an ordinary answer."""
    response = web.StreamResponse(headers={"Access-Control-Allow-Origin": "*"})
    response.content_type = "application/json"
    sign = "["
    async for values in pieces:
        texts = [json.dumps(value, ensure_ascii=False) for value in values]
        if not texts:
            continue
        if not response.prepared:
            await response.prepare(request)
        async with asyncio.timeout(PATIENCE):
            await response.write((sign + ",".join(texts)).encode())
        sign = ","
    if not response.prepared:
        await response.prepare(request)
    await response.write(b"[]" if sign == "[" else b"]")
    await response.write_eof()
    return response
