"""Whole runs on a real database and practice hosts: ended, killed at each step, taken over, put off."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.executor.app import bench
from services.executor.endings import Ending
from services.executor.ledger_sink import LedgerSink
from services.executor.schedule import Task
from services.executor.store import load_plan
from services.executor.suites.attempt import Attempt
from services.executor.suites.script import Script, ScriptConfig
from shared.blobs.pack import member, names
from shared.clock import wall
from shared.db.lease import held
from shared.db.work import Postpone, Work
from shared.errors import Superseded
from shared.ledger import Ledger, OpenRun
from shared.model.ids import RunId
from shared.model.results import Case, Result
from shared.pauses import pause, resume
from shared.practice import tree
from shared.practice.hosts import Fleet, served_hosts
from tests.conftest import Database, FloorFor
from tests.services.executor.builders import GROUP, Shells, barrier, until
from tests.services.executor.world import (
    HeldBlobs,
    World,
    a_cut,
    a_world,
    counting,
    files_open,
    ran,
    refused,
    some_settings,
    with_blobs,
)

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    async with served_hosts(2) as made:
        yield made


async def world_of(
    database: Database, floor_for: FloorFor, fleet: Fleet, tmp_path: Path, suite: Shells | Script, **settings: int | str
) -> World:
    """A planned run of `suite`."""
    floor = await floor_for("executor", some_settings(tmp_path / "data", **settings))  # type: ignore[arg-type]
    owner = await database.pool("")
    world = a_world(floor, owner, fleet, suite, await a_cut(owner))
    assert await world.plan() == 1
    return world


async def check_ended(world: World) -> dict[str, int]:
    """Everything that must be true of a run that ended well. Gives the members of its pack."""
    run, plan = await world.run_row(), await world.plan_row()
    assert (run["state"], run["cause"], plan["state"], plan["run_id"]) == ("done", None, "done", run["id"])
    assert await world.events("run.started") == 1
    assert await world.events("run.done") == 1
    assert await world.owner.fetchval("select count(*) from ledger.artifacts where starts_with(name, 'part/')") == 0
    assert await world.owner.fetchval("select state from floor.work where kind = $1", world.kind) == "done"
    assert await world.owner.fetchval("select count(*) from floor.leases where name like 'host:%'") == 0
    visible = await world.owner.fetchval("select visibility from floor.blobs where sha256 = $1", run["log_pack"])
    assert visible == "public"
    return names(await world.floor.blobs.get(run["log_pack"]))


async def test_the_practice_tree_from_plan_to_pack(
    database: Database, floor_for: FloorFor, fleet: Fleet, tmp_path: Path
) -> None:
    made = await asyncio.to_thread(tree.build, tmp_path / "tree.git")
    floor = await floor_for("executor", some_settings(tmp_path / "data"))
    owner = await database.pool("")
    cut = await a_cut(owner, made.heads["main"], url=f"file://{made.path}")
    world = a_world(floor, owner, fleet, bench(floor.settings, floor.settings.executors[0]).suite, cut)
    assert await world.plan() == 1
    assert await world.plan() == 0
    await world.do()
    packed = await check_ended(world)
    results, run = await world.results(), await world.run_row()
    assert len({test for test, _ in results}) == len(made.tests) == run["planned"]
    assert sum(run["counts"].values()) - run["counts"]["flaky"] == len(made.tests)
    logs = {row["log"] for row in await owner.fetch("select log from ledger.cases_v where subtest = ''")}
    assert logs <= packed.keys()
    assert await owner.fetchval("select count(*) from executor.durations where seconds > 0") == len(made.tests)
    assert await owner.fetchval("select count(*) from executor.attempts where ended is null") == 0
    hosts = await owner.fetch("select state, label, address from executor.hosts")
    assert {(row["state"], row["label"]) for row in hosts} == {("idle", "host1"), ("idle", "host2")}
    assert not [name for name in files_open() if "tars" in name]
    assert list((tmp_path / "data" / "executor" / "tars").iterdir()) == []
    assert run["expected_end"] <= wall()


async def test_a_suite_that_compares_is_handed_the_base_too(
    database: Database, floor_for: FloorFor, fleet: Fleet, tmp_path: Path
) -> None:
    made = await asyncio.to_thread(tree.build, tmp_path / "tree.git")
    base = made.heads["main"]
    commit = await asyncio.to_thread(with_a_todo, made.path, tmp_path / "work")
    config = ScriptConfig(command="grep -rn TODO .", test="todo", checkout=True, compare=True, counts=("*TODO*",))
    floor = await floor_for("executor", some_settings(tmp_path / "data"))
    owner = await database.pool("")
    cut = await a_cut(owner, commit, url=f"file://{made.path}")
    await owner.execute("update branch.cuts set base = $1", base)
    world = a_world(floor, owner, fleet, Script(config), cut)
    assert await world.plan() == 1
    await world.do()
    packed = await check_ended(world)
    assert await owner.fetchval("select detail from ledger.cases_v where attempt = 0") == "1 new: ./Makefile:1:# TODO"
    assert "scripts/todo/0/new-lines" in packed


def with_a_todo(repository: Path, work: Path) -> str:
    """A commit on the tree's main branch that adds a line."""
    tree.git(repository.parent, "clone", "--quiet", str(repository), str(work))
    makefile = work / "Makefile"
    makefile.write_text("# TODO\n" + (makefile.read_text() if makefile.exists() else ""))
    tree.git(work, "add", "Makefile")
    tree.git(work, "-c", "user.name=T", "-c", "user.email=t@t.example", "commit", "-qm", "makefile: todo")
    tree.git(work, "push", "--quiet", "origin", "HEAD:refs/heads/todo")
    return tree.git(work, "rev-parse", "HEAD").decode().strip()


