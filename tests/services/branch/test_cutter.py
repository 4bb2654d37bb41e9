"""Branches cut: what is on them, what is not and why; and that no stop between two steps costs or doubles anything."""

import asyncio
import shutil
from datetime import timedelta
from typing import Any

import pytest

from services.branch import store as table
from services.branch.cutter import Cutter
from services.branch.orders import order, release, request_cut
from shared.errors import Missing, NetciError, Transient
from shared.git.apply import NotApplied
from shared.git.refs import push
from shared.model.ids import SeriesId
from shared.pauses import pause, resume
from tests.services.branch.conftest import WorldFor
from tests.services.branch.test_apply import ask, settle_all
from tests.services.branch.world import T0, World
from tests.shared.git.build import commit, git, head


def a_cutter(world: World, free: int = 1 << 40) -> Cutter:
    return Cutter(world.floor, world.repos, world.trees, "next", lambda: free)


async def applied(world: World, letters: list[bytes], **how: Any) -> SeriesId:
    """A series, settled and published."""
    series = await world.series(letters, **how)
    await ask(world, series)
    await settle_all(world)
    return series


async def request(world: World, *names: str) -> None:
    await world.owner.execute(
        "insert into branch.requests (project, stream, message_ids, by) values ('netdev', 'next', $1, 'ada')",
        list(names) or None,
    )


async def cuts(world: World) -> list[Any]:
    return await world.owner.fetch("select * from branch.cuts order by id")


async def decisions(world: World, cut: int) -> dict[int, tuple[str, str, str]]:
    rows = await world.owner.fetch("select * from branch.selections where cut_id = $1", cut)
    return {r["series_id"]: (r["decision"], r["rule"], r["reason"]) for r in rows}


async def announced(world: World) -> list[Any]:
    rows = await world.owner.fetch(
        "select body->'data' as data from (select type, body from floor.outbox union all "
        "select type, body from floor.events) x where type = 'dev.netci.branch.cut.v1'"
    )
    return [r["data"] for r in rows]


def subjects(world: World, branch: str) -> list[str]:
    return git(world.remote, "log", "--first-parent", "--format=%s", branch).split("\n")


async def test_a_cut_by_hand_has_base_merge_and_series_and_is_announced(world: World) -> None:
    one = await applied(world, world.change("net/core/dev.c", 3, "one", subject="first"), files=["net/core/dev.c"])
    two = await applied(world, world.change("README", 2, "two", subject="second"), files=["README"])
    await request(world)
    await a_cutter(world).round()
    (cut,) = await cuts(world)
    assert (cut["state"], cut["name"], cut["purpose"]) == ("announced", "next-2026-11-23--09-01", "by-hand")
    assert world.branches() == {cut["name"]: cut["commit"]}
    assert subjects(world, cut["name"])[:3] == ["second", "first", f"Merge {world.net} main"]
    assert git(world.remote, "rev-parse", f"{cut['name']}~2") == cut["base"]
    assert cut["merges"][0]["state"] == "merged"
    assert await decisions(world, cut["id"]) == {
        one: ("take", "pending", "pending for next"),
        two: ("take", "pending", "pending for next"),
    }
    (event,) = await announced(world)
    assert (event["branch"], event["commit"], event["taken"], event["left_out"]) == (cut["name"], cut["commit"], 2, 0)
    assert event["public_url"] == "https://example.org/testing.git"
    store = await world.store()
    assert await store.rev_parse(f"refs/netci/cuts/{cut['id']}") == cut["commit"]


async def test_a_try_is_announced_to_nobody_but_its_owner(world: World) -> None:
    await world.owner.execute(
        "create function tried() returns trigger language plpgsql as $$ begin new.purpose = 'try'; return new; end $$; "
        "create trigger tried before insert on branch.cuts for each row execute function tried()"
    )
    await request(world)
    await a_cutter(world).round()
    assert [cut["state"] for cut in await cuts(world)] == ["announced"]
    told = await world.owner.fetch(
        "select body->>'visibility' as seen from floor.outbox where type like '%branch.cut%' "
        "union all select visibility from floor.events where type like '%branch.cut%'"
    )
    assert [row["seen"] for row in told] == ["operator"]


