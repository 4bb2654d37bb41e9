"""What becomes of series: they grow, are replaced, closed, deleted, delegated, and some never were whole."""

import pytest

from shared.floor import Floor
from shared.practice.patchwork import Served
from shared.practice.patchwork.changes import set_state
from tests.conftest import FloorFor
from tests.services.ingest.build import (
    a_diff,
    a_mail,
    a_series,
    arrived,
    at_work,
    changed,
    events,
    idle,
    rounds,
    rows,
    some_settings,
    submit,
    until,
)
from tests.services.ingest.test_app import MBOXES


def mailbox(name: str) -> bytes:
    return next(path for path in MBOXES if path.name.startswith(name)).read_bytes()


async def states(floor: Floor) -> list[tuple[str, str]]:
    return [(row["state"], row["reason"]) for row in await rows(floor)]


async def test_patches_out_of_order_are_put_in_order(floor_for: FloorFor, site: Served) -> None:
    floor = await floor_for("ingest", some_settings(site.url))
    mails = a_series(patches=4)
    async with at_work(floor):
        submit(site, [mails[0], mails[3], mails[1], mails[2]])
        await arrived(floor)
    found = await floor.pool.fetch("select message_id from ingest.patches_v order by number")
    assert [row["message_id"] for row in found] == [f"tcp-make-it-faster-v1-{n}@example.org" for n in (1, 2, 3, 4)]


async def test_an_incomplete_series_is_waited_for(floor_for: FloorFor, site: Served) -> None:
    floor = await floor_for("ingest", some_settings(site.url))
    mails = a_series()
    async with at_work(floor):
        submit(site, mails[:2])
        await rounds(floor, "reconciled")
        before = [(row["state"], row["received"], row["total"]) for row in await rows(floor)]
        assert await events(floor, "series.arrived") == []
        submit(site, mails[2:])
        [event] = await arrived(floor)
    assert before == [("incomplete", 2, 3)]
    assert (event["patches"], event["revision"]) == (3, 1)


async def test_an_incomplete_series_is_given_up_and_may_still_come(floor_for: FloorFor, site: Served) -> None:
    floor = await floor_for("ingest", some_settings(site.url, incomplete_after="200ms"))
    mails = a_series()
    async with at_work(floor):
        submit(site, mails[:1])
        [event] = await changed(floor)
        assert (event["state"], event["reason"]) == ("given-up", "Incomplete: 1 of 3 patches arrived")
        submit(site, mails[1:])
        await arrived(floor)
    assert await states(floor) == [("active", "")]


async def test_a_fifth_patch_of_four_is_a_new_revision(floor_for: FloorFor, site: Served) -> None:
    floor = await floor_for("ingest", some_settings(site.url))
    async with at_work(floor):
        submit(site, a_series("tcp: grow", patches=4))
        await arrived(floor)
        late = a_mail("[PATCH net-next 5/4] tcp: one more", "late@example.org", reply="tcp-grow-v1-1@example.org")
        submit(site, [late])
        told = await arrived(floor, 2)
    assert [(event["revision"], event["patches"]) for event in told] == [(1, 4), (2, 5)]
    assert await floor.pool.fetchval("select count(*) from ingest.patches_v") == 5


async def test_a_later_version_replaces_the_former(floor_for: FloorFor, site: Served) -> None:
    floor = await floor_for("ingest", some_settings(site.url))
    async with at_work(floor):
        submit(site, a_series("tcp: x"))
        await arrived(floor)
        submit(site, a_series("tcp: x", version=2))
        await arrived(floor, 2)
        [event] = await changed(floor)
    first, second = await rows(floor)
    assert (event["series"], event["state"], event["superseded_by"]) == (first["id"], "superseded", second["id"])
    assert (first["superseded_by"], second["supersedes"]) == (second["id"], first["id"])


async def test_a_former_version_that_comes_late_is_replaced_at_once(floor_for: FloorFor, site: Served) -> None:
    floor = await floor_for("ingest", some_settings(site.url))
    async with at_work(floor):
        submit(site, a_series("tcp: x", version=2))
        await arrived(floor)
        submit(site, a_series("tcp: x"))
        await changed(floor)
    assert await states(floor) == [("active", ""), ("superseded", "Superseded by v2")]
    assert [event["version"] for event in await arrived(floor)] == [2]


async def test_a_new_title_in_reply_replaces_too(floor_for: FloorFor, site: Served) -> None:
    floor = await floor_for("ingest", some_settings(site.url))
    async with at_work(floor):
        submit(site, a_series("tcp: x", cover=True))
        await arrived(floor)
        submit(site, a_series("tcp: better x", version=2, cover=True, reply="tcp-x-v1-0@example.org"))
        await arrived(floor, 2)
    assert [state for state, _ in await states(floor)] == ["superseded", "active"]


@pytest.mark.parametrize(("state", "reason"), [("accepted", "accepted"), ("changes-requested", "changes-requested")])
async def test_a_closed_series_is_withdrawn_and_may_be_opened_again(
    floor_for: FloorFor, site: Served, state: str, reason: str
) -> None:
    floor = await floor_for("ingest", some_settings(site.url))
    async with at_work(floor):
        submit(site, a_series(patches=2))
        await arrived(floor)
        patches = list(site.pw.patches)
        set_state(site.pw, patches[0], state, by="maintainer")
        await rounds(floor)
        assert await states(floor) == [("active", "")], "one patch is still open"
        set_state(site.pw, patches[1], state, by="maintainer")
        [event] = await changed(floor)
        assert (event["state"], event["reason"]) == ("withdrawn", f"At Patchwork: {reason}")
        set_state(site.pw, patches[0], "under-review", by="maintainer")
        assert (await changed(floor, 2))[1]["state"] == "active"


