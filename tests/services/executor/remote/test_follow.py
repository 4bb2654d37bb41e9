"""Hearing of branches from servers that restart, lose events, or have never heard of our cursor."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from services.executor.remote.follow import CURSOR, Follower
from services.executor.remote.spool import Spool
from services.executor.remote.state import State, read
from shared.git.store import Store
from shared.http import client
from tests.services.executor.builders import until
from tests.services.executor.remote.build import NOW, a_branch, a_spool, some_settings


def an_event(slot: int, **more: str) -> dict[str, Any]:
    branch = a_branch(slot)
    data = {
        "branch": branch.name, "stream": branch.stream, "commit": branch.commit, "base": branch.base,
        "public_url": "", "purpose": "scheduled",
    }  # fmt: skip
    return {"time": branch.announced.isoformat(), "data": data | more}


def frame(number: int, event: dict[str, Any]) -> str:
    return f"id: {number}-aa\nevent: dev.netci.branch.cut.v1\ndata: {json.dumps(event)}\n\n"


@dataclass
class Events:
    """A stream for each connection, then silence. `cursors` are those that were asked with."""

    streams: list[str | int]
    cursors: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.cursors.append(request.headers.get("Last-Event-ID", request.query.get("after", "")))
        said = self.streams.pop(0) if self.streams else ""
        if isinstance(said, int):
            return web.Response(status=said)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(said.encode())
        if not self.streams:
            await asyncio.sleep(3600)
        return response


@asynccontextmanager
async def following(folder: Path, *streams: str | int, cursor: str = "") -> AsyncIterator[tuple[Events, Spool]]:
    events, app = Events(list(streams)), web.Application()
    app.router.add_get("/api/v1/events/stream", events.handle)
    server = TestServer(app)
    await server.start_server()
    spool = a_spool(folder)
    if cursor:
        spool.write(CURSOR, cursor)
    async with client("server", str(server.make_url(""))) as http:
        store = Store(folder / "git" / "lab.git")
        follower = Follower(some_settings(folder), spool, http, store, State(spool, lambda: NOW), lambda: NOW)
        task = asyncio.ensure_future(follower.run())
        try:
            yield events, spool
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await server.close()


def slots(spool: Spool) -> list[str]:
    return sorted(run.branch.name[-5:-3] for run in spool.runs.values())


async def test_each_branch_becomes_an_order_and_the_cursor_is_kept(tmp_path: Path) -> None:
    async with following(tmp_path, frame(4, an_event(8)) + ":\n\n" + frame(5, an_event(9))) as (events, spool):
        await until(lambda: spool.read(CURSOR) == "5-aa")
        assert (slots(spool), events.cursors) == (["08", "09"], ["0"])


async def test_after_a_break_it_goes_on_where_it_was_and_nothing_comes_twice(tmp_path: Path) -> None:
    first, again = frame(4, an_event(8)), frame(4, an_event(8)) + frame(5, an_event(9))
    async with following(tmp_path, first, 503, again) as (events, spool):
        await until(lambda: len(spool.runs) == 2)
        assert events.cursors == ["0", "4-aa", "4-aa"]


async def test_a_cursor_of_another_server_is_given_up(tmp_path: Path) -> None:
    async with following(tmp_path, 400, frame(1, an_event(8)), cursor="99-zz") as (events, spool):
        await until(lambda: len(spool.runs) == 1)
        assert events.cursors == ["99-zz", "0"]


async def test_a_gap_is_no_branch_and_the_stream_goes_on(tmp_path: Path) -> None:
    gap = 'id: 7-aa\nevent: gap\ndata: {"oldest": 8}\n\n'
    async with following(tmp_path, gap + frame(8, an_event(9)), cursor="2-aa") as (_, spool):
        await until(lambda: slots(spool) == ["09"])


async def test_other_streams_tries_and_rubbish_are_left_out(tmp_path: Path) -> None:
    wire = (
        frame(1, an_event(7, stream="bpf"))
        + frame(2, an_event(8, purpose="try"))
        + frame(3, an_event(8, commit="main"))
        + frame(4, {"data": {}})
        + frame(5, an_event(9))
    )
    async with following(tmp_path, wire) as (_, spool):
        await until(lambda: slots(spool) == ["09"])


async def test_while_nothing_is_heard_it_says_so(tmp_path: Path) -> None:
    async with following(tmp_path, 502, 502, "", frame(1, an_event(9))) as (_, spool):
        await until(lambda: "502" in read(Spool(tmp_path, mend=False)).following)
        await until(lambda: len(spool.runs) == 1)
        await until(lambda: read(Spool(tmp_path, mend=False)).following == "")