async def test_a_slot_is_cut_once_and_of_several_missed_the_newest_late(world: World) -> None:
    cutter = a_cutter(world)
    await cutter.round()
    assert await cuts(world) == []
    world.clock.now = T0.replace(hour=20, minute=40)
    await cutter.round()
    await cutter.round()
    (cut,) = await cuts(world)
    assert (cut["slot"], cut["name"]) == (T0.replace(hour=18, minute=0), "next-2026-11-23--18-00")
    world.clock.now = T0.replace(hour=21, minute=0)
    await cutter.round()
    assert [c["name"] for c in await cuts(world)] == ["next-2026-11-23--18-00", "next-2026-11-23--21-00"]
    assert len(await announced(world)) == 2


async def test_a_conflict_names_patch_files_and_the_rival(world: World) -> None:
    bystander = await applied(world, world.change("README", 2, "other"), name="other", files=["README"])
    rival = await applied(world, world.change("net/core/dev.c", 3, "mine"), name="rival", files=["net/core/dev.c"])
    loser = await applied(world, world.change("net/core/dev.c", 3, "no, mine", subject="mine too"), name="loser",
                          files=["net/core/dev.c"])  # fmt: skip
    await request(world)
    await a_cutter(world).round()
    (cut,) = await cuts(world)
    row = await world.owner.fetchrow("select * from branch.selections where series_id = $1", loser)
    assert row is not None
    assert (row["decision"], row["rule"], row["rival"], row["patch_number"]) == ("leave", "conflict", rival, 1)
    assert row["files"] == ["net/core/dev.c"]
    assert "patch 1 (mine too) conflicts in net/core/dev.c" in row["reason"]
    assert '"rival" (rival@example.org)' in row["reason"]
    assert "patch failed" in (await world.floor.blobs.get(row["log"])).decode()
    taken = {s for s, (decision, *_) in (await decisions(world, cut["id"])).items() if decision == "take"}
    assert taken == {bystander, rival}
    assert (await announced(world))[0]["left_out"] == 1


async def test_hold_include_and_drop_are_obeyed_and_shown(world: World) -> None:
    held = await applied(world, world.change("README", 2, "held"), name="held")
    dropped = await applied(world, world.change("README", 4, "dropped"), name="dropped")
    other = await applied(world, world.change("net/core/fix.c", 3, "x", tree="net"), name="net", trees=["net"])
    foreign = await world.series(world.change("net/core/dev.c", 3, "y"), name="foreign", trees=[])
    for name, verb in (("held", "hold"), ("dropped", "drop"), ("foreign", "include")):
        await world.owner.execute(
            "insert into branch.orders (project, message_id, verb, why, by) values ('netdev', $1, $2, 'so', 'ada')",
            f"{name}@example.org", verb,
        )  # fmt: skip
    await request(world)
    await a_cutter(world).round()
    assert await decisions(world, (await cuts(world))[0]["id"]) == {
        held: ("leave", "hold", "held by ada: so"),
        dropped: ("leave", "drop", "dropped by ada: so"),
        other: ("take", "pending", "pending for net"),
        foreign: ("take", "include", "ada included it: so"),
    }


async def test_a_cut_by_hand_for_named_series_takes_just_those(world: World) -> None:
    wanted = await applied(world, world.change("README", 2, "wanted"), name="wanted")
    await applied(world, world.change("net/core/dev.c", 3, "other"), name="other")
    await request(world, "wanted-1@example.org")
    await a_cutter(world).round()
    assert await decisions(world, (await cuts(world))[0]["id"]) == {wanted: ("take", "named", "asked for by name")}


async def test_a_superseded_series_leaves_the_branch_with_the_reason(world: World) -> None:
    one = await applied(world, world.change("README", 2, "v1"), name="v1")
    await request(world)
    cutter = a_cutter(world)
    await cutter.round()
    two = await applied(world, world.change("README", 2, "v2"), name="v2")
    await world.owner.execute(
        "update ingest.series set state = 'superseded', reason = 'v2 came', superseded_by = $2 where id = $1", one, two
    )
    world.clock.forward(minutes=5)
    await request(world)
    await cutter.round()
    found = await decisions(world, (await cuts(world))[1]["id"])
    assert found[one] == ("leave", "superseded", "v2 came")
    assert found[two][0] == "take"