async def test_the_log_of_a_run_of_one_test_can_be_read(
    database: Database, floor_for: FloorFor, fleet: Fleet, tmp_path: Path
) -> None:
    suite = Script(ScriptConfig(command="echo smoke", test="smoke"))
    world = await world_of(database, floor_for, fleet, tmp_path, suite)
    await world.do()
    await check_ended(world)
    run = await world.run_row()
    pack = await world.floor.blobs.get(run["log_pack"])
    assert member(pack, "scripts/smoke/0/stdout") == b"smoke\n"


async def test_a_run_on_a_try_is_nobody_elses_business(
    database: Database, floor_for: FloorFor, fleet: Fleet, tmp_path: Path
) -> None:
    suite = Script(ScriptConfig(command="echo smoke", test="smoke"))
    world = await world_of(database, floor_for, fleet, tmp_path, suite)
    await world.owner.execute("update branch.cuts set purpose = 'try'")
    await world.do()
    run = await world.run_row()
    blob = await world.owner.fetchval("select visibility from floor.blobs where sha256 = $1", run["log_pack"])
    told = await world.owner.fetch(
        "select body->>'visibility' as seen from floor.outbox where type like '%.run.%' "
        "union select visibility from floor.events where type like '%.run.%'"
    )
    assert (run["visibility"], blob, [row["seen"] for row in told]) == ("operator", "operator", ["operator"])


async def test_output_of_any_bytes_reaches_the_ledger(
    database: Database, floor_for: FloorFor, fleet: Fleet, tmp_path: Path
) -> None:
    evil = r"""printf 'TAP version 13\n1..4\nok 1 a\000b\377\nnot ok 2 \355\240\200 # SKIP \000\n'
        printf 'ok 3 %02000d\n    ok 1 \033[31m\nBail out! \000\377\n' 7; exit 1"""
    world = await world_of(database, floor_for, fleet, tmp_path, Script(ScriptConfig(command=evil, test="evil")))
    await world.do()
    await check_ended(world)
    assert (await world.results())[("evil", 0)] == "fail"


def three_tests(folder: Path) -> Shells:
    """One that ends, one that waits for a file, one that follows; on one host in this order."""
    wait = f'until [ -e "{folder}/go" ]; do sleep 0.02; done'
    return Shells({
        "a": counting(folder, "a"),
        "b": counting(folder, "b") + barrier(folder, "here") + wait,
        "c": counting(folder, "c"),
    })  # fmt: skip