async def test_a_deleted_series_is_withdrawn(floor_for: FloorFor, site: Served) -> None:
    floor = await floor_for("ingest", some_settings(site.url))
    async with at_work(floor):
        submit(site, [*a_series("tcp: a"), *a_series("tcp: b")])
        await arrived(floor, 2)
        first = min(site.pw.series)
        site.pw.delete_series(first)
        [event] = await changed(floor)
    assert (event["state"], event["reason"]) == ("withdrawn", "Deleted at its source")
    assert [state for state, _ in await states(floor)] == ["withdrawn", "active"]


async def test_a_delegate_of_others_takes_it_off_our_hands(floor_for: FloorFor, site: Served) -> None:
    site.pw.add_user("bpf")
    floor = await floor_for("ingest", some_settings(site.url, ignore_delegates=["bpf"]))
    async with at_work(floor):
        submit(site, a_series(patches=1))
        await arrived(floor)
        patch = next(iter(site.pw.patches.values()))
        patch.delegate = site.pw.user("bpf").id
        [event] = await changed(floor)
        assert (event["state"], event["reason"]) == ("ignored", "Delegated to bpf")
        patch.delegate = None
        assert (await changed(floor, 2))[1]["state"] == "active"


async def test_what_is_not_ours_is_told_without_a_tree(floor_for: FloorFor, site: Served) -> None:
    floor = await floor_for("ingest", some_settings(site.url))
    async with at_work(floor):
        submit(site, a_series("mm: x", patches=1, tree="", diffs=[a_diff("mm/slab.c")]))
        submit(site, a_series("can: isotp: x", patches=1, tree="net"))
        told = await arrived(floor, 2)
    assert [event["trees"] for event in told] == [[], []]
    assert sorted(await states(floor)) == [
        ("ignored", "Not a local patch"),
        ("ignored", "Series ignored based on subject (can:)"),
    ]


async def test_a_pull_request_is_a_series_without_a_diff(floor_for: FloorFor, site: Served) -> None:
    floor = await floor_for("ingest", some_settings(site.url))
    async with at_work(floor):
        site.submit(mailbox("10-pull-request"))
        [event] = await arrived(floor)
    [row] = await rows(floor)
    assert event["pull"] is True
    assert row["pull_url"] == "git://git.kernel.org/pub/scm/network/iproute2/iproute2-next.git main"
    assert (row["state"], row["tree_reason"]) == ("active", "Pull request for net-next")
    assert await floor.pool.fetchval("select fault from ingest.patches_v") == ""


async def test_a_pull_request_may_come_with_its_patches(floor_for: FloorFor, site: Served) -> None:
    floor = await floor_for("ingest", some_settings(site.url))
    async with at_work(floor):
        site.submit(mailbox("11-pull-with-patches"))
        [event] = await arrived(floor)
    [row] = await rows(floor)
    assert (event["pull"], event["patches"]) == (True, 2)
    assert row["pull_external_id"] not in {
        p["external_id"] for p in await floor.pool.fetch("select external_id from ingest.patches_v")
    }


@pytest.mark.parametrize(("path", "rule"), [("../../etc/passwd", "dots-path"), (".git/config", "git-path")])
async def test_a_hostile_patch_is_taken_in_with_its_fault(
    floor_for: FloorFor, site: Served, path: str, rule: str
) -> None:
    floor = await floor_for("ingest", some_settings(site.url))
    async with at_work(floor):
        submit(site, a_series(patches=1, diffs=[a_diff(path)]))
        await arrived(floor)
    fault = await floor.pool.fetchval("select fault from ingest.patches_v")
    assert fault.startswith(f"{rule}: ")


async def test_huge_lines_nuls_and_bad_bytes_are_taken_in(floor_for: FloorFor, site: Served) -> None:
    floor = await floor_for("ingest", some_settings(site.url))
    hostile = [
        a_diff(line="y" * (10 << 20)),
        a_diff(line="a\0b"),
        a_diff(line="\ud800".encode("utf-8", "surrogatepass").decode("latin-1")),
    ]
    async with at_work(floor):
        for n, diff in enumerate(hostile):
            submit(site, a_series(f"tcp: hostile {n}", patches=1, diffs=[diff]))
        await until(floor, lambda: rows(floor))
        await rounds(floor)
        await idle(floor)
    assert await floor.pool.fetchval("select count(*) from floor.work where state = 'dead' or error <> ''") == 0
    assert len(await rows(floor)) == 3


async def test_a_series_seen_a_year_ago_costs_no_pages(floor_for: FloorFor, site: Served) -> None:
    """An old patch that is still open is fetched by its number, not by reading every page down to it."""
    floor = await floor_for("ingest", some_settings(site.url))
    submit(site, a_series("tcp: old"))
    for n in range(60):
        submit(site, a_series(f"tcp: closed {n}", patches=1))
        set_state(site.pw, max(site.pw.patches), "accepted", by="maintainer")
    async with at_work(floor):
        await until(floor, lambda: rows(floor))
        await rounds(floor)
    assert [row["title"] for row in await rows(floor)] == ["tcp: old"]
    assert site.counters.of("/api/series/N/") == 1


async def test_the_queue_is_read_when_a_branch_is_asked_for(floor_for: FloorFor, site: Served) -> None:
    floor = await floor_for("ingest", some_settings(site.url, sync_queue="1h", reconcile="1h"))
    async with at_work(floor):
        submit(site, a_series(patches=1))
        await arrived(floor)
        set_state(site.pw, next(iter(site.pw.patches)), "accepted", by="maintainer")
        await floor.pool.execute("select pg_notify('netci_orders', 'net-next')")
        [event] = await changed(floor)
    assert (event["state"], event["reason"]) == ("withdrawn", "At Patchwork: accepted")
