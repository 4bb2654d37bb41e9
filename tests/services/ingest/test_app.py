"""The room against the practice Patchwork and a real database: what arrives, and what it costs."""

from collections import Counter
from pathlib import Path

import pytest

from shared.practice.patchwork import Served, served
from shared.practice.patchwork.changes import set_state
from tests.conftest import FloorFor
from tests.services.ingest.build import (
    a_series,
    arrived,
    at_work,
    health,
    idle,
    rounds,
    rows,
    some_settings,
    submit,
    until,
)

MBOXES = sorted((Path(__file__).parents[2] / "golden/patchwork/mbox").glob("*.mbox"))


async def test_a_series_arrives(floor_for: FloorFor, site: Served) -> None:
    floor = await floor_for("ingest", some_settings(site.url))
    async with at_work(floor):
        submit(site, a_series())
        [event] = await arrived(floor)
    [row] = await rows(floor)
    assert (event["title"], event["patches"], event["trees"]) == ("tcp: make it faster", 3, ["net-next"])
    assert (row["state"], row["tree_reason"], row["revision"]) == ("active", "Clearly marked for net-next", 1)
    patches = await floor.pool.fetch("select number, files, fault from ingest.patches_v order by number")
    assert [tuple(p) for p in patches] == [(n, ["net/core/dev.c"], "") for n in (1, 2, 3)]
    assert b"tcp: make it faster" in await floor.blobs.get(row["mbox"])


async def test_a_series_costs_two_requests(floor_for: FloorFor, site: Served) -> None:
    floor = await floor_for("ingest", some_settings(site.url, reconcile="1h", sync_queue="1h"))
    async with at_work(floor):
        await until(floor, lambda: health(floor))
        await rounds(floor, "polled")
        for n in (1, 2, 3):
            submit(site, a_series(f"tcp: number {n}"))
            await arrived(floor, n)
    counts = site.counters
    assert (counts.of("/api/series/N/"), counts.of("/series/N/mbox/")) == (3, 3)
    rest = {route for _, route in counts.requests} - {"/api/series/N/", "/series/N/mbox/"}
    assert rest == {"/api/", "/api/projects/P/", "/api/events/", "/api/series/", "/api/patches/"}
    assert (counts.of("/api/series/"), counts.of("/api/patches/")) == (2, 2)


async def test_a_cover_letter_is_one_request_more_and_names_the_series(floor_for: FloorFor, site: Served) -> None:
    floor = await floor_for("ingest", some_settings(site.url))
    async with at_work(floor):
        submit(site, a_series("tcp: the whole", cover=True))
        [event] = await arrived(floor)
    [row] = await rows(floor)
    assert event["message_id"] == row["cover_message_id"] == "tcp-the-whole-v1-0@example.org"
    assert b"[PATCH net-next 0/3] tcp: the whole" in await floor.blobs.get(row["cover"])
    assert sum("/cover/" in line for line in site.counters.seen) == 1


async def test_without_covers_the_subject_comes_from_the_list(floor_for: FloorFor, site: Served) -> None:
    floor = await floor_for("ingest", some_settings(site.url, covers=False))
    async with at_work(floor):
        submit(site, a_series("tcp: the whole", cover=True, version=4))
        await arrived(floor)
    [row] = await rows(floor)
    assert (row["title"], row["version"], row["cover"]) == ("tcp: the whole", 4, None)
    assert not any("/cover/" in line for line in site.counters.seen)


async def test_a_fresh_start_takes_what_is_pending(floor_for: FloorFor, site: Served) -> None:
    for n in range(40):
        submit(site, a_series(f"tcp: number {n}"))
    floor = await floor_for("ingest", some_settings(site.url, reconcile="1h", sync_queue="1h", poll="1h"))
    async with at_work(floor):
        events = await arrived(floor, 40)
    assert Counter(event["title"] for event in events).most_common(1)[0][1] == 1
    assert site.counters.of("/series/N/mbox/") == 40
    assert site.counters.of("/api/series/N/") == 0
    assert site.counters.total <= 40 + 16