async def test_killed_in_the_middle_and_taken_over(database: Database, floor_for: FloorFor, tmp_path: Path) -> None:
    async with served_hosts(1) as fleet:
        world = await world_of(database, floor_for, fleet, tmp_path, three_tests(tmp_path))
        async with world.killed_inside() as old:
            await until((tmp_path / "here").exists)
            run = await world.run_row()
            assert await world.results() == {("a", 0): "pass"}
        (tmp_path / "go").touch()
        await world.do()
        await check_ended(world)
        assert await world.results() == {(name, 0): "pass" for name in "abc"}
        assert [ran(tmp_path, name) for name in "abc"] == [1, 2, 1]
        assert (await world.run_row())["lease_number"] > old.number
        await check_fenced(world, OpenRun(RunId(run["id"]), run["day"], old.number, False), old)


async def check_fenced(world: World, old: OpenRun, work: Work) -> None:
    """Nothing that a former owner writes late is let through."""
    planned = await load_plan(world.floor.pool, world.cut, "metal", "net")
    assert planned is not None
    sink = LedgerSink(world.floor, Ledger("executor"), planned, old, work)
    task = Task(world.bench.suite.invocations("", None)[0])  # type: ignore[arg-type]
    late = Attempt(GROUP, "a", 5, (Case(GROUP, "a", Result.FAIL, attempt=5),), {"x": b"y"}, 1.0)
    await refused(
        Superseded,
        lambda: sink.planned(7, wall()),
        lambda: sink.began(task, "h"),
        lambda: sink.ended(late, "h", wall()),
        lambda: sink.not_run([late.cases[0]]),
        lambda: sink.host("h", "busy", ""),
        lambda: sink.end(Ending()),
    )
    assert ("a", 5) not in await world.results()


async def test_killed_again_and_again_in_one_test_is_given_up(
    database: Database, floor_for: FloorFor, tmp_path: Path
) -> None:
    async with served_hosts(1) as fleet:
        world = await world_of(database, floor_for, fleet, tmp_path, three_tests(tmp_path))
        for _ in range(3):
            async with world.killed_inside():
                await until((tmp_path / "here").exists)
            (tmp_path / "here").unlink()
        await world.do()
        await check_ended(world)
        assert await world.results() == {("a", 0): "pass", ("b", 0): "not-run", ("c", 0): "pass"}
        assert [ran(tmp_path, name) for name in "abc"] == [1, 3, 1]


async def test_killed_before_a_host_was_had(database: Database, floor_for: FloorFor, tmp_path: Path) -> None:
    async with served_hosts(1) as fleet:
        world = await world_of(database, floor_for, fleet, tmp_path, Shells({"a": counting(tmp_path, "a")}))
        async with held(world.floor.pool, f"host:{fleet.addresses[0]}", "another"):
            async with world.killed_inside():
                await until(lambda: _is_running(world))
        await world.do()
        await check_ended(world)
        assert (await world.results(), ran(tmp_path, "a")) == ({("a", 0): "pass"}, 1)


async def _is_running(world: World) -> bool:
    return bool((await world.plan_row())["state"] == "running")


async def test_killed_while_the_logs_were_folded(
    database: Database, floor_for: FloorFor, fleet: Fleet, tmp_path: Path
) -> None:
    blobs = HeldBlobs(tmp_path / "blobs")
    tests = {name: counting(tmp_path, name) for name in "abc"}
    world = with_blobs(await world_of(database, floor_for, fleet, tmp_path, Shells(tests)), blobs)
    async with world.killed_inside():
        await blobs.asked.wait()
    assert (await world.run_row())["state"] == "open"
    blobs.release.set()
    await world.do()
    await check_ended(world)
    assert [ran(tmp_path, name) for name in "abc"] == [1, 1, 1]


async def test_an_owner_that_lost_its_lease_stops_and_the_other_ends_the_run(
    database: Database, floor_for: FloorFor, tmp_path: Path
) -> None:
    async with served_hosts(1) as fleet:
        world = await world_of(database, floor_for, fleet, tmp_path, three_tests(tmp_path))
        first = asyncio.ensure_future(world.do())
        await until((tmp_path / "here").exists)
        # The second cannot have the host before the first lets go, which it does at its next write.
        second = asyncio.ensure_future(world.do())
        await until(lambda: _owner_changed(world))
        (tmp_path / "go").touch()
        with pytest.raises(Superseded):
            await first
        await second
        await check_ended(world)
        assert await world.results() == {(name, 0): "pass" for name in "abc"}


