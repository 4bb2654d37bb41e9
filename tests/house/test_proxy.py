"""The shipped proxy configuration under the real program: routes, limits, forwarded addresses, an unbuffered stream."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO

import aiohttp
import pytest
from aiohttp import web

from tests.conftest import Database, FloorFor
from tests.services.ingest.api.lab import a_branch, a_document, a_token, served, settings
from tests.support.nginx import proxy


@dataclass
class Front:
    """The proxy's address, a client that decompresses nothing, and what lets the stream go on."""

    url: str
    http: aiohttp.ClientSession
    go: asyncio.Event


async def echo(request: web.Request) -> web.Response:
    """Says who it is and what it was told; a long text, so that it is worth compressing."""
    body = await request.read()
    told = {
        key: request.headers.getall(key)
        for key in ("X-Forwarded-For", "X-Forwarded-Proto", "Host")
        if key in request.headers
    }
    extra = [key for key in ("Forwarded", "X-Real-IP", "X-Forwarded-Host") if request.headers.get(key)]
    room = request.app[ROOM]
    return web.json_response({"room": room, "told": told, "extra": extra, "bytes": len(body), "long": "x" * 4000})


ROOM: web.AppKey[str] = web.AppKey("room")


@asynccontextmanager
async def backend(room: str, go: asyncio.Event) -> AsyncIterator[str]:
    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"id: 1\ndata: first\n\n")
        await go.wait()
        await response.write(b"id: 2\ndata: second\n\n")
        return response

    app = web.Application(client_max_size=1 << 30)
    app[ROOM] = room
    app.router.add_get("/api/v1/events/stream", stream)
    app.router.add_route("*", "/{path:.*}", echo)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    go = asyncio.Event()
    async with backend("ingest", go) as ingest, backend("report", go) as report:
        started = proxy(ingest, report)
        url = await asyncio.to_thread(started.__enter__)
        try:
            async with aiohttp.ClientSession(auto_decompress=False, skip_auto_headers=["Accept-Encoding"]) as http:
                yield Front(url, http, go)
        finally:
            go.set()
            await asyncio.to_thread(started.__exit__, None, None, None)


@pytest.mark.parametrize(
    ("path", "room"),
    [
        ("/api/v1/lab/runs/7/cases", "ingest"),
        ("/api/v1/lab", "ingest"),
        ("/api/v1/lab/runs/7/artifacts/boot/dmesg.txt", "ingest"),
        ("/api/submit/netdev/net-next/branch/executor", "ingest"),
        ("/api/submitted", "report"),
        ("/hooks/patchwork", "ingest"),
        ("/", "report"),
        ("/api/v1/events", "report"),
        ("/api/v1/labels", "report"),
        ("/hooksmith", "report"),
        ("/branches.json", "report"),
        ("/query/results", "report"),
        ("/healthz", "report"),
    ],
)
async def test_path_alone_decides(front: Front, path: str, room: str) -> None:
    async with front.http.get(front.url + path) as answer:
        assert (await answer.json())["room"] == room


async def test_a_lab_reaches_the_real_ingest(database: Database, floor_for: FloorFor) -> None:
    owner = await database.pool()
    await a_branch(owner)
    async with served(await floor_for("ingest", settings()), await a_token(owner)) as lab:
        started = proxy(lab.base.removeprefix("http://"), "127.0.0.1:1")
        lab.base = await asyncio.to_thread(started.__enter__)
        try:
            status, told = await lab.post("results", a_document())
            assert (status, told["state"]) == (201, "done")
            path = f"/api/v1/lab/runs/{await lab.begin(executor='other')}/artifacts/a/b.txt"
            assert (await lab.ask("PUT", path, data=bytes(2 << 20)))[0] == 201
            lab.token = ""
            assert (await lab.ask("GET", "/api/v1/lab"))[0] == 401
        finally:
            await asyncio.to_thread(started.__exit__, None, None, None)


async def test_metrics_are_not_for_the_world(front: Front) -> None:
    async with front.http.get(front.url + "/metrics") as answer:
        assert answer.status == 404


async def test_a_lab_may_send_much_others_little(front: Front) -> None:
    for path, size, status in (
        ("/api/v1/lab/runs", 63 << 20, 200),
        ("/api/v1/lab/runs", 65 << 20, 413),
        ("/api/v1/lab/runs/7/artifacts/a", 65 << 20, 200),
        ("/api/submit/a/b/c/d", 65 << 20, 200),
        ("/hooks/x", 2 << 20, 413),
        ("/api/v1/series", 2 << 20, 413),
        ("/api/v1/series", 1000 << 10, 200),
    ):
        async with front.http.post(front.url + path, data=BytesIO(bytes(size)), expect100=status == 413) as answer:
            assert answer.status == status, (path, size)


async def test_what_a_client_says_of_its_address_is_replaced(front: Front) -> None:
    lies = {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "gopher", "Forwarded": "for=1.2.3.4"}
    lies |= {"X-Real-IP": "1.2.3.4", "X-Forwarded-Host": "evil.example", "Host": "ci.example.org"}
    async with front.http.get(front.url + "/series", headers=lies) as answer:
        said = await answer.json()
    assert said["told"] == {
        "X-Forwarded-For": ["127.0.0.1"], "X-Forwarded-Proto": ["http"], "Host": ["ci.example.org"],
    }  # fmt: skip
    assert said["extra"] == []


async def test_text_is_compressed(front: Front) -> None:
    async with front.http.get(front.url + "/series.json", headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert b'"room": "report"' in gzip.decompress(await answer.read())


async def test_an_event_goes_out_at_once(front: Front) -> None:
    headers = {"Accept": "text/event-stream", "Accept-Encoding": "gzip"}
    async with front.http.get(front.url + "/api/v1/events/stream", headers=headers) as answer:
        assert "Content-Encoding" not in answer.headers
        async with asyncio.timeout(10):
            assert await answer.content.readuntil(b"\n\n") == b"id: 1\ndata: first\n\n"
            front.go.set()
            assert await answer.content.readuntil(b"\n\n") == b"id: 2\ndata: second\n\n"
