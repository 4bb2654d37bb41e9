"""Files of a run: streamed to the blobs as they come, hashed and compressed on the way, never held in memory."""

import asyncio
from contextlib import suppress

import structlog
from aiohttp import web
from aiohttp.multipart import BodyPartReader

from services.ingest.api.bodies import pieces
from services.ingest.api.desk import LabDesk
from services.ingest.api.models import Artifact
from services.ingest.api.rejected import watched
from services.ingest.api.rights import check_open, held
from services.ingest.api.runs import RUN
from services.ingest.api.saying import beat
from services.ingest.api.store import SQL
from shared.blobs.incoming import Incoming
from shared.db.pool import Connection
from shared.disk import short
from shared.errors import Refused, Transient
from shared.formats.faults import Fault, Faulty
from shared.model.tokens import Right
from shared.web.openapi import Asked, Endpoint, Parameter

log = structlog.get_logger(__name__)

NAME = 200
"""Bytes of a name in UTF-8."""
FILES = 1000
"""Of one run."""
TIMES = 8
"""All files of a run together, in sizes of the largest that one may have."""


def check_name(name: str) -> str:
    """A path below the run, as it is. Raises Refused."""
    parts = name.split("/")
    if not name or len(name.encode("utf-8", "replace")) > NAME or not name.isprintable():
        raise Refused(f"the name of an artifact: at most {NAME} bytes, without control characters")
    if "\\" in name or any(part in ("", ".", "..") for part in parts):
        raise Refused("the name of an artifact: a path below its run, without .. and not from /")
    return name


async def put(desk: LabDesk, asked: Asked) -> web.Response:
    name = check_name(asked.values["name"])
    async with desk.floor.pool.acquire() as conn, conn.transaction():
        # Before the body is read: who may not write here should not send all of it.
        run = await held(conn, asked, asked.values["run"])
        check_open(run)
        await _room_for(desk, conn, run["id"], name, 0)
    incoming = await begun(desk)
    try:
        async for piece in pieces(asked.request, desk.labs.artifact):
            await asyncio.to_thread(incoming.write, piece)
        return web.json_response(await _attach(desk, asked, name, incoming), status=201)
    finally:
        await asyncio.to_thread(incoming.drop)


async def begun(desk: LabDesk) -> Incoming:
    """Where a file may come in. Raises Transient where the disk has no room for strangers' files."""
    settings = desk.floor.settings
    if why := await asyncio.to_thread(short, settings.data / "blobs", settings.disk.free):
        log.warning("labs: no file is taken", why=why)
        raise Transient("there is no room for files just now; try again later", headers={"Retry-After": "300"})
    return await asyncio.to_thread(desk.floor.blobs.incoming)


async def _attach(desk: LabDesk, asked: Asked, name: str, incoming: Incoming) -> dict[str, object]:
    sha256 = await keep(desk, incoming, asked.holder.sandbox)
    async with desk.floor.pool.acquire() as conn, conn.transaction():
        run = await held(conn, asked, asked.values["run"])
        check_open(run)
        await _room_for(desk, conn, run["id"], name, incoming.size)
        await desk.ledger.attach(conn, run.run, name, sha256, incoming.size)
        await beat(desk, conn, run)
    return Artifact(name=name, sha256=sha256, size=incoming.size).model_dump()


async def keep(desk: LabDesk, incoming: Incoming, sandbox: bool) -> str:
    """Store what has come; gives its sha256. The row first, as retention takes row and bytes together."""
    visibility = "operator" if sandbox else "public"
    await desk.floor.pool.execute(SQL["record_artifact"], incoming.sha256, incoming.size, visibility)
    return await desk.floor.blobs.take(incoming)


async def _room_for(desk: LabDesk, conn: Connection, run: int, name: str, size: int) -> None:
    row = await conn.fetchrow(SQL["artifacts_held"], run, name)
    assert row is not None, "it counts"
    if row["files"] >= FILES or row["bytes"] + size > TIMES * desk.labs.artifact:
        most = TIMES * desk.labs.artifact
        raise Faulty(Fault("", f"a run has at most {FILES} artifacts and {most} bytes of them"), status=413)


async def take_part(desk: LabDesk, part: BodyPartReader) -> Incoming:
    """A file of a form. Raises Faulty once it is over the limit; the caller drops what it is given."""
    incoming = await begun(desk)
    try:
        while piece := await part.read_chunk(1 << 16):
            await asyncio.to_thread(incoming.write, bytes(piece))
            if incoming.size > desk.labs.artifact:
                raise Faulty(Fault(f"/{part.name}", f"more than {desk.labs.artifact} bytes"), status=413)
    except BaseException:
        with suppress(OSError):
            incoming.drop()
        raise
    return incoming


ENDPOINTS: tuple[Endpoint[LabDesk], ...] = (
    Endpoint(
        "PUT", "/api/v1/lab/runs/{run:[0-9]{1,18}}/artifacts/{name:.+}", "Give a run a file", watched(put),
        tag="labs", right=Right.RESULTS, raw=True, patient=True, accepts=("application/octet-stream",),
        parts=(RUN, Parameter("name", str, "A path below the run, at most 200 bytes.")), answer=Artifact, status=201,
        statuses=(408, 409, 422),
        description="Streamed; `Content-Encoding: gzip` is unpacked. The same again is harmless, another of the same "
        "name takes its place.",
    ),
)  # fmt: skip
