"""The bare application: liveness, readiness, metrics, errors, headers, limits."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, unused_port
from pydantic import BaseModel

from shared.errors import InfraError, Missing, Refused, Superseded, Transient
from shared.service import Readiness
from shared.web import app as app_module
from shared.web.app import listen, make_app, split_listen
from shared.web.errors import ERROR_PAGE


class Body(BaseModel):
    name: str
    tests: list[int]


async def break_(request: web.Request) -> web.Response:
    errors = {
        "refused": Refused("no such filter"), "missing": Missing("no run 7"), "transient": Transient("later"),
        "infra": InfraError("disk"), "superseded": Superseded(), "bug": ZeroDivisionError("the inside"),
        "away": OSError("database at 10.1.2.3"),
    }  # fmt: skip
    raise errors[request.match_info["how"]]


async def post(request: web.Request) -> web.Response:
    return web.json_response(Body.model_validate_json(await request.read()).model_dump())


async def page(request: web.Request) -> web.Response:
    return web.Response(text="<p>" + "x" * 4000, content_type="text/html")


async def slow(request: web.Request) -> web.Response:
    await asyncio.Event().wait()
    return web.Response()


@pytest.fixture
def ready() -> Readiness:
    return Readiness(["branch", "report"])


@pytest.fixture
async def client(ready: Readiness) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    app = make_app(ready=ready, body_limit=2000)
    app[ERROR_PAGE] = lambda code, title, detail: f"<h1>{code} {title}</h1>{detail}"
    app.router.add_get("/api/v1/break/{how}", break_)
    app.router.add_get("/break/{how}", break_)
    app.router.add_post("/api/v1/things", post)
    app.router.add_get("/page", page)
    app.router.add_get("/slow", slow)
    async with TestClient(TestServer(app)) as made:
        yield made


Client = TestClient[web.Request, web.Application]


async def test_alive_without_any_room(client: Client) -> None:
    answer = await client.get("/healthz")
    assert (answer.status, await answer.text()) == (200, "ok\n")


async def test_ready_names_the_rooms_that_are_not(client: Client, ready: Readiness) -> None:
    ready.set("report", True)
    answer = await client.get("/readyz")
    assert (answer.status, await answer.json()) == (503, {"ready": False, "missing": ["branch"]})
    ready.set("branch", True)
    assert (await client.get("/readyz")).status == 200


async def test_metrics_are_prometheus_text(client: Client) -> None:
    answer = await client.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "process_resident_memory_bytes" in await answer.text()


@pytest.mark.parametrize(
    ("how", "status"),
    [("refused", 400), ("missing", 404), ("transient", 503), ("infra", 500), ("superseded", 409), ("away", 503)],
)
async def test_an_error_is_a_problem(client: Client, how: str, status: int) -> None:
    answer = await client.get(f"/api/v1/break/{how}")
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    body = await answer.json()
    assert (answer.status, body["status"], body["instance"]) == (status, status, f"/api/v1/break/{how}")


@pytest.mark.parametrize("how", ["bug", "away"])
async def test_the_inside_of_an_error_stays_inside(client: Client, how: str) -> None:
    text = await (await client.get(f"/api/v1/break/{how}")).text()
    assert "inside" not in text
    assert "10.1.2.3" not in text


async def test_people_get_a_page(client: Client) -> None:
    answer = await client.get("/break/missing", headers={"Accept": "text/html"})
    assert (answer.status, await answer.text()) == (404, "<h1>404 Not Found</h1>no run 7")
    program = await client.get("/break/missing", headers={"Accept": "application/json"})
    assert program.content_type == "application/problem+json"


async def test_a_path_that_is_not_there_and_a_method_that_is_not(client: Client) -> None:
    assert (await (await client.get("/api/v1/nothing")).json())["detail"] == "there is nothing at /api/v1/nothing"
    refused = await client.delete("/api/v1/things")
    assert (refused.status, refused.headers["Allow"]) == (405, "POST")
    assert (await refused.json())["detail"] == "/api/v1/things takes POST, and not DELETE"


async def test_faults_of_a_body_have_pointers(client: Client) -> None:
    answer = await client.post("/api/v1/things", data=json.dumps({"tests": [1, "x"]}))
    body = await answer.json()
    assert (answer.status, [e["pointer"] for e in body["errors"]]) == (400, ["/name", "/tests/1"])
    assert body["detail"] == "/name: is required (and 1 more)"


async def test_a_body_over_the_limit_is_413(client: Client) -> None:
    answer = await client.post("/api/v1/things", data=b"x" * 3000)
    assert (answer.status, answer.content_type) == (413, "application/problem+json")


async def test_security_headers_are_on_every_answer(client: Client) -> None:
    for path in ("/page", "/nothing", "/healthz", "/break/bug"):
        headers = (await client.get(path)).headers
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "aiohttp" not in headers["Server"].lower()


async def test_what_the_asker_has_is_not_sent_again(client: Client) -> None:
    first = await client.get("/page")
    again = await client.get("/page", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, await again.read()) == (304, b"")
    other = await client.get("/page", headers={"If-None-Match": '"other"'})
    assert other.status == 200


async def test_long_text_is_packed(client: Client) -> None:
    answer = await client.get("/page", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert int(answer.headers.get("Content-Length", 0)) < 1000


async def test_what_takes_too_long_is_given_up(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "TIME_LIMIT", 0.05)
    answer = await client.get("/slow")
    assert answer.status == 503


@pytest.mark.parametrize(
    ("text", "parts"), [("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:80", ("::1", 80)), (":80", ("0.0.0.0", 80))]
)
def test_listen_address(text: str, parts: tuple[str, int]) -> None:
    assert split_listen(text) == parts


async def test_listening_ends_at_once_when_cancelled() -> None:
    up = asyncio.Event()
    app = make_app()
    app.router.add_get("/slow", slow)
    address = f"127.0.0.1:{unused_port()}"
    task: asyncio.Future[Any] = asyncio.ensure_future(listen(app, address, up.set))
    async with asyncio.timeout(5):
        await up.wait()
        _, writer = await asyncio.open_connection(*split_listen(address))
        writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        await writer.drain()
        began = asyncio.get_running_loop().time()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert asyncio.get_running_loop().time() - began < 1.5
    writer.close()
