"""Each misbehaviour, seen by a client over the wire; and that it ends when it should."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import aiohttp
import pytest

from shared.errors import Refused
from shared.practice.patchwork import Served, served, standard
from shared.practice.patchwork.misbehave import Misbehaviour
from tests.shared.practice.patchwork.writing import a_mail, a_series

LIMIT = aiohttp.ClientTimeout(5)


@pytest.fixture
async def site() -> AsyncIterator[Served]:
    async with served() as site:
        for mail in a_series(2):
            site.submit(mail)
        yield site


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=LIMIT) as client:
        yield client


async def status(client: aiohttp.ClientSession, site: Served, path: str = "/api/1.3/series/1/") -> int:
    async with client.get(site.url + path) as response:
        return response.status


async def test_a_status_with_retry_after_for_the_count_asked(site: Served, client: aiohttp.ClientSession) -> None:
    site.misbehave.add("status", status=429, retry_after=7, count=1)
    async with client.get(f"{site.url}/api/1.3/series/1/") as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "7")
        assert response.content_type == "text/html"
    assert await status(client, site) == 200


async def test_only_the_path_that_was_named(site: Served, client: aiohttp.ClientSession) -> None:
    site.misbehave.add("status", path="/events/")
    assert await status(client, site) == 200
    assert await status(client, site, "/api/1.3/events/") == 503
    site.misbehave.clear()
    assert await status(client, site, "/api/1.3/events/") == 200


async def test_html_instead_of_json(site: Served, client: aiohttp.ClientSession) -> None:
    site.misbehave.add("html", count=1)
    async with client.get(f"{site.url}/api/1.3/series/1/") as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ContentTypeError):
            await response.json()


async def test_half_an_answer(site: Served, client: aiohttp.ClientSession) -> None:
    site.misbehave.add("truncated", count=1)
    async with client.get(f"{site.url}/api/1.3/series/1/") as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    assert await status(client, site) == 200


async def test_a_reset_connection(site: Served) -> None:
    site.misbehave.add("reset", count=1)
    reader, writer = await asyncio.open_connection(site.host, site.port)
    try:
        writer.write(b"GET /api/1.3/series/1/ HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()
    assert site.counters.statuses == {0: 1}


async def test_a_check_stored_though_the_connection_dropped(site: Served, client: aiohttp.ClientSession) -> None:
    site.misbehave.add("drop-after", method="POST", count=1)
    headers = {"Authorization": f"Token {site.token('nipa-bot')}"}
    url, data = f"{site.url}/api/1.3/patches/1/checks/", {"state": "success", "context": "build"}
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.post(url, data=data, headers=headers)
    assert site.counters.check_posts == {(1, "build", "success"): 1}
    async with client.post(url, data=data, headers=headers) as response:
        assert response.status == 201
    assert site.counters.check_posts == {(1, "build", "success"): 2}


async def test_down_is_refused_and_up_is_the_same_port(site: Served, client: aiohttp.ClientSession) -> None:
    assert await status(client, site) == 200
    port = site.port
    await site.down()
    with pytest.raises(aiohttp.ClientConnectionError):
        await status(client, site)
    async with aiohttp.ClientSession(timeout=LIMIT) as another:
        with pytest.raises(aiohttp.ClientConnectorError):
            await status(another, site)
    await site.up()
    assert (site.port, await status(client, site)) == (port, 200)


async def test_a_hanging_request_goes_on_when_it_is_let(site: Served, client: aiohttp.ClientSession) -> None:
    site.misbehave.add("hang", path="/series/")
    async with asyncio.TaskGroup() as group:
        hanging = group.create_task(status(client, site))
        assert await status(client, site, "/api/1.3/events/") == 200
        assert not hanging.done()
        site.misbehave.clear()
    assert hanging.result() == 200


async def test_a_slow_answer_makes_an_impatient_client_give_up(site: Served, client: aiohttp.ClientSession) -> None:
    site.misbehave.add("slow", delay=30, count=1)
    with pytest.raises(TimeoutError):
        async with client.get(site.url + "/api/", timeout=aiohttp.ClientTimeout(0.05)):
            pass


async def test_events_in_the_wrong_order(site: Served, client: aiohttp.ClientSession) -> None:
    site.misbehave.add("shuffle-events", count=1)
    right = [event.id for event in site.pw.events]
    assert await ids(client, site) == right[::-1]
    assert await ids(client, site) == right


async def ids(client: aiohttp.ClientSession, site: Served) -> list[int]:
    async with client.get(f"{site.url}/api/1.3/events/?order=date") as response:
        return [event["id"] for event in await response.json()]


def completed(site: Served) -> list[int | None]:
    return [event.series for event in site.pw.visible_events() if event.category == "series-completed"]


async def test_lost_and_doubled_events(site: Served) -> None:
    site.misbehave.add("lose-events", count=1)
    site.misbehave.add("double-events", count=1)
    for number in (1, 2, 3):
        site.submit(a_mail(msgid=f"more-{number}@x"))
    assert completed(site) == [1, 3, 3, 4]


async def test_events_that_appear_in_the_past(site: Served, client: aiohttp.ClientSession) -> None:
    """As recorded in race-event-in-the-past.json: older dates and lower ids than what was seen."""
    site.misbehave.add("late-mails", count=1)
    site.submit(a_mail(msgid="slow@x"))
    site.submit(a_mail(msgid="quick@x"))
    seen = await ids(client, site)
    assert site.pw.release() == 4
    after = await ids(client, site)
    assert max(set(after) - set(seen)) < max(seen)
    assert after == sorted(after)


def test_a_time_that_is_over() -> None:
    now = 0.0
    misbehave = Misbehaviour(standard(), clock=lambda: now)
    misbehave.add("status", seconds=10)
    assert [fault.status for fault in misbehave.now("GET", "/api/")] == [503]
    now = 10.0
    assert misbehave.now("GET", "/api/") == []


def test_an_unknown_misbehaviour_is_refused_with_those_there_are() -> None:
    with pytest.raises(Refused, match=re.escape("drop-after")):
        Misbehaviour(standard()).add("explode")


def test_a_path_that_is_no_expression_is_refused() -> None:
    with pytest.raises(Refused, match="regular expression"):
        Misbehaviour(standard()).add("status", path="(")
