"""SQUAD's way in: a form with ``tests``, ``metrics``, ``metadata``, ``log`` and ``attachment``, as its clients send it.

The address names group, project, build and environment; here they are the project, its tree or stream, the branch and
the executor. Answers are SQUAD's as well: 201 and the number of the run, and 400 in plain words.
"""

import asyncio
import hashlib
import json

from aiohttp import web

from services.ingest.api import posted as posting
from services.ingest.api.artifacts import keep
from services.ingest.api.desk import LabDesk
from services.ingest.api.form import Form, form_of
from services.ingest.api.once import Told, once
from services.ingest.api.place import SANDBOX, find
from services.ingest.api.posted import Posted
from services.ingest.api.rejected import watched
from services.ingest.api.results import Another, store
from services.ingest.api.rights import may_write
from shared.db.pool import Connection
from shared.formats import squad
from shared.formats.faults import Fault, Faulty
from shared.formats.reported import Reported
from shared.formats.run_model import Attempt
from shared.model.tokens import Right
from shared.web.openapi import Asked, Endpoint, Parameter

FIELDS = ("tests", "metrics", "metadata")

_ATTEMPT = Parameter("attempt", Attempt, "Which run of this executor on this branch it is, from 0.")


async def submit(desk: LabDesk, asked: Asked) -> web.Response:
    try:
        answer: web.Response = await _recorded(desk, asked)
    except (Faulty, Another) as exc:
        status = 413 if exc.status_hint == 413 else 400
        return web.Response(status=status, text=_words(exc))
    return answer


def _words(exc: Faulty | Another) -> str:
    if isinstance(exc, Another):
        return f"{exc} (?attempt=)\n"
    return "".join(f"{fault}\n" for fault in exc.faults)


async def _submit(desk: LabDesk, asked: Asked) -> web.Response:
    may_write(asked, asked.values["environment"])
    async with form_of(desk, asked.request, FIELDS) as form:
        if not (form.fields or form.files):
            raise Faulty(Fault("", f"no form with any of {', '.join(FIELDS)}, log and attachment"))
        reported = await asyncio.to_thread(squad.read, *(form.fields.get(name, b"") for name in FIELDS))
        posted = _posted(desk, asked, reported)
        digest = _digest(asked, form)
        await _check_place(desk, asked, posted)
        files = {name: (await keep(desk, file, asked.holder.sandbox), file.size) for name, file in form.files.items()}

        async def act(conn: Connection) -> Told:
            return await store(desk, conn, asked.holder, posted, digest, files)

        answer = await once(desk, asked, digest, act)
    return web.Response(status=201, text=str(_number(answer)))


_recorded = watched(_submit)


def _number(answer: web.Response) -> int:
    assert answer.text is not None
    return int(json.loads(answer.text)["run"])


def _posted(desk: LabDesk, asked: Asked, reported: Reported) -> Posted:
    values = asked.values
    query = {"branch": values["build"], "executor": values["environment"], "attempt": values["attempt"]}
    posted = posting.of_reported(reported, query, desk.floor.clock())
    if len(posted.columns) > desk.labs.cases:
        raise Faulty(Fault("/tests", f"more than {desk.labs.cases} tests"), status=413)
    return posted


def _digest(asked: Asked, form: Form) -> bytes:
    """Of what was told, not of how: the boundary between the parts of a form is made up anew each time."""
    whole = hashlib.sha256(asked.request.path_qs.encode("utf-8", "replace"))
    for name in FIELDS:
        whole.update(hashlib.sha256(form.fields.get(name, b"")).digest())
    for name, file in sorted(form.files.items()):
        whole.update(f"\0{name}\0{file.sha256}".encode())
    return whole.digest()


async def _check_place(desk: LabDesk, asked: Asked, posted: Posted) -> None:
    """Group and project must fit the build: a client that mixes them up means another installation."""
    group, project = asked.values["group"], asked.values["project"]
    async with desk.floor.pool.acquire() as conn:
        where = await find(conn, asked.holder, posted.branch, None, desk.floor.clock())
    if where.cut_id is None and where.branch.startswith(SANDBOX):
        return
    if group != where.project or project not in (where.tree, where.stream):
        raise Faulty(Fault("", f"{where.branch} is of {where.project}/{where.stream}, not of {group}/{project}"))


_PART = "[a-zA-Z0-9][a-zA-Z0-9_.-]*"

ENDPOINTS: tuple[Endpoint[LabDesk], ...] = (
    Endpoint(
        "POST",
        f"/api/submit/{{group:{_PART}}}/{{project:{_PART}}}/{{build:{_PART}}}/{{environment:{_PART}}}",
        "Post a whole run as SQUAD's clients do", submit, tag="labs", right=Right.RESULTS, raw=True, patient=True,
        accepts=("multipart/form-data", "application/x-www-form-urlencoded"), gives=("text/plain",), status=201,
        query=(_ATTEMPT,), statuses=(408, 409, 422), plain=(400, 413),
        parts=(
            Parameter("group", str, "The project."), Parameter("project", str, "Its tree or stream."),
            Parameter("build", str, "The branch."), Parameter("environment", str, "The executor."),
        ),
        description="Answers the number of the run; 400 says in plain words what is wrong.",
    ),
)  # fmt: skip
