"""The hub and the stream: order, replay, gap, filters, visibility, slow readers, many readers."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shared.clock import wall
from shared.db.bells import Bells
from shared.db.outbox import stage
from shared.db.pool import Pool
from shared.db.sequencer import drain
from shared.db.tokens import revoke
from shared.events import Event, RunStarted, SeriesArrived, TreeMoved
from shared.web.app import make_app
from shared.web.auth import Gate
from shared.web.rates import Rates
from shared.web.sse import Hub, Reader
from shared.web.stream import Stream
from shared.web.wanted import Filter
from tests.conftest import Database
from tests.services.ingest.api.lab import a_token

EVERYTHING = Filter()


class Secret(TreeMoved):
    visibility = "operator"


def moved(n: int, project: str = "netdev") -> TreeMoved:
    return TreeMoved(project=project, tree=f"t{n}", head="0" * 40)


@dataclass
class Log:
    """A log that is written by hand: `say` stages, numbers and rings."""

    pool: Pool
    bells: Bells
    hub: Hub
    server: TestServer

    async def say(self, *events: Event) -> None:
        async with self.pool.acquire() as conn:
            async with conn.transaction():
                await stage(conn, "branch", *events)
            while await drain(conn):
                pass
        self.bells.ring("netci_events")

    def url(self, query: str = "") -> str:
        return str(self.server.make_url("/api/v1/events/stream")) + query


@dataclass
class Told:
    """One block of a stream."""

    id: str = ""
    event: str = ""
    data: str = ""
    comment: bool = False

    @property
    def tree(self) -> str:
        return str(json.loads(self.data)["data"]["tree"])


async def blocks(answer: aiohttp.ClientResponse) -> AsyncIterator[Told]:
    told = Told()
    async for raw in answer.content:
        line = raw.decode().rstrip("\n")
        name, _, value = line.partition(": ")
        if not line:
            yield told
            told = Told()
        elif line.startswith(":"):
            told.comment = True
        elif name in ("id", "event", "data"):
            setattr(told, name, value)


async def trees(answer: aiohttp.ClientResponse, count: int) -> list[str]:
    """The trees of the next `count` events."""
    found: list[str] = []
    async for told in blocks(answer):
        if told.event.startswith("dev.netci."):
            found.append(told.tree)
        if len(found) == count:
            break
    return found


@asynccontextmanager
async def a_log(database: Database, heartbeat: float = 10.0) -> AsyncIterator[Log]:
    pool, bells = await database.pool(), Bells()
    hub = Hub(pool, bells)
    await hub.start()
    app = make_app()
    rates = Rates()
    gate = Gate(lambda: pool, wall, lambda: rates)

    async def find(mails: Collection[str]) -> Mapping[str, Sequence[int]]:
        return {mail: [17] for mail in mails if mail == "known@example.org"}

    Stream(hub, gate=gate, find=find, heartbeat=heartbeat, places=(8, 12)).mount(app)
    running = asyncio.ensure_future(hub.run())
    server = TestServer(app)
    async with server:
        yield Log(pool, bells, hub, server)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def log(database: Database) -> AsyncIterator[Log]:
    async with a_log(database) as made:
        yield made


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


async def test_a_reader_hears_what_happens_from_now_on(log: Log, http: aiohttp.ClientSession) -> None:
    await log.say(moved(1))
    async with http.get(log.url()) as answer:
        assert answer.content_type == "text/event-stream"
        first = await anext(blocks(answer))
        assert (first.id, first.event) == (f"1-{log.hub.epoch}", "")
        await log.say(moved(2), moved(3))
        assert await trees(answer, 2) == ["t2", "t3"]


async def test_replay_goes_over_into_live_without_loss_or_repetition(log: Log, http: aiohttp.ClientSession) -> None:
    await log.say(*(moved(n) for n in range(1, 21)))
    async with http.get(log.url("?after=5")) as answer:
        head = await trees(answer, 10)
        await log.say(*(moved(n) for n in range(21, 26)))
        assert head + await trees(answer, 10) == [f"t{n}" for n in range(6, 26)]


async def test_last_event_id_wins_over_after(log: Log, http: aiohttp.ClientSession) -> None:
    await log.say(*(moved(n) for n in range(1, 6)))
    async with http.get(log.url("?after=1"), headers={"Last-Event-ID": f"4-{log.hub.epoch}"}) as answer:
        assert await trees(answer, 1) == ["t5"]


@pytest.mark.parametrize("cursor", ["99", "1-00000000"])
async def test_a_cursor_of_another_epoch_gets_a_gap(log: Log, http: aiohttp.ClientSession, cursor: str) -> None:
    await log.say(moved(1), moved(2))
    async with http.get(log.url(f"?after={cursor}")) as answer:
        told = await anext(blocks(answer))
        assert told.event == "gap"
        assert json.loads(told.data)["oldest"] == 1
        assert await trees(answer, 2) == ["t1", "t2"]


async def test_a_cursor_before_the_oldest_kept_gets_a_gap(log: Log, http: aiohttp.ClientSession) -> None:
    await log.say(*(moved(n) for n in range(1, 6)))
    await log.pool.execute("delete from floor.events where sequence < 4")
    async with http.get(log.url("?after=1")) as answer:
        assert (await anext(blocks(answer))).event == "gap"
        assert await trees(answer, 2) == ["t4", "t5"]
    async with http.get(log.url("?after=3")) as answer:
        assert (await anext(blocks(answer))).event == ""


async def test_only_what_is_public_and_asked_for(log: Log, http: aiohttp.ClientSession) -> None:
    secret = Secret(project="netdev", tree="secret", head="1" * 40)
    await log.say(moved(1), secret, moved(2, "bpf"), moved(3))
    async with http.get(log.url("?after=0&project=netdev&type=tree.moved,branch.cut")) as answer:
        assert await trees(answer, 2) == ["t1", "t3"]
        await log.say(secret, moved(4, "bpf"), moved(5))
        assert await trees(answer, 1) == ["t5"]


@pytest.mark.parametrize("query", ["?type=no.such", "?after=x"])
async def test_what_makes_no_sense_is_refused(log: Log, http: aiohttp.ClientSession, query: str) -> None:
    async with http.get(log.url(query)) as answer:
        assert (answer.status, answer.content_type) == (400, "application/problem+json")


async def test_a_silent_stream_beats(database: Database, http: aiohttp.ClientSession) -> None:
    async with a_log(database, heartbeat=0.05) as log, http.get(log.url()) as answer:
        stream = blocks(answer)
        await anext(stream)
        assert (await anext(stream)).comment


@dataclass
class Given:
    """A connection that keeps what it is given, and has room for `room` pieces."""

    room: int = 1000
    pieces: list[bytes] = field(default_factory=list)

    def put(self, data: bytes) -> bool:
        self.pieces.append(data)
        return len(self.pieces) < self.room

    @property
    def ids(self) -> list[int]:
        return [int(n) for n in re.findall(rb"^id: (\d+)-", b"".join(self.pieces), re.MULTILINE)]

    async def joined(self, log: Log, wanted: Filter = EVERYTHING) -> Reader:
        reader = Reader(wanted, log.hub.position, log.hub.epoch, self.put)
        assert await log.hub.past(reader) is None
        log.hub.join(reader)
        return reader

    async def until(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.ids) < count:
                await asyncio.sleep(0.005)


async def test_a_reader_that_is_behind_gets_no_more_and_goes_on_from_the_log(log: Log) -> None:
    full, quick = Given(room=1), Given()
    slow = await full.joined(log)
    await quick.joined(log)
    for n in range(1, 6):
        await log.say(moved(n))
        await quick.until(n)
    assert (slow.behind, await slow.stirred(1), full.ids) == (True, True, [1])
    frames = await log.hub.past(slow)
    assert frames is not None
    assert [frame.sequence for frame in frames] == [2, 3, 4, 5]
    assert await log.hub.past(slow) is None
    full.room = 1000
    log.hub.leave(slow)
    log.hub.join(slow)
    await log.say(moved(6))
    await full.until(2)
    assert full.ids == [1, 6]


async def test_all_who_want_the_same_share_the_bytes(log: Log) -> None:
    one, two = Given(), Given()
    await one.joined(log)
    await two.joined(log)
    await log.say(moved(1))
    await two.until(1)
    assert one.pieces[0] is two.pieces[0]


async def test_a_reader_that_does_not_read_is_cut_off_and_holds_no_memory(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.web.line.WRITE", 0.3)
    host, port = log.server.host, log.server.port
    assert port is not None
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        await asyncio.get_running_loop().sock_connect(deaf, (host, port))
        await asyncio.get_running_loop().sock_sendall(deaf, b"GET /api/v1/events/stream HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(30):
            while not log.hub.readers:
                await asyncio.sleep(0.01)
            head = "x" * 15_000
            while log.hub.readers:
                await log.say(*(TreeMoved(project="netdev", tree="t", head=head) for _ in range(40)))
                await asyncio.sleep(0.02)
            await log.say(moved(1))


async def test_heartbeats_carry_how_far_a_reader_of_rare_events_is(
    database: Database, http: aiohttp.ClientSession
) -> None:
    async with a_log(database, heartbeat=0.05) as log, http.get(log.url("?type=branch.cut")) as answer:
        stream = blocks(answer)
        await anext(stream)
        await log.say(moved(1), moved(2))
        async with asyncio.timeout(5):
            while (await anext(stream)).id != f"2-{log.hub.epoch}":
                pass


async def test_a_bounded_stream_gives_the_past_and_ends(log: Log, http: aiohttp.ClientSession) -> None:
    await log.say(moved(1), moved(2))
    async with http.get(log.url("?after=0&wait=0")) as answer:
        assert [told.tree async for told in blocks(answer) if told.event] == ["t1", "t2"]


async def test_a_reader_too_many_is_told_so(log: Log, http: aiohttp.ClientSession) -> None:
    answers = [await http.get(log.url()) for _ in range(8)]
    async with http.get(log.url()) as refused:
        assert (refused.status, refused.headers["Retry-After"]) == (429, "10")
    for answer in answers:
        answer.close()


async def test_a_long_poll_counts_as_a_reader(log: Log, http: aiohttp.ClientSession) -> None:
    answers = [await http.get(log.url()) for _ in range(8)]
    url = log.server.make_url("/api/v1/events")
    async with http.get(url, params={"wait": "5"}) as refused, http.get(url) as at_once:
        assert (refused.status, at_once.status) == (429, 200)
    for answer in answers:
        answer.close()


async def test_readers_leave_when_they_go(log: Log, http: aiohttp.ClientSession) -> None:
    answer = await http.get(log.url())
    await anext(blocks(answer))
    answer.close()
    async with asyncio.timeout(5):
        while log.hub.readers:
            await asyncio.sleep(0.01)


async def test_pages_of_the_log(log: Log, http: aiohttp.ClientSession) -> None:
    await log.say(*(moved(n) for n in range(1, 6)))
    url = str(log.server.make_url("/api/v1/events"))
    async with http.get(url, params={"limit": "3"}) as answer:
        page = await answer.json()
    assert [e["sequence"] for e in page["events"]] == ["1", "2", "3"]
    async with http.get(url, params={"after": page["next"]}) as answer:
        rest = await answer.json()
    assert [e["data"]["tree"] for e in rest["events"]] == ["t4", "t5"]
    assert (rest["gap"], rest["next"]) == (False, f"5-{log.hub.epoch}")


async def test_a_long_poll_ends_with_the_next_event(log: Log, http: aiohttp.ClientSession) -> None:
    url = str(log.server.make_url("/api/v1/events"))
    polling = asyncio.ensure_future(http.get(url, params={"after": "0", "wait": "30"}))
    await log.say(moved(1))
    async with asyncio.timeout(5):
        answer = await polling
        assert [e["data"]["tree"] for e in (await answer.json())["events"]] == ["t1"]


async def test_accept_makes_a_stream_of_the_page(log: Log, http: aiohttp.ClientSession) -> None:
    url = str(log.server.make_url("/api/v1/events"))
    async with http.get(url, headers={"Accept": "text/event-stream"}) as answer:
        assert answer.content_type == "text/event-stream"


async def test_the_end_of_the_server_ends_its_readers(database: Database, http: aiohttp.ClientSession) -> None:
    async with a_log(database) as log:
        answer = await http.get(log.url())
        await anext(blocks(answer))
        async with asyncio.timeout(5):
            await log.server.app.shutdown()
            assert [b async for b in blocks(answer)] == []
    assert isinstance(log.server.app, web.Application)


def a_run(number: int, remote: str = "metal", **more: Any) -> RunStarted:
    values: dict[str, Any] = {"project": "netdev", "run": number, "remote": remote, "executor": "x", "cut": 1, **more}
    return RunStarted(**values)


async def runs(http: aiohttp.ClientSession, log: Log, query: str, token: str = "") -> list[int]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = str(log.server.make_url("/api/v1/events")) + query
    async with http.get(url, headers=headers) as answer:
        return [e["data"]["run"] for e in (await answer.json())["events"]]


async def streamed(http: aiohttp.ClientSession, log: Log, query: str, token: str = "") -> list[int]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with http.get(log.url(f"{query}&wait=0"), headers=headers) as answer:
        return [json.loads(told.data)["data"]["run"] async for told in blocks(answer) if told.data]


async def say_private(log: Log) -> None:
    """Runs 1 public, 2 the project's, 3 the operator's, 4 the operator's of the lab, 5 another project's."""
    async with log.pool.acquire() as conn, conn.transaction():
        await stage(conn, "ingest", a_run(1))
        await stage(conn, "ingest", a_run(2, "other"), visibility="project")
        await stage(conn, "ingest", a_run(3, "other"), visibility="operator")
        await stage(conn, "ingest", a_run(4, "metal"), visibility="operator")
        await stage(conn, "ingest", a_run(5, "other", project="bpf"), visibility="project")
    await log.say()


SEEN = {
    "": [1],
    "results": [1],
    "events": [1, 2, 4],
    "admin": [1, 2, 3, 4, 5],
}


@pytest.mark.parametrize("who", SEEN)
async def test_each_reader_sees_what_is_for_it_in_stream_page_and_long_poll(
    log: Log, http: aiohttp.ClientSession, who: str
) -> None:
    await say_private(log)
    tokens = {
        "results": await a_token(log.pool),
        "events": await a_token(log.pool, ["events:read"], projects=("netdev",)),
        "admin": await a_token(log.pool, ["admin"], remote=""),
    }
    token = tokens.get(who, "")
    assert await runs(http, log, "?after=0", token) == SEEN[who]
    assert await runs(http, log, "?after=0&wait=5", token) == SEEN[who]
    assert await streamed(http, log, "?after=0", token) == SEEN[who]


async def test_what_a_live_reader_may_see_is_what_comes(log: Log, http: aiohttp.ClientSession) -> None:
    token = await a_token(log.pool, ["events:read"], projects=("netdev",))
    async with (
        http.get(log.url(), headers={"Authorization": f"Bearer {token}"}) as mine,
        http.get(log.url()) as anybodys,
    ):
        readers = blocks(mine), blocks(anybodys)
        for reader in readers:
            await anext(reader)
        await say_private(log)
        await log.say(a_run(6))
        got = [
            [json.loads((await anext(r)).data)["data"]["run"] for _ in range(n)]
            for r, n in ((readers[0], 4), (readers[1], 2))
        ]
    assert got == [[1, 2, 4, 6], [1, 6]]


async def test_a_long_poll_does_not_end_for_what_its_reader_may_not_see(log: Log, http: aiohttp.ClientSession) -> None:
    polling = asyncio.ensure_future(runs(http, log, "?after=0&wait=20"))
    async with asyncio.timeout(10):
        while not log.hub.readers:
            await asyncio.sleep(0.01)
        async with log.pool.acquire() as conn, conn.transaction():
            await stage(conn, "ingest", a_run(3), visibility="operator")
        await log.say()
        assert not polling.done()
        await log.say(a_run(6))
        assert await polling == [6]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("stream=net", [1]), ("stream=net,net-next", [1, 2]), ("remote=lab-x", [2]),
        ("remote=lab-x&remote=metal", [1, 2, 3]),
        ("series=17", [3]), ("series=known@example.org", [3]), ("series=%3Cknown@example.org%3E", [3]),
        ("series=unknown@example.org", []), ("project=bpf", []), ("type=run.done", []),
    ],
)  # fmt: skip
async def test_filters_of_stream_and_page(log: Log, http: aiohttp.ClientSession, query: str, found: list[int]) -> None:
    await log.say(
        a_run(1, stream="net"), a_run(2, "lab-x", stream="net-next"), a_run(3, cut=None, series=17),
    )  # fmt: skip
    assert await runs(http, log, f"?after=0&{query}") == found
    assert await streamed(http, log, f"?after=0&{query}") == found


async def test_a_series_that_has_not_come_is_followed_by_its_mail(log: Log, http: aiohttp.ClientSession) -> None:
    arrived = SeriesArrived(
        project="netdev", series=40, revision=1, message_id="<new@example.org>", title="t", author="a", patches=1
    )
    async with http.get(log.url("?series=new@example.org")) as answer:
        stream = blocks(answer)
        await anext(stream)
        await log.say(a_run(1, cut=None, series=39), arrived, a_run(2, cut=None, series=40))
        await log.say(a_run(3, cut=None, series=39), a_run(4, cut=None, series=40))
        subjects = [json.loads((await anext(stream)).data)["subject"] for _ in range(3)]
    assert subjects == ["series/40", "run/2", "run/4"]


async def test_a_token_in_the_query_is_no_token(log: Log, http: aiohttp.ClientSession) -> None:
    token = await a_token(log.pool, ["admin"], remote="")
    await say_private(log)
    for name in ("token", "access_token", "authorization"):
        assert await runs(http, log, f"?after=0&{name}={token}") == [1]


async def test_a_token_that_does_not_hold_is_told_so(log: Log, http: aiohttp.ClientSession) -> None:
    token = await a_token(log.pool, ["events:read"])
    async with log.pool.acquire() as conn:
        await revoke(conn, token.split("_")[1], "test", "lost")
    for url in (log.url(), str(log.server.make_url("/api/v1/events"))):
        async with http.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
            assert answer.status == 401


async def test_a_stream_ends_when_its_token_is_revoked(
    database: Database, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.web.stream.RECHECK", 0.05)
    async with a_log(database, heartbeat=0.05) as log:
        token = await a_token(log.pool, ["events:read"])
        async with http.get(log.url(), headers={"Authorization": f"Bearer {token}"}) as answer:
            stream = blocks(answer)
            await anext(stream)
            await anext(stream)
            async with log.pool.acquire() as conn:
                await revoke(conn, token.split("_")[1], "test", "lost")
            async with asyncio.timeout(5):
                async for _ in stream:
                    pass


async def test_tokens_have_places_of_their_own(log: Log, http: aiohttp.ClientSession) -> None:
    token = await a_token(log.pool, ["events:read"])
    answers = [await http.get(log.url()) for _ in range(8)]
    headers = {"Authorization": f"Bearer {token}"}
    answers += [await http.get(log.url(), headers=headers) for _ in range(8)]
    assert [answer.status for answer in answers] == [200] * 16
    async with http.get(log.url(), headers=headers) as refused:
        assert (refused.status, refused.headers["Retry-After"]) == (429, "10")
    for answer in answers:
        answer.close()