async def test_a_merge_in_conflict_is_left_out_and_shown_and_the_branch_cut_without_it(world: World) -> None:
    commit(world.net, "net's way", {"net/core/dev.c": "net's\n"})
    commit(world.next, "next's way", {"net/core/dev.c": "next's\n"})
    await request(world)
    await a_cutter(world).round()
    (cut,) = await cuts(world)
    assert (cut["state"], cut["base"]) == ("announced", head(world.next))
    assert [(m["tree"], m["state"], m["files"]) for m in cut["merges"]] == [("net", "conflict", ["net/core/dev.c"])]
    conflict = await world.owner.fetchrow("select * from branch.conflicts")
    assert conflict is not None
    assert (conflict["merge"], conflict["files"]) == ("net", ["net/core/dev.c"])


async def test_a_name_that_is_taken_moves_to_the_next_free_minute(world: World) -> None:
    strange = head(world.next)
    for minute in ("01", "02"):
        git(world.next, "push", "-q", str(world.remote), f"{strange}:refs/heads/next-2026-11-23--09-{minute}")
    await request(world)
    await a_cutter(world).round()
    (cut,) = await cuts(world)
    assert cut["name"] == "next-2026-11-23--09-03"
    assert world.branches()["next-2026-11-23--09-01"] == strange
    await request(world)
    await a_cutter(world).round()
    assert (await cuts(world))[1]["name"] == "next-2026-11-23--09-04"


async def test_local_patches_are_at_the_end_and_one_that_does_not_fit_is_shown(
    world_for: WorldFor, tmp_path: Any
) -> None:
    folder = tmp_path / "patches"
    folder.mkdir()
    world = await world_for(stream=f'patches = ["{folder}"]')
    (folder / "1.patch").write_bytes(world.change("README", 3, "ours", subject="our own")[0])
    (folder / "2.patch").write_bytes(world.change("README", 3, "again", subject="too many")[0])
    await request(world)
    await a_cutter(world).round()
    (cut,) = await cuts(world)
    assert subjects(world, cut["name"])[0] == "our own"
    assert [(e["name"], e["ok"]) for e in cut["extras"]] == [("1.patch", True), ("2.patch", False)]


# Stops


class Stop(Exception):
    """The process dies here."""