async def test_a_restart_loses_and_repeats_nothing(floor_for: FloorFor, site: Served) -> None:
    floor = await floor_for("ingest", some_settings(site.url))
    for batch in range(4):
        async with at_work(floor):
            for n in range(5):
                submit(site, a_series(f"tcp: number {batch}.{n}"))
            await arrived(floor, 1 + batch * 5)
        submit(site, a_series(f"tcp: between {batch}"))
    async with at_work(floor):
        await arrived(floor, 24)
        await rounds(floor)
    events = await arrived(floor)
    assert Counter(event["message_id"] for event in events).most_common(1)[0][1] == 1
    assert len(events) == len(await rows(floor)) == 24


async def test_after_a_long_stop_what_was_closed_meanwhile_is_not_tested(floor_for: FloorFor, site: Served) -> None:
    floor = await floor_for("ingest", some_settings(site.url, sync_queue="1h"))
    async with at_work(floor):
        submit(site, a_series("tcp: before", patches=1))
        await arrived(floor)
    for n in range(6):
        submit(site, a_series(f"tcp: meanwhile {n}", patches=1))
    for patch in list(site.pw.patches)[1:4]:
        set_state(site.pw, patch, "accepted", by="maintainer")
    async with at_work(floor):
        await arrived(floor, 4)
        await idle(floor)
    assert [row["state"] for row in await rows(floor)] == ["active", *["withdrawn"] * 3, *["active"] * 3]
    assert len(await arrived(floor)) == 4


async def test_of_two_processes_one_polls(floor_for: FloorFor, site: Served) -> None:
    one = await floor_for("ingest", some_settings(site.url))
    other = await floor_for("ingest", some_settings(site.url))
    object.__setattr__(other, "holder", "test:other")
    async with at_work(one), at_work(other):
        for n in range(6):
            submit(site, a_series(f"tcp: number {n}"))
        await arrived(one, 6)
        await rounds(one)
    assert len(await arrived(one)) == 6
    assert sum("/projects/" in line for line in site.counters.seen) == 1


async def test_an_old_patchwork_will_do(floor_for: FloorFor) -> None:
    async with served(newest=(1, 2)) as site:
        floor = await floor_for("ingest", some_settings(site.url))
        async with at_work(floor):
            submit(site, a_series())
            await arrived(floor)
    assert await floor.pool.fetchval("select facts->>'api' from ingest.sources_v") == "1.2"


async def test_a_project_that_is_not_there_is_said_clearly(floor_for: FloorFor, site: Served) -> None:
    floor = await floor_for("ingest", some_settings(site.url, project="netdev-bpf"))
    async with at_work(floor):
        told = await until(floor, lambda: health(floor))
    assert told == (False, f"open: {site.url} has no project 'netdev-bpf'")


async def test_every_recorded_mailbox_is_survived(floor_for: FloorFor, site: Served) -> None:
    for path in MBOXES:
        site.submit(path.read_bytes())
    floor = await floor_for("ingest", some_settings(site.url))
    async with at_work(floor):
        await rounds(floor)
        await idle(floor)
    assert await floor.pool.fetchval("select count(*) from floor.work where state = 'dead' or error <> ''") == 0
    project = site.pw.project("netdevbpf").id
    waiting = {p.series for p in site.pw.patches.values() if p.project == project and p.state == "new"}
    assert {row["external_id"] for row in await rows(floor)} >= waiting - {None}


@pytest.mark.parametrize("name", ["29-v2-flat-into-v1"])
async def test_a_series_of_two_versions_is_not_announced(floor_for: FloorFor, site: Served, name: str) -> None:
    site.submit((MBOXES[0].parent / f"{name}.mbox").read_bytes())
    floor = await floor_for("ingest", some_settings(site.url))
    async with at_work(floor):
        await rounds(floor)
        await idle(floor)
    mixed = [row for row in await rows(floor) if row["state"] == "malformed"]
    assert [row["reason"] for row in mixed] == ["patches of different versions in one series: v1 and v2"]
    told = await floor.pool.fetch("select body->'data'->>'series' as id from floor.events where type like '%arrived%'")
    assert str(mixed[0]["id"]) not in {row["id"] for row in told}