async def _owner_changed(world: World) -> bool:
    first = await world.owner.fetchval("select min(lease_number) from executor.attempts")
    return bool((await world.run_row())["lease_number"] > first)


async def test_paused_waits_and_says_so(database: Database, floor_for: FloorFor, fleet: Fleet, tmp_path: Path) -> None:
    world = await world_of(database, floor_for, fleet, tmp_path, Shells({"a": "true"}))
    async with world.owner.acquire() as conn:
        await pause(conn, "executor", "metal/net", "new cables", "me")
        with pytest.raises(Postpone, match="new cables"):
            await world.do()
        assert "new cables" in (await world.plan_row())["reason"]
        await resume(conn, "executor", "metal/net", "done", "me")
    await world.do()
    await check_ended(world)
    assert (await world.plan_row())["reason"] == ""


async def test_paused_in_the_middle_starts_no_other_test(
    database: Database, floor_for: FloorFor, tmp_path: Path
) -> None:
    async with served_hosts(1) as fleet:
        world = await world_of(database, floor_for, fleet, tmp_path, three_tests(tmp_path))
        running = asyncio.ensure_future(world.do())
        await until((tmp_path / "here").exists)
        async with world.owner.acquire() as conn:
            await pause(conn, "executor", "metal/net", "new cables", "me")
            (tmp_path / "go").touch()
            await until(lambda: _has(world, "b"))
            assert ran(tmp_path, "c") == 0
            await resume(conn, "executor", "metal/net", "done", "me")
        await running
        await check_ended(world)


async def _has(world: World, test: str) -> bool:
    return (test, 0) in await world.results()


async def test_a_full_disk_puts_off_and_says_so(
    database: Database, floor_for: FloorFor, fleet: Fleet, tmp_path: Path
) -> None:
    world = await world_of(database, floor_for, fleet, tmp_path, Shells({"a": "true"}), free=1 << 60)
    await world.at_desk(await world.claim())
    row = await world.owner.fetchrow("select state, error from floor.work where kind = $1", world.kind)
    assert row is not None
    assert (row["state"], "MiB free" in row["error"]) == ("ready", True)
    assert "MiB free" in (await world.plan_row())["reason"]
    assert await world.events("run.started") == 0


async def test_no_host_puts_off_until_the_deadline_and_then_blames_no_test(
    database: Database, floor_for: FloorFor, fleet: Fleet, tmp_path: Path
) -> None:
    world = await world_of(database, floor_for, fleet, tmp_path, Shells({"a": "true"}))
    for host in fleet.hosts:
        await host.wrong_key()
    with pytest.raises(Postpone, match="host key"):
        await world.do()
    assert "host key" in (await world.plan_row())["reason"]
    await world.owner.execute("update executor.plans set deadline = now() + interval '15 seconds'")
    await world.do()
    run, plan = await world.run_row(), await world.plan_row()
    assert (run["state"], run["cause"], plan["state"]) == ("abandoned", "infra", "abandoned")
    assert "host key" in run["reason"]
    public = f"{run} {plan} {await owner_says(world, 'select * from executor.hosts_v')}"
    assert not any(str(host.port) in public for host in fleet.hosts)
    assert await world.results() == {}
    assert await world.events("run.done") == 1
    assert await world.owner.fetchval("select count(*) from executor.hosts where state = 'broken'") == 2


async def owner_says(world: World, query: str) -> str:
    return str([dict(row) for row in await world.owner.fetch(query)])


async def test_a_commit_that_cannot_be_had_is_infra(
    database: Database, floor_for: FloorFor, fleet: Fleet, tmp_path: Path
) -> None:
    suite = Script(ScriptConfig(command="true", test="t", checkout=True))
    world = await world_of(database, floor_for, fleet, tmp_path, suite)
    with pytest.raises(Postpone, match="cannot be had"):
        await world.do()


