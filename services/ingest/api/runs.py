"""A run told of as it goes: begun, its cases in batches, kept alive, ended or given up. Every call may come twice."""

import asyncio
from dataclasses import replace
from typing import Any

from aiohttp import web
from pydantic_core import to_json

from services.ingest.api import checking, models, place
from services.ingest.api.bodies import body_of, small_body
from services.ingest.api.desk import LabDesk
from services.ingest.api.once import KEY, Told, digest_of, once
from services.ingest.api.patience import check_end, deadline
from services.ingest.api.place import Place
from services.ingest.api.rejected import watched
from services.ingest.api.rights import Closed, Held, check_open, held, may_write, seen
from services.ingest.api.saying import admission, beat, heard, tell, told_of
from services.ingest.api.store import SQL
from shared.db.pool import Connection
from shared.errors import Refused
from shared.formats import run_document
from shared.formats.faults import Fault, Faulty
from shared.formats.run_columns import Columns
from shared.formats.run_model import DEVICE, Batch
from shared.ledger import Ending, Opening
from shared.model.tokens import Right, Token
from shared.web.openapi import Asked, Endpoint, Parameter

OPEN = 1000
"""Open runs of one remote."""
BATCHES = 4
"""Cases of a run that comes in batches, in sizes of the largest batch."""


class TooManyRuns(Refused):
    """More than a remote may have open at a time."""

    status_hint = 429


RUN = Parameter("run", int, "The number that the start of the run gave.")


def opening_of(where: Place, token: Token, executor: str, attempt: int) -> Opening:
    """A run of a lab at a place, before its own words."""
    return Opening(
        where.project, token.remote, executor, where.stream, where.branch, where.cut_id, where.series_id, attempt,
        visibility="operator" if token.sandbox else "public", trial=token.sandbox,
    )  # fmt: skip


async def start(desk: LabDesk, asked: Asked) -> web.Response:
    said, data = await small_body(asked.request, models.RunStart)
    may_write(asked, said.executor)
    _check_start(said)
    return await once(desk, asked, digest_of(asked, data), lambda conn: _start(desk, conn, asked.holder, said))


def _check_start(said: models.RunStart) -> None:
    if (said.branch is None) == (said.series is None):
        raise Faulty(Fault("/branch", "a run is on a branch or on a series: give one of the two"))
    if said.device is not None and len(to_json(said.device)) > DEVICE:
        raise Faulty(Fault("/device", f"should have at most {DEVICE} bytes"), status=413)


async def _start(desk: LabDesk, conn: Connection, token: Token, said: models.RunStart) -> Told:
    now = desk.floor.clock()
    if said.expected_end is not None:
        check_end(said.expected_end, now, now, desk.labs)
    where = await place.find(conn, token, said.branch, said.series, now)
    context = checking.allowed(desk, token, where, (), said.context) if where.series_id else ""
    end = said.expected_end or now + desk.labs.silence
    opening = replace(
        opening_of(where, token, said.executor, said.attempt), expected_end=end, planned=said.planned,
        device=said.device, link=said.link or "", **said.facts,
    )  # fmt: skip
    if (found := await natural(conn, opening)) is not None and found["state"] != "open":
        raise Closed(f"run {found['id']} of {said.executor} here is closed: `attempt` tells another from it")
    if found is None and await conn.fetchval(SQL["open_runs"], token.remote) >= OPEN:
        raise TooManyRuns(
            f"{token.remote} has {OPEN} open runs: finish or abandon some first", headers={"Retry-After": "60"}
        )
    run = await desk.ledger.open(conn, opening)
    until = deadline(now, now, end, desk.labs)
    await conn.execute(SQL["add_lab_run"], run.id, token.id, token.remote, until, None, context, where.revision)
    if context and not token.sandbox:
        await checking.pending(desk, conn, where, run.id, context, f"{token.remote}/{said.executor} is at it")
    await heard(conn, token.remote, said.executor, where.branch)
    return await tell(desk, conn, token, run.id, 201 if run.fresh else 200)


async def natural(conn: Connection, o: Opening) -> Any:
    """The run that has the natural key of `o`, if there is one."""
    return await conn.fetchrow(
        SQL["natural_run"], o.cut_id, o.series_id, o.branch, o.remote, o.executor, o.attempt, o.trial
    )


async def show(desk: LabDesk, asked: Asked) -> models.RunState:
    async with desk.floor.pool.acquire() as conn:
        row = await seen(conn, asked.holder, asked.values["run"])
        cases = await conn.fetchval(SQL["count_cases"], row["day"], row["id"])
        files = [models.Artifact(**dict(r)) for r in await conn.fetch(SQL["run_artifacts"], row["id"])]
    return models.RunState(**told_of(desk, row), cases=cases, artifacts=files)


async def cases(desk: LabDesk, asked: Asked) -> web.Response:
    async with body_of(desk, asked.request) as data:
        if asked.request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType(text="send application/json")
        rows = await asyncio.to_thread(run_document.read_cases, data)
        digest = digest_of(asked, data)

        async def act(conn: Connection) -> Told:
            return await _cases(desk, conn, asked, rows)

        return await once(desk, asked, digest, act)


async def _cases(desk: LabDesk, conn: Connection, asked: Asked, rows: Columns) -> Told:
    if len(rows) > desk.labs.cases:
        raise Faulty(Fault("/cases", f"more than {desk.labs.cases} cases, subtests included"), status=413)
    run = await held(conn, asked, asked.values["run"])
    check_open(run)
    taken = await desk.ledger.append_columns(conn, run.run, rows, admission(desk, conn, run["remote"]))
    most = BATCHES * desk.labs.cases
    # Counted afterwards: what stands already may come again, however full the run is.
    if taken and await conn.fetchval(SQL["cases_held"], run["day"], run["id"], most + 1) > most:
        raise Faulty(Fault("/cases", f"a run has at most {most} cases, subtests included"), status=413)
    told = models.Taken(run=run["id"], taken=taken, known=len(rows) - taken, deadline=await beat(desk, conn, run))
    return Told(200, told.model_dump(mode="json"))