async def stopped_cut(world: World, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """A cut by hand that dies at `where`: before a step's transaction, or after what it did outside."""
    await applied(world, world.change("README", 2, "one", subject="first"))
    await request(world)

    async def die(*_: object, **__: object) -> None:
        raise Stop

    with monkeypatch.context() as patch:
        module, _, name = where.partition(":")
        patch.setattr(f"services.branch.{module}.{name}", die)
        with pytest.raises(Stop):
            await a_cutter(world).round()


@pytest.mark.parametrize(
    ("where", "state"),
    [
        ("build:compose", "planned"),
        ("build:Builder._record_series", "planned"),
        ("cutter:ls_remote", "built"),
        ("cutter:push", "built"),
        ("cutter:stage", "pushed"),
    ],
)
async def test_a_restart_goes_on_from_the_recorded_step(
    world: World, monkeypatch: pytest.MonkeyPatch, where: str, state: str
) -> None:
    await stopped_cut(world, monkeypatch, where)
    (before,) = await cuts(world)
    assert before["state"] == state
    assert await announced(world) == []
    world.clock.forward(minutes=7)
    await a_cutter(world).round()
    (after,) = await cuts(world)
    assert (after["state"], after["name"]) == ("announced", before["name"])
    assert before["commit"] in ("", after["commit"])
    assert world.branches() == {after["name"]: after["commit"]}
    assert len(await announced(world)) == 1


async def test_what_is_built_is_not_composed_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await stopped_cut(world, monkeypatch, "cutter:push")

    async def never(*_: object, **__: object) -> None:
        raise AssertionError("composed twice")

    monkeypatch.setattr("services.branch.build.compose", never)
    await a_cutter(world).round()
    assert (await cuts(world))[0]["state"] == "announced"


async def test_a_push_whose_answer_was_lost_is_not_repeated(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = push, 0

    async def lost(*args: Any, **kwargs: Any) -> None:
        nonlocal calls
        calls += 1
        await real(*args, **kwargs)
        raise Transient("the answer was lost")

    monkeypatch.setattr("services.branch.cutter.push", lost)
    await request(world)
    with pytest.raises(Transient):
        await a_cutter(world).round()
    await a_cutter(world).round()
    assert calls == 1
    assert len(await announced(world)) == 1


async def test_composing_again_gives_the_same_commit_even_in_another_store(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stopped_cut(world, monkeypatch, "cutter:push")
    (before,) = await cuts(world)
    world.repos.close()
    shutil.rmtree(world.settings.data / "git")
    world.clock.forward(minutes=30)
    await a_cutter(world).round()
    (after,) = await cuts(world)
    assert (after["state"], after["commit"]) == ("announced", before["commit"])


async def test_two_cutters_make_one_branch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lease keeps them apart; should both go on with one cut all the same, one of them only looks on."""
    await stopped_cut(world, monkeypatch, "build:compose")
    cut = await table.open_cut(world.floor.pool, "netdev", "next")
    assert cut is not None
    await a_cutter(world).go_on(cut)
    await a_cutter(world).go_on(cut)
    assert len(await announced(world)) == 1
    assert len(world.branches()) == 1


async def test_while_the_remote_is_down_the_branch_waits_and_the_newest_slot_follows(world: World) -> None:
    cutter = a_cutter(world)
    await cutter.round()
    world.clock.now = T0.replace(hour=12, minute=0)
    world.remote.rename(world.folder / "away.git")
    with pytest.raises(NetciError) as caught:
        await cutter.round()
    await cutter._trouble(caught.value)
    world.clock.now = T0.replace(hour=19, minute=0)
    health = await world.owner.fetchrow("select ok from floor.health where name = 'stream next'")
    assert health is not None
    assert not health["ok"]
    assert [c["state"] for c in await cuts(world)] == ["built"]
    (world.folder / "away.git").rename(world.remote)
    await cutter.round()
    assert [(c["name"][-5:], c["state"]) for c in await cuts(world)] == [("12-00", "announced"), ("18-00", "announced")]


async def test_what_cannot_be_built_is_given_up_when_a_newer_slot_has_come(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await request(world)

    async def broken(*_: object) -> NotApplied:
        raise Transient("no space left")

    with monkeypatch.context() as patch:
        patch.setattr("services.branch.build.compose", broken)
        cutter = a_cutter(world)
        for hours in (0, 3):
            world.clock.forward(hours=hours)
            with pytest.raises(Transient) as caught:
                await cutter.round()
            await cutter._trouble(caught.value)
    await cutter.round()
    states = [(c["state"], c["error"]) for c in await cuts(world)]
    assert states == [("failed", "no space left"), ("announced", "")]


async def test_no_branch_while_paused_or_without_room_on_the_disk(world: World) -> None:
    await request(world)
    await a_cutter(world, free=-1).round()
    assert "MiB of disk are free" in await world.owner.fetchval("select waiting from branch.streams")
    await world.owner.execute(
        "insert into floor.pauses (kind, name, why, by) values ('stream', 'next', 'merge', 'ada')"
    )
    await a_cutter(world).round()
    assert await world.owner.fetchval("select waiting from branch.streams") == "paused: merge"
    assert await cuts(world) == []
    await world.owner.execute("delete from floor.pauses")
    await a_cutter(world).round()
    assert len(await cuts(world)) == 1
    assert timedelta(0) == (await cuts(world))[0]["slot"] - T0


async def test_a_pause_stops_a_cut_between_two_steps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await request(world)
    cutter = a_cutter(world)
    build = cutter._builder.build

    async def built_and_paused(cut: table.Cut) -> None:
        await build(cut)
        async with world.owner.acquire() as conn:
            await pause(conn, "stream", "next", "the remote is moved", "ada")

    monkeypatch.setattr(cutter._builder, "build", built_and_paused)
    await cutter.round()
    (cut,) = await cuts(world)
    assert (cut["state"], world.branches()) == ("built", {})
    assert await world.owner.fetchval("select waiting from branch.streams") == "paused: the remote is moved"
    async with world.owner.acquire() as conn:
        await resume(conn, "stream", "next", "done", "ada")
    await cutter.round()
    assert [c["state"] for c in await cuts(world)] == ["announced"]
    assert await world.owner.fetchval("select waiting from branch.streams") == ""


async def test_a_cut_by_hand_waits_until_the_queue_was_read(world: World) -> None:
    await world.owner.execute(
        "insert into ingest.sources (project, name, queue_synced) values ('netdev', 'patchwork', now())"
    )
    series = await applied(world, world.change("README", 2, "one"))
    await request(world)
    async with asyncio.TaskGroup() as group:
        cutting = group.create_task(a_cutter(world).round())
        async with asyncio.timeout(5):
            while not await world.owner.fetchval("select count(*) from branch.streams"):
                await asyncio.sleep(0.01)
        assert await cuts(world) == []
        await world.owner.execute("update ingest.series set state = 'withdrawn', reason = 'At Patchwork: accepted'")
        await world.owner.execute("update ingest.sources set queue_synced = now()")
    assert cutting.done()
    (cut,) = await cuts(world)
    assert series not in await decisions(world, cut["id"])


async def test_a_source_that_is_paused_keeps_nobody_from_a_branch(world: World) -> None:
    await world.owner.execute(
        "insert into ingest.sources (project, name, queue_synced) values ('netdev', 'patchwork', now())"
    )
    async with world.owner.acquire() as conn:
        await pause(conn, "source", "netdev/patchwork", "it moves", "ada")
    await request(world)
    async with asyncio.timeout(5):
        await a_cutter(world).round()
    assert [c["state"] for c in await cuts(world)] == ["announced"]


async def test_a_fetch_that_hangs_does_not_hold_up_a_slot(world: World) -> None:
    async with world.trees._turn("netdev", "next", 1):
        assert await world.trees.refresh("netdev", "next", 0.01) is False
    assert "has not ended" in await world.owner.fetchval(
        "select text from floor.health where name = 'tree netdev/next'"
    )


async def test_a_series_that_is_not_ours_is_taken_where_a_person_wants_it(world: World) -> None:
    letters = [
        world.change(*change) for change in (("README", 2, "1"), ("net/core/dev.c", 3, "2"), ("net/ipv4/tcp.c", 3, "3"))
    ]
    named, included, _ = [
        await world.series(one, state="ignored", reason="Delegated to bpf", trees=(), name=name)
        for one, name in zip(letters, ("named", "included", "neither"), strict=True)
    ]
    async with world.owner.acquire() as conn:
        await order(conn, "included@example.org", "include", "it may break us", "ada")
    await request(world, "named@example.org")
    await request(world)
    await a_cutter(world).round()
    first, second = await cuts(world)
    assert {one: how[0] for one, how in (await decisions(world, first["id"])).items()} == {named: "take"}
    assert (await decisions(world, second["id"]))[included][:2] == ("take", "include")


async def test_a_mail_of_two_projects_names_the_series_of_the_streams_own(world: World) -> None:
    ours = await world.series(world.change("README", 2, "one"), name="both")
    theirs = await world.series(world.change("README", 2, "one"), name="other", project="bpf")
    await world.owner.execute("update ingest.series set message_id = 'both@example.org' where id = $1", theirs)
    async with world.owner.acquire() as conn:
        await request_cut(conn, world.settings, "next", ["both@example.org"], "", "ada")
    await a_cutter(world).round()
    (cut,) = await cuts(world)
    assert list(await decisions(world, cut["id"])) == [ours]


async def test_a_word_on_a_mail_of_two_projects_holds_in_both(world: World) -> None:
    for number, project in enumerate(("netdev", "bpf")):
        one = await world.series(world.change("README", 2, "one"), name=f"n{number}", project=project)
        await world.owner.execute("update ingest.series set message_id = 'both@example.org' where id = $1", one)
    async with world.owner.acquire() as conn:
        await order(conn, "both@example.org", "hold", "not now", "ada")
        assert await conn.fetchval("select array_agg(project order by project) from branch.orders") == ["bpf", "netdev"]
        assert (await release(conn, "both@example.org", "", "ada")).why == "not now"
        assert await conn.fetchval("select count(*) from branch.orders") == 0
        with pytest.raises(Missing):
            await release(conn, "both@example.org", "", "ada")


async def test_a_series_joins_once_every_gate_of_every_patch_is_settled_and_none_fails(world_for: WorldFor) -> None:
    world = await world_for(stream='gate = ["apply", "build"]', more='[projects.netdev.checking]\nuse = ["build"]')
    assert all([await world.trees.refresh("netdev", tree) for tree in ("net", "next")])
    ready = await applied(world, world.change("net/core/dev.c", 3, "one"))
    waiting = await applied(world, world.change("net/core/dev.c", 9, "two"))
    failing = await applied(world, world.change("net/ipv4/tcp.c", 3, "three"))
    broken = await applied(world, world.change("net/ipv4/tcp.c", 9, "four"))
    for series, state in ((ready, "warning"), (failing, "fail")):
        await world.owner.execute(
            "insert into report.verdicts (series_id, revision, context, patch, project, state, settled, text) "
            "values ($1, 1, 'build', 1, 'netdev', $2, true, 'as gcc says')", series, state,
        )  # fmt: skip
    for series, state in ((waiting, "running"), (broken, "infra")):
        await a_task(world, series, "build", state)
    await request(world)
    await a_cutter(world).round()
    (cut,) = await cuts(world)
    assert await decisions(world, cut["id"]) == {
        ready: ("take", "pending", "pending for next"),
        waiting: ("leave", "gate:build", "waits for build of patch 1"),
        failing: ("leave", "gate:build", "build of patch 1 is fail: as gcc says"),
        broken: ("leave", "gate:build", "build of patch 1 got no answer, by a fault of ours: no clang"),
    }


async def test_a_gate_waits_a_day_for_what_is_pending(world_for: WorldFor) -> None:
    world = await world_for(stream='gate = ["build"]', more='[projects.netdev.checking]\nuse = ["build"]')
    assert all([await world.trees.refresh("netdev", tree) for tree in ("net", "next")])
    lately = await applied(world, world.change("net/core/dev.c", 3, "one"))
    long_ago = await applied(world, world.change("net/core/dev.c", 9, "two"))
    unfolded = await applied(world, world.change("net/ipv4/tcp.c", 3, "three"))
    for series, hours in ((lately, 23), (long_ago, 25), (unfolded, 25)):
        await a_task(world, series, "build", "answered")
        await world.owner.execute(
            "update executor.check_tasks set ended = now() - make_interval(hours => $1) "
            "where plan_id = (select max(id) from executor.check_plans)", hours,
        )  # fmt: skip
    for series in (lately, long_ago):
        await world.owner.execute(
            "insert into report.verdicts (series_id, revision, context, patch, project, state, settled, text) "
            "values ($1, 1, 'build', 1, 'netdev', 'pending', false, 'asked the lab')", series,
        )  # fmt: skip
    await request(world)
    await a_cutter(world).round()
    (cut,) = await cuts(world)
    assert await decisions(world, cut["id"]) == {
        lately: ("leave", "gate:build", "build of patch 1 is pending: asked the lab"),
        long_ago: ("take", "pending", "pending for next"),
        # Its answer is not a verdict yet: it may be a fail.
        unfolded: ("leave", "gate:build", "waits for build of patch 1"),
    }


async def a_task(world: World, series: SeriesId, check: str, state: str) -> None:
    """A question of our own checks about the first patch of a series."""
    plan = await world.owner.fetchval(
        "insert into executor.check_plans (project, series_id, revision, message_id, lane, attempt, state) "
        "values ('netdev', $1, 1, 'x', 'build', 0, 'running') returning id", series,
    )  # fmt: skip
    await world.owner.execute(
        "insert into executor.check_tasks (plan_id, check_name, patch, state, why) values ($1, $2, 1, $3, $4)",
        plan, check, state, "no clang" if state == "infra" else "",
    )  # fmt: skip