async def test_too_late_to_begin_is_skipped_with_a_reason(
    database: Database, floor_for: FloorFor, fleet: Fleet, tmp_path: Path
) -> None:
    world = await world_of(database, floor_for, fleet, tmp_path, Shells({"a": "true"}))
    await world.owner.execute("update executor.plans set deadline = now() - interval '1 second'")
    await world.do()
    plan = await world.plan_row()
    assert (plan["state"], "deadline" in plan["reason"], plan["run_id"]) == ("skipped", True, None)
    assert await world.owner.fetchval("select state from floor.work where kind = $1", world.kind) == "done"


async def test_taken_over_too_late_ends_with_what_stands(
    database: Database, floor_for: FloorFor, tmp_path: Path
) -> None:
    async with served_hosts(1) as fleet:
        world = await world_of(database, floor_for, fleet, tmp_path, three_tests(tmp_path))
        async with world.killed_inside():
            await until((tmp_path / "here").exists)
        await world.owner.execute("update executor.plans set deadline = now() - interval '1 second'")
        await world.do()
        run = await world.run_row()
        assert (run["state"], run["cause"], run["counts"]["pass"]) == ("done", "timeout", 1)
        assert run["log_pack"] is not None
        assert await world.events("run.done") == 1


async def test_an_interrupted_attempt_has_no_row_in_the_way(
    database: Database, floor_for: FloorFor, tmp_path: Path
) -> None:
    """What was broken off is told to nobody until it has a result of its own."""
    async with served_hosts(1) as fleet:
        tests = {"a": counting(tmp_path, "a") + barrier(tmp_path, "here") + f'[ -e "{tmp_path}/go" ] || sleep 60'}
        world = await world_of(database, floor_for, fleet, tmp_path, Shells(tests))
        running = asyncio.ensure_future(world.do())
        await until((tmp_path / "here").exists)
        (tmp_path / "go").touch()
        fleet.hosts[0].cut()
        await running
        await check_ended(world)
        assert (await world.results(), ran(tmp_path, "a")) == ({("a", 0): "pass"}, 2)


async def test_executors_that_share_a_host_wait_for_one_another(
    database: Database, floor_for: FloorFor, tmp_path: Path
) -> None:
    line = f'mkdir "{tmp_path}/mine" || touch "{tmp_path}/both"; sleep 0.1; rmdir "{tmp_path}/mine"'
    suite = Shells(dict.fromkeys("abc", line))
    async with served_hosts(1) as fleet:
        floor = await floor_for("executor", some_settings(tmp_path / "data", "one", "two"))
        owner = await database.pool("")
        cut = await a_cut(owner)
        worlds = [a_world(floor, owner, fleet, suite, cut, number) for number in range(2)]
        assert await worlds[0].plan() == 2
        works: list[Work] = [await world.claim() for world in worlds]
        await asyncio.gather(*(world.do(work) for world, work in zip(worlds, works, strict=True)))
        assert not (tmp_path / "both").exists()
        for world in worlds:
            assert await world.results() == {(name, 0): "pass" for name in "abc"}


async def test_each_lease_of_a_host_has_a_number_above_all_before(
    database: Database, floor_for: FloorFor, tmp_path: Path
) -> None:
    async with served_hosts(1) as fleet:
        world = await world_of(database, floor_for, fleet, tmp_path, Shells({"a": "true"}))
        work = await world.claim()
        await world.do(work)
        seen = [int(file.read_text().split()[0]) for file in (fleet.hosts[0].root / ".netci").glob("lease*")]
        assert seen
        assert all(number > work.number for number in seen)


async def test_a_hung_desk_lets_the_run_go_on_elsewhere(
    database: Database, floor_for: FloorFor, tmp_path: Path
) -> None:
    """At a desk, a lease that another took ends the work quietly."""
    async with served_hosts(1) as fleet:
        world = await world_of(database, floor_for, fleet, tmp_path, three_tests(tmp_path))
        work = await world.claim()
        first = asyncio.ensure_future(world.at_desk(work))
        await until((tmp_path / "here").exists)
        again = await world.claim()
        assert again.number > work.number
        second = asyncio.ensure_future(world.do(again))
        await until(lambda: _owner_changed(world))
        (tmp_path / "go").touch()
        await asyncio.gather(first, second)
        await check_ended(world)
        assert await world.owner.fetchval("select max(attempts) from floor.work") == 0
