"""Calls that wake us: of a project's Patchwork, or of a tree's git server. Signed, and never believed.

Whatever a call says, it only makes us look where we would have looked a little later: the source is polled, the tree is
fetched. So a call that is lost costs time, and one that is forged or repeated costs a request, at most one in a while.
"""

from datetime import timedelta
from typing import Annotated

import structlog
from aiohttp import web
from pydantic import BaseModel, Field

from services.ingest.api.desk import LabDesk
from services.ingest.store import SQL
from shared.db.bells import HOOKS, bell_of_source, bell_of_tree
from shared.db.outbox import SQL as FLOOR
from shared.errors import Missing
from shared.formats.signed import PREFIX, fingerprint, verify, verify_hub
from shared.web.auth import Exhausted, Unauthorized
from shared.web.client import address_of
from shared.web.openapi import Asked, Endpoint, Parameter, read_capped

log = structlog.get_logger(__name__)

LIMIT = 64 << 10
REMEMBERED = timedelta(days=1)
"""How long a call is known again. Standard Webhooks' time alone refuses it after five minutes; GitHub's has none."""

NAME = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]


class Heard(BaseModel):
    """The call was signed; `woken` says whether it was new."""

    woken: bool


async def patchwork(desk: LabDesk, asked: Asked) -> Heard:
    return await _hear(desk, asked, bell_of_source(asked.values["project"]))


async def git(desk: LabDesk, asked: Asked) -> Heard:
    return await _hear(desk, asked, bell_of_tree(asked.values["project"], asked.values["tree"]))


async def _hear(desk: LabDesk, asked: Asked, bell: str) -> Heard:
    request = asked.request
    allowance = desk.callers.rates.ask(address_of(request))
    if allowance.wait:
        raise Exhausted("calls are for now and then", headers=allowance.headers)
    if (known := desk.callers.secrets.get(request.path)) is None:
        raise Missing(f"no hook at {request.path}: [[hooks]] names none")
    body = await read_capped(request, LIMIT)
    now = desk.floor.clock()
    if fault := judge(request, known, body, now.timestamp()):
        raise Unauthorized(fault)
    digest = fingerprint(request.path, _signature(request), request.headers.get("webhook-id", ""))
    async with desk.floor.pool.acquire() as conn, conn.transaction():
        new = await conn.fetchval(SQL["remember_call"], digest, now) is not None
        if new:
            await conn.execute(SQL["forget_calls"], now - REMEMBERED)
            await conn.execute(FLOOR["notify"], HOOKS, bell)
    log.info("hook", path=request.path, new=new)
    return Heard(woken=new)


def judge(request: web.Request, known: str, body: bytes, now: float) -> str:
    """What is wrong with the signature; "" if it is right. Which kind it is, the headers say."""
    if hub := request.headers.get("X-Hub-Signature-256"):
        return verify_hub(known, hub, body)
    ident, at, signatures = (request.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not known.startswith(PREFIX):
        return "a signature is needed: X-Hub-Signature-256 (Standard Webhooks need a whsec_ secret)"
    return verify(known, ident, at, signatures, body, now)


def _signature(request: web.Request) -> str:
    return request.headers.get("X-Hub-Signature-256", "") or request.headers.get("webhook-signature", "")


PROJECT, TREE = Parameter("project", NAME), Parameter("tree", NAME)
_HEADERS = (
    Parameter("webhook-id", description="Standard Webhooks: with webhook-timestamp and webhook-signature"),
    Parameter("X-Hub-Signature-256", description="or as GitHub, Gitea and Forgejo sign"),
)
_ACCEPTS = ("application/json", "application/cloudevents+json", "application/x-www-form-urlencoded")

ENDPOINTS: tuple[Endpoint[LabDesk], ...] = (
    Endpoint(
        "POST", "/hooks/patchwork/{project}", "Look at the project's Patchwork now", patchwork, tag="hooks",
        answer=Heard, status=202, parts=(PROJECT,), headers=_HEADERS, raw=True, accepts=_ACCEPTS,
    ),
    Endpoint(
        "POST", "/hooks/git/{project}/{tree}", "Fetch the tree now", git, tag="hooks", answer=Heard, status=202,
        parts=(PROJECT, TREE), headers=_HEADERS, raw=True, accepts=_ACCEPTS,
    ),
)  # fmt: skip
