"""What labs sent and we did not take, kept for the lab's owner, in a transaction of its own."""

from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiohttp import web
from pydantic import ValidationError

from services.ingest.api.bodies import READ
from services.ingest.api.desk import LabDesk
from services.ingest.api.store import SQL
from shared.db.pool import AWAY
from shared.errors import NetciError
from shared.formats.clean import plain
from shared.formats.faults import Faulty
from shared.web.openapi import Asked

log = structlog.get_logger(__name__)

EXECUTOR = web.RequestKey("executor", str)
"""Set as soon as it is known for which executor something comes."""

KEPT = 500
"""Of one remote."""
ERRORS = 10

Act = Callable[[LabDesk, Asked], Awaitable[Any]]


def watched(act: Act) -> Act:
    """`act`, with what it refuses recorded."""

    async def watching(desk: LabDesk, asked: Asked) -> Any:
        try:
            return await act(desk, asked)
        except (NetciError, web.HTTPException, ValidationError) as exc:
            status = _status(exc)
            if 400 <= status < 500:
                await _record(desk, asked, status, exc)
            raise

    return watching


def _status(exc: Exception) -> int:
    if isinstance(exc, web.HTTPException):
        return exc.status
    return 400 if isinstance(exc, ValidationError) else int(getattr(exc, "status_hint", 500))


async def _record(desk: LabDesk, asked: Asked, status: int, exc: Exception) -> None:
    request, remote = asked.request, asked.holder.remote
    errors = (
        [{"pointer": f.pointer, "detail": f.detail} for f in exc.faults[:ERRORS]] if isinstance(exc, Faulty) else []
    )
    words = (exc.text or "") if isinstance(exc, web.HTTPException) else str(exc)
    size = request.get(READ) or request.content_length or 0
    try:
        await desk.floor.pool.execute(
            SQL["reject"], remote, request.get(EXECUTOR, ""), plain(request.path)[:300], status, plain(words)[:1000],
            errors, size,
        )  # fmt: skip
        await desk.floor.pool.execute(SQL["forget_rejections"], remote, KEPT)
    except AWAY as away:
        log.warning("labs: a rejection is not recorded", remote=remote, status=status, error=str(away))
