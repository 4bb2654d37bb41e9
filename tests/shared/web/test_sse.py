"""The hub and the stream: order, replay, gap, filters, visibility, slow readers, many readers."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shared.db.bells import Bells
from shared.db.outbox import stage
from shared.db.pool import Pool
from shared.db.sequencer import drain
from shared.events import Event, TreeMoved
from shared.web.app import make_app
from shared.web.sse import Filter, Hub
from shared.web.stream import Stream
from tests.conftest import Database


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
async def a_log(database: Database, queue: int = 1000, heartbeat: float = 10.0) -> AsyncIterator[Log]:
    pool, bells = await database.pool(), Bells()
    hub = Hub(pool, bells, queue=queue)
    await hub.start()
    app = make_app()
    Stream(hub, heartbeat=heartbeat, per_address=8).mount(app)
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


async def test_a_slow_reader_is_dropped_and_the_others_are_not(database: Database) -> None:
    async with a_log(database, queue=3) as log:
        slow, quick = log.hub.join(Filter()), log.hub.join(Filter())
        got: list[int] = []
        for n in range(1, 6):
            await log.say(moved(n))
            while len(got) < n:
                got += [frame.sequence for frame in await quick.take(5)]
        assert got == [1, 2, 3, 4, 5]
        assert slow.closed
        assert not quick.closed
        assert await slow.take(1) == []
        assert log.hub.readers == 1


async def test_all_readers_share_the_bytes(log: Log) -> None:
    one, two = log.hub.join(Filter()), log.hub.join(Filter())
    await log.say(moved(1))
    assert (await one.take(5))[0].wire is (await two.take(5))[0].wire


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
