"""A form with files: its named fields in memory, within the budget of bodies, its files straight to the blobs."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.multipart import BodyPartReader

from services.ingest.api.artifacts import TIMES, check_name, take_part
from services.ingest.api.bodies import READ, SILENCE, WHOLE, body_of
from services.ingest.api.budget import Share
from services.ingest.api.desk import LabDesk
from shared.blobs.incoming import Incoming
from shared.errors import Refused
from shared.formats.faults import Fault, Faulty

PARTS = 200


@dataclass
class Form:
    """Fields by name, files by the name under which a run keeps them."""

    fields: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, Incoming] = field(default_factory=dict)


@asynccontextmanager
async def form_of(desk: LabDesk, request: web.Request, wanted: Collection[str]) -> AsyncIterator[Form]:
    """The form, `wanted` fields and all files of it. What was not stored by the end is dropped. Raises Faulty."""
    form = Form()
    try:
        if request.content_type == "multipart/form-data":
            with desk.bodies.share() as share:
                await _read_parts(desk, request, form, wanted, share)
                yield form
        else:
            async with body_of(desk, request) as data:
                form.fields = await asyncio.to_thread(_urlencoded, data, wanted)
                yield form
    finally:
        for incoming in form.files.values():
            await asyncio.to_thread(incoming.drop)


def _urlencoded(data: bytes, wanted: Collection[str]) -> dict[str, bytes]:
    try:
        pairs = parse_qsl(data.decode("ascii"), keep_blank_values=True, max_num_fields=PARTS, errors="surrogateescape")
    except ValueError as exc:
        raise Faulty(Fault("", f"no form: {exc}")) from None
    return {name: text.encode("utf-8", "surrogateescape") for name, text in pairs if name in wanted}


async def _read_parts(desk: LabDesk, request: web.Request, form: Form, wanted: Collection[str], share: Share) -> None:
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise Faulty(Fault("", "a form with files is sent without Content-Encoding"))
    try:
        async with asyncio.timeout(WHOLE.total_seconds()):
            reader, number = await request.multipart(), 0
            while (part := await _next(reader)) is not None:
                number += 1
                if number > PARTS:
                    raise Faulty(Fault("", f"more than {PARTS} parts"), status=413)
                await _read_part(desk, part, form, wanted, share)
        request[READ] = share.size
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="the body did not come in time") from None
    except (ValueError, AssertionError, web.RequestPayloadError, LookupError) as exc:
        raise Faulty(Fault("", f"no form: {exc}")) from exc


async def _next(reader: object) -> BodyPartReader | None:
    async with asyncio.timeout(SILENCE.total_seconds()):
        part = await reader.next()  # type: ignore[attr-defined]
    if part is not None and not isinstance(part, BodyPartReader):
        raise Faulty(Fault("", "a part of the form has parts itself"))
    return part


async def _read_part(desk: LabDesk, part: BodyPartReader, form: Form, wanted: Collection[str], share: Share) -> None:
    name = part.name or ""
    if name in wanted:
        form.fields[name] = await _field(desk, part, share)
    elif name in ("log", "attachment") or part.filename:
        kept = "log" if name == "log" else _free(form, part.filename or name or "attachment")
        form.files[kept] = await take_part(desk, part)
        if sum(file.size for file in form.files.values()) > (most := TIMES * desk.labs.artifact):
            raise Faulty(Fault("/attachment", f"more than {most} bytes of files"), status=413)
    else:
        await part.release()


def _free(form: Form, name: str) -> str:
    bare = name.replace("\\", "/").rpartition("/")[2]
    try:
        check_name(bare)
    except Refused as exc:
        raise Faulty(Fault("/attachment", str(exc))) from None
    others = (f"{number}-{bare}" for number in range(2, PARTS + 2))
    return bare if bare not in form.files else next(n for n in others if n not in form.files)


async def _field(desk: LabDesk, part: BodyPartReader, share: Share) -> bytes:
    data = bytearray()
    while piece := await part.read_chunk(1 << 16):
        share.take(len(piece))
        data += piece
        if len(data) > desk.labs.body:
            raise Faulty(Fault(f"/{part.name}", f"more than {desk.labs.body} bytes"), status=413)
    return bytes(data)
