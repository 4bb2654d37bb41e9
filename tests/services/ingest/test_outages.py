"""Patchwork in trouble: nothing is lost, nothing comes twice, and the trouble is shown."""

import re
from collections import Counter
from typing import Any

import pytest

from shared.floor import Floor
from shared.pauses import pause, resume
from shared.practice.patchwork import Served
from tests.conftest import Database, FloorFor
from tests.services.ingest.build import (
    a_series,
    arrived,
    at_work,
    events,
    health,
    idle,
    rounds,
    rows,
    some_settings,
    submit,
    until,
)

TROUBLES: dict[str, dict[str, Any]] = {
    "status": {"status": 502},
    "html": {},
    "truncated": {},
    "reset": {},
}


def in_trouble(floor: Floor) -> Any:
    async def look() -> str:
        ok, text = await health(floor) or (True, "")
        return "" if ok else text

    return look


def in_order(floor: Floor) -> Any:
    async def look() -> bool:
        return bool((await health(floor) or (False,))[0])

    return look


async def each_once(floor: Floor, count: int) -> None:
    events = await arrived(floor, count)
    await rounds(floor)
    await idle(floor)
    titles = Counter(event["title"] for event in await arrived(floor))
    assert len(events) == count
    assert set(titles.values()) == {1}


@pytest.mark.parametrize("kind", TROUBLES)
async def test_an_outage_is_shown_and_survived(floor_for: FloorFor, site: Served, kind: str) -> None:
    floor = await floor_for("ingest", some_settings(site.url))
    async with at_work(floor):
        submit(site, a_series("tcp: before"))
        await arrived(floor)
        site.misbehave.add(kind, **TROUBLES[kind])
        for n in range(4):
            submit(site, a_series(f"tcp: during {n}"))
        text = await until(floor, in_trouble(floor))
        site.misbehave.clear()
        await until(floor, in_order(floor))
        await each_once(floor, 5)
    assert text


async def test_a_refused_connection_is_shown_and_survived(floor_for: FloorFor, site: Served) -> None:
    floor = await floor_for("ingest", some_settings(site.url))
    async with at_work(floor):
        submit(site, a_series("tcp: before"))
        await arrived(floor)
        await site.down()
        text = await until(floor, in_trouble(floor))
        submit(site, a_series("tcp: during"))
        await site.up()
        await each_once(floor, 2)
    assert "cannot be reached" in text


async def test_a_server_that_hangs_is_shown_and_survived(floor_for: FloorFor, site: Served) -> None:
    floor = await floor_for("ingest", some_settings(site.url, timeout="300ms"))
    async with at_work(floor):
        submit(site, a_series("tcp: before"))
        await arrived(floor)
        site.misbehave.add("hang")
        submit(site, a_series("tcp: during"))
        await until(floor, in_trouble(floor))
        site.misbehave.clear()
        await each_once(floor, 2)


async def test_a_slow_server_gets_few_requests_at_once(floor_for: FloorFor, site: Served) -> None:
    site.misbehave.add("slow", delay=0.05)
    for n in range(20):
        submit(site, a_series(f"tcp: number {n}", patches=1))
    floor = await floor_for("ingest", some_settings(site.url))
    async with at_work(floor):
        await each_once(floor, 20)
    assert 1 < site.counters.most_at_once <= 4


async def test_mails_that_cannot_be_fetched_for_a_while_come_later(floor_for: FloorFor, site: Served) -> None:
    site.misbehave.add("status", status=503, path="/mbox/", count=12)
    floor = await floor_for("ingest", some_settings(site.url))
    async with at_work(floor):
        for n in range(3):
            submit(site, a_series(f"tcp: number {n}"))
        await each_once(floor, 3)


async def test_retry_after_is_kept(floor_for: FloorFor, site: Served) -> None:
    site.misbehave.add("status", status=429, retry_after=2, path="/events/", count=1)
    floor = await floor_for("ingest", some_settings(site.url))
    async with at_work(floor):
        submit(site, a_series())
        await arrived(floor)
    asked = [line for line in site.counters.seen if "/events/" in line]
    assert asked[0] == asked[1], "the same request again, and not at once"


@pytest.mark.parametrize("fault", [{"kind": "lose-events"}, {"kind": "double-events"}, {"kind": "shuffle-events"}])
async def test_events_lost_doubled_or_out_of_order(floor_for: FloorFor, site: Served, fault: dict[str, Any]) -> None:
    floor = await floor_for("ingest", some_settings(site.url))
    async with at_work(floor):
        await rounds(floor)
        site.misbehave.add(**fault)
        for n in range(6):
            submit(site, a_series(f"tcp: number {n}"))
        await each_once(floor, 6)


async def test_that_events_are_lost_shows_by_who_found_the_series(floor_for: FloorFor, site: Served) -> None:
    floor = await floor_for("ingest", some_settings(site.url))

    async def both() -> dict[str, int]:
        _, text = await health(floor) or (True, "")
        by = {poll: int(n) for n, poll in re.findall(r"(\d+) by (\w+)", text)}
        return by if text.startswith("series found since the start: ") and sum(by.values()) == 2 else {}

    async with at_work(floor):
        await rounds(floor)
        site.misbehave.add("lose-events", count=2)
        for n in range(2):
            submit(site, a_series(f"tcp: number {n}"))
        await each_once(floor, 2)
        assert "news" not in await until(floor, both)


async def test_events_of_the_past(floor_for: FloorFor, site: Served) -> None:
    floor = await floor_for("ingest", some_settings(site.url, reconcile="1h", sync_queue="1h"))
    async with at_work(floor):
        await rounds(floor, "polled")
        site.misbehave.add("late-mails", count=3)
        submit(site, a_series("tcp: slow"))
        submit(site, a_series("tcp: quick"))
        await arrived(floor)
        site.pw.release()
        told = await arrived(floor, 2)
    assert [event["title"] for event in told] == ["tcp: quick", "tcp: slow"]


async def test_a_paused_source_is_left_alone(floor_for: FloorFor, site: Served, database: Database) -> None:
    floor = await floor_for("ingest", some_settings(site.url))
    owner = await database.pool()
    async with at_work(floor):
        await rounds(floor)
        async with owner.acquire() as conn:
            await pause(conn, "source", "netdev/patchwork", "server move", "me")
        text = await until(floor, in_trouble(floor))
        await idle(floor)
        before = site.counters.total
        submit(site, a_series())
        async with owner.acquire() as conn:
            assert site.counters.total == before
            await resume(conn, "source", "netdev/patchwork", "moved", "me")
        await arrived(floor)
    assert "paused: server move" in text
    assert await events(floor, "series.changed") == []
    assert len(await rows(floor)) == 1
