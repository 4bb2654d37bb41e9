"""What the sender makes of a server's answers, from a server that answers as it is told."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from services.executor.remote.sender import Denied, Later, Sender
from services.executor.remote.spool import Spool, SpooledRun
from services.executor.remote.state import State, read
from shared.clock import wall
from shared.http import client
from tests.services.executor.remote.build import a_spool, an_order, some_settings


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_TOKEN", "netci_x")


Answer = Callable[[web.Request], web.Response | None]


def as_it_should(request: web.Request) -> web.Response | None:
    return None


@dataclass
class Server:
    """Takes everything, unless `answer` says otherwise. `asked` is method and path of each request, in order."""

    answer: Answer = as_it_should
    asked: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    runs: int = 6

    async def handle(self, request: web.Request) -> web.Response:
        await request.read()
        self.asked.append(f"{request.method} {request.path.removeprefix('/api/v1/lab/runs')}")
        self.keys.append(request.headers.get("Idempotency-Key", ""))
        if (told := self.answer(request)) is not None:
            return told
        if request.path == "/api/v1/lab/runs":
            self.runs += 1
            return web.json_response({"run": self.runs}, status=201)
        return web.json_response({})


@asynccontextmanager
async def sending(folder: Path, answer: Answer = as_it_should) -> AsyncIterator[tuple[Sender, Server, SpooledRun]]:
    """A spool with a run of one batch that has ended."""
    server = Server(answer)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    at = TestServer(app)
    await at.start_server()
    spool = a_spool(folder)
    run = an_order(spool)
    for record in ({"kind": "open"}, {"kind": "cases", "body": {"cases": []}}, AN_END):
        run.journal.append(record)
    try:
        async with client("server", str(at.make_url(""))) as http:
            settings = some_settings(folder)
            yield Sender(settings, spool, http, http, State(spool, wall), wall), server, run
    finally:
        await at.close()


AN_END = {"kind": "end", "state": "done", "cause": "", "reason": "", "toolchain": ""}
WHOLE = ["POST ", "POST /7/cases", "POST /7/finish"]


async def test_a_run_is_told_in_order_and_forgotten(tmp_path: Path) -> None:
    async with sending(tmp_path) as (sender, server, run):
        await sender.round()
        await sender.round()
        assert server.asked == WHOLE
        assert len({*server.keys}) == 3
        assert not run.folder.exists()
        assert read(Spool(tmp_path)).contact


async def test_a_server_that_has_enough_is_left_alone_for_as_long_as_it_says(tmp_path: Path) -> None:
    def busy(request: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "17"})

    async with sending(tmp_path, busy) as (sender, server, _):
        with pytest.raises(Later) as later:
            await sender.round()
        assert later.value.wait == 17
        assert server.asked == ["POST "]


async def test_repeated_after_trouble_it_has_the_same_key(tmp_path: Path) -> None:
    async with sending(tmp_path, lambda request: web.Response(status=502)) as (sender, server, _):
        with pytest.raises(Later):
            await sender.round()
        server.answer = as_it_should
        await sender.round()
        assert server.asked == ["POST ", *WHOLE]
        assert server.keys[0] == server.keys[1]


async def test_an_opening_answered_by_a_page_is_no_opening(tmp_path: Path) -> None:
    async with sending(tmp_path, lambda request: web.Response(text="<html>log in</html>")) as (sender, _, run):
        with pytest.raises(Later, match="cannot be read"):
            await sender.round()
        assert run.run_id is None


async def test_a_token_that_is_refused_stops_all(tmp_path: Path) -> None:
    async with sending(tmp_path, lambda request: web.Response(status=401)) as (sender, server, run):
        with pytest.raises(Denied):
            await sender.round()
        assert (server.asked, len(run.unsent())) == (["POST "], 3)


def refusing(path: str, status: int) -> Answer:
    def answer(request: web.Request) -> web.Response | None:
        return web.Response(status=status) if request.path.endswith(path) else None

    return answer


async def test_a_batch_that_is_refused_is_kept_and_the_run_is_ended(tmp_path: Path) -> None:
    async with sending(tmp_path, refusing("/cases", 422)) as (sender, server, run):
        await sender.round()
        assert server.asked == WHOLE
        assert [kept["kind"] for kept in Spool(tmp_path).rejected()] == ["cases"]
        assert not run.folder.exists()


async def test_of_a_run_that_is_refused_all_is_kept(tmp_path: Path) -> None:
    async with sending(tmp_path, refusing("/runs", 422)) as (sender, server, _):
        await sender.round()
        assert server.asked == ["POST "]
        assert [kept["kind"] for kept in Spool(tmp_path).rejected()] == ["open", "cases", "end"]


async def test_a_run_that_is_closed_there_is_told_as_another_attempt(tmp_path: Path) -> None:
    async with sending(tmp_path, refusing("/7/finish", 409)) as (sender, server, run):
        await sender.round()
        assert server.asked == [*WHOLE, "POST ", "POST /8/cases", "POST /8/finish"]
        assert len({*server.keys}) == 6
        assert not run.folder.exists()


async def test_closed_again_and_again_it_is_given_up_and_kept(tmp_path: Path) -> None:
    async with sending(tmp_path, refusing("/cases", 404)) as (sender, server, _):
        await sender.round()
        assert server.asked.count("POST ") == 10
        assert [kept["kind"] for kept in Spool(tmp_path).rejected()] == ["cases", "end"]


async def test_an_open_run_that_has_nothing_to_tell_says_that_it_lives(tmp_path: Path) -> None:
    async with sending(tmp_path) as (sender, server, _):
        await sender.round()
        other = an_order(sender.spool, executor="other")
        other.journal.append({"kind": "open"})
        await sender.round()
        server.asked.clear()
        await sender.round()
        assert server.asked == []
        sender._said[other.key] -= sender.settings.heartbeat.total_seconds()
        await sender.round()
        assert server.asked == ["POST /8/heartbeat"]
