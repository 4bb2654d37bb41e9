"""Webhooks as everybody may know them: how many each remote has, and whether what happens reaches them.

Addresses and what was sent are for their owners, over `/api/v1/webhooks` with a token.
"""

from datetime import timedelta

from aiohttp import web

from services.report.hooks.store import SQL
from services.report.web.front import Data, Front

SPAN = timedelta(days=1)


async def webhooks(front: Front, request: web.Request) -> Data:
    """Counts for each remote; "" are those of operators and of tokens without a remote."""
    rows = await front.floor.pool.fetch(SQL["by_remote"], front.now - SPAN, timeout=10)
    on = front.floor.settings.webhooks.key_file is not None
    return {"on": on, "remotes": [dict(row) for row in rows], "public_url": front.floor.settings.public_url}