async def heartbeat(desk: LabDesk, asked: Asked) -> web.Response:
    said, data = await small_body(asked.request, models.Heartbeat)

    async def act(conn: Connection) -> Told:
        run = await held(conn, asked, asked.values["run"])
        check_open(run)
        if said.expected_end is not None:
            check_end(said.expected_end, run["started"], desk.floor.clock(), desk.labs)
        if said.expected_end is not None or said.planned is not None:
            planned = run["planned"] if said.planned is None else said.planned
            await desk.ledger.plan(conn, run.run, planned, said.expected_end)
        await beat(desk, conn, run, said.expected_end)
        return await tell(desk, conn, asked.holder, run["id"], 200)

    return await once(desk, asked, digest_of(asked, data), act)


async def finish(desk: LabDesk, asked: Asked) -> web.Response:
    said, data = await small_body(asked.request, models.Finish)
    return await once(desk, asked, digest_of(asked, data), lambda conn: _finish(desk, conn, asked, said))


async def _finish(desk: LabDesk, conn: Connection, asked: Asked, said: models.Finish) -> Told:
    run = await held(conn, asked, asked.values["run"])
    if run["state"] != "done":
        check_open(run)
        now = desk.floor.clock()
        if faults := tuple(run_document.about_times(run["started"], said.ended, now)):
            raise Faulty(*faults)
        if said.checks:
            await _say(desk, conn, asked.holder, run, said)
        await desk.ledger.finish(conn, run.run, Ending(reason=said.reason, ended=said.ended))
        await _settle(desk, conn, asked.holder, run, said)
        await heard(conn, run["remote"], run["executor"], run["branch"])
    return await tell(desk, conn, asked.holder, run["id"], 200)


async def _say(desk: LabDesk, conn: Connection, token: Token, run: Held, said: models.Finish) -> None:
    if run["series_id"] is None:
        raise Faulty(Fault("/checks", "only a series has checks"))
    where = _place_of(run)
    checking.allowed(desk, token, where, said.checks, None)
    if not run["trial"]:
        await checking.say(desk, conn, where, run["id"], said.checks)


async def _settle(desk: LabDesk, conn: Connection, token: Token, run: Held, said: models.Finish) -> None:
    """What the run as a whole was to say, and has not said itself, its cases say."""
    if not run["context"] or run["trial"] or any(check["context"] == run["context"] for check in said.checks):
        return
    counts = (await seen(conn, token, run["id"]))["counts"]
    await checking.settle(desk, conn, _place_of(run), run["id"], run["context"], counts)


def _place_of(run: Held) -> Place:
    """The series that the run is on, in the revision that it tested: found anew, its mail may by now be another's."""
    return Place(
        run["project"], series_id=run["series_id"], revision=run["revision"], patches=run["patches"],
        message_id=run["series"],
    )  # fmt: skip


async def abandon(desk: LabDesk, asked: Asked) -> web.Response:
    said, data = await small_body(asked.request, models.Abandon)

    async def act(conn: Connection) -> Told:
        run = await held(conn, asked, asked.values["run"])
        if run["state"] != "abandoned":
            check_open(run)
            why = said.reason or "given up by its lab"
            await desk.ledger.abandon(conn, run.run, "infra", why)
            await checking.give_up(desk, conn, run.row, why)
            await heard(conn, run["remote"], run["executor"], run["branch"])
        return await tell(desk, conn, asked.holder, run["id"], 200)

    return await once(desk, asked, digest_of(asked, data), act)


_ONE = "/api/v1/lab/runs/{run:[0-9]{1,18}}"
_SAME: dict[str, Any] = {"tag": "labs", "right": Right.RESULTS, "raw": True, "patient": True, "headers": (KEY,)}

ENDPOINTS: tuple[Endpoint[LabDesk], ...] = (
    Endpoint(
        "POST", "/api/v1/lab/runs", "Begin a run", watched(start), body=models.RunStart, answer=models.RunTold,
        status=201, also=(200,), statuses=(408, 409, 422),
        description="The same again finds the run. It is shown as running at once, with its expected end.", **_SAME,
    ),
    Endpoint(
        "GET", _ONE, "How a run of yours stands", show, tag="labs", right=Right.RESULTS, parts=(RUN,),
        answer=models.RunState, description="For a lab that goes on where it was; a sandbox run is seen here only.",
    ),
    Endpoint(
        "POST", f"{_ONE}/cases", "Add cases as tests finish", watched(cases), parts=(RUN,), body=Batch,
        answer=models.Taken, statuses=(408, 409, 422),
        description="A case that stands already stays as it is. The pages show them at once.", **_SAME,
    ),
    Endpoint(
        "POST", f"{_ONE}/heartbeat", "Say that the run goes on", watched(heartbeat), parts=(RUN,),
        body=models.Heartbeat, answer=models.RunTold, statuses=(408, 409, 422), **_SAME,
    ),
    Endpoint(
        "POST", f"{_ONE}/finish", "End a run", watched(finish), parts=(RUN,), body=models.Finish,
        answer=models.RunTold, statuses=(408, 409, 422), **_SAME,
    ),
    Endpoint(
        "POST", f"{_ONE}/abandon", "Give a run up", watched(abandon), parts=(RUN,), body=models.Abandon,
        answer=models.RunTold, statuses=(408, 409, 422),
        description="Its cause is infra: nothing of it is blamed on anybody's patch.", **_SAME,
    ),
)  # fmt: skip
