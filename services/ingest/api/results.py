"""A whole run in one request, in our own format or in one that others speak."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from aiohttp import web

from services.ingest.api import checking, place
from services.ingest.api import posted as posting
from services.ingest.api.bodies import aside, body_of
from services.ingest.api.desk import LabDesk
from services.ingest.api.models import RunTold
from services.ingest.api.once import KEY, Told, digest_of, once
from services.ingest.api.posted import Posted
from services.ingest.api.rejected import watched
from services.ingest.api.rights import may_write
from services.ingest.api.runs import natural, opening_of
from services.ingest.api.saying import admission, as_told, tell
from services.ingest.api.store import SQL
from shared.db.pool import Connection
from shared.errors import Superseded
from shared.formats.run_model import Attempt, RunDocument
from shared.ledger import Ending, Opening
from shared.ledger.rows import counts_of
from shared.model.tokens import Right, Token
from shared.web.openapi import Asked, Endpoint, Parameter

Files = Mapping[str, tuple[str, int]]


class Another(Superseded):
    """There is a run of this executor here already, and it is another one."""


async def results(desk: LabDesk, asked: Asked) -> web.Response:
    kind = asked.values["format"] or posting.BY_TYPE.get(asked.request.content_type)
    if kind is None or kind not in posting.FORMATS:
        known = ", ".join(posting.FORMATS)
        raise web.HTTPUnsupportedMediaType(text=f"send one of {', '.join(posting.BY_TYPE)}, or say ?format= of {known}")
    async with body_of(desk, asked.request) as data:
        read = partial(posting.read, kind, data, asked.values, desk.floor.clock(), desk.labs.cases)
        posted = await aside(len(data), read)
        digest = await aside(len(data), partial(digest_of, asked, data))
    may_write(asked, posted.executor)
    return await once(desk, asked, digest, lambda conn: store(desk, conn, asked.holder, posted, digest))


async def store(
    desk: LabDesk, conn: Connection, token: Token, posted: Posted, digest: bytes, files: Files | None = None
) -> Told:
    """Write the run, wholly or not at all. The same again is found; raises Another for a different one in its place."""
    where = await place.find(conn, token, posted.branch, posted.series, desk.floor.clock())
    context = checking.allowed(desk, token, where, posted.checks, None) if where.series_id else ""
    opening = _opening(where, token, posted)
    try:
        return await _write(desk, conn, token, where, opening, posted, digest, context, files or {})
    except Superseded:
        if (found := await natural(conn, opening)) is None:
            raise
    if found["digest"] is None or bytes(found["digest"]) != digest:
        raise Another(
            f"run {found['id']} of {posted.executor} is here already, and is not this one; a further run says "
            f"`attempt`: {posted.attempt + 1}"
        )
    return await tell(desk, conn, token, found["id"], 200, posted.warnings)


def _opening(where: place.Place, token: Token, posted: Posted) -> Opening:
    facts: dict[str, Any] = dict(posted.facts)
    return replace(
        opening_of(where, token, posted.executor, posted.attempt), planned=posted.planned, device=posted.device,
        link=posted.link, started=posted.started or posted.ended, **facts,
    )  # fmt: skip


async def _write(
    desk: LabDesk, conn: Connection, token: Token, where: place.Place, opening: Opening, posted: Posted,
    digest: bytes, context: str, files: Files,
) -> Told:  # fmt: skip
    ending = Ending(ended=posted.ended, artifacts=files)
    run = await desk.ledger.whole(conn, opening, posted.columns, ending, admission(desk, conn, token.remote))
    row = await conn.fetchrow(
        SQL["note_whole"], run.id, token.id, token.remote, digest, context, where.revision, posted.executor,
        where.branch,
    )  # fmt: skip
    assert row is not None, "it is written just now"
    if where.series_id and not token.sandbox:
        await checking.say(desk, conn, where, run.id, posted.checks)
        if context:
            await checking.settle(desk, conn, where, run.id, context, counts_of(posted.columns))
    return as_told(desk, row, 201, posted.warnings)


def _query(names: Sequence[tuple[str, Any, str]]) -> tuple[Parameter, ...]:
    return tuple(Parameter(name, kind, words) for name, kind, words in names)


_OTHERS = "Where the format does not say it: "

ENDPOINTS: tuple[Endpoint[LabDesk], ...] = (
    Endpoint(
        "POST", "/api/v1/lab/results", "Post a whole run", watched(results), tag="labs", right=Right.RESULTS,
        raw=True, patient=True, strict=True, body=RunDocument, accepts=tuple(posting.BY_TYPE), headers=(KEY,),
        answer=RunTold, status=201, also=(200,), statuses=(408, 409, 422),
        query=_query([
            ("format", str, "ours, nipa, ktap or junit; else the Content-Type says it."),
            ("branch", str, f"{_OTHERS}the branch."),
            ("series", str, f"{_OTHERS}the message id of the series."),
            ("executor", str, f"{_OTHERS}the executor."),
            ("attempt", Attempt, f"{_OTHERS}which run of this executor here it is, from 0."),
            ("started", str, f"{_OTHERS}when it began."),
            ("ended", str, f"{_OTHERS}when it ended."),
            ("link", str, f"{_OTHERS}where you show the run."),
        ]),
        description="One transaction: all of it is stored, or nothing. The same run again is found and answered 200; "
        "a different one of the same executor and branch needs another `attempt`.",
    ),
)  # fmt: skip
