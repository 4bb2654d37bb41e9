"""`netci remote` where nets break and processes are killed: all is posted, and all of it exactly once."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.executor.remote.app import opened
from services.executor.remote.config import load
from services.ingest.api.desk import LabDesk
from services.ingest.api.reaper import Reaper
from shared.blobs.disk import DiskBlobs
from shared.practice.hosts import Fleet, served_hosts
from tests.conftest import Database, FloorFor
from tests.e2e.labs import Lab, a_lab, settings_of, until
from tests.e2e.programs import netci
from tests.support.cutting import Way
from tests.support.hour import Hour

pytestmark = pytest.mark.timeout(180)

HOUR = 3600.0
OFTEN = 8
"""So many vain attempts, and the waits between them are as long as they get."""


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    async with served_hosts(1) as made:
        yield made


def whole(*tests: str) -> list[tuple[str, str, int, str]]:
    """The rows of tests that pass with two subtests each."""
    return [(f"{test}-sh", sub, 0, "pass") for test in tests for sub in ("", "one", "two")]


async def is_over(lab: Lab) -> bool:
    runs = await lab.runs()
    return bool(runs) and all(run["state"] != "open" for run in runs)


async def check_told_once(lab: Lab, folder: Path, tests: str) -> None:
    """One run, closed, with every case, its logs and its events, and nothing left in the spool."""
    [run] = await lab.runs()
    assert (run["state"], run["attempt"], run["remote"], run["executor"]) == ("done", 0, "lab-x", "net")
    assert await lab.cases(run["id"]) == whole(*tests)
    assert (await lab.events("run.started"), await lab.events("run.done")) == (1, 1)
    rows = await lab.owner.fetch("select name, sha256 from ledger.artifacts where run_id = $1 order by name", run["id"])
    assert [row["name"] for row in rows] == [f"selftests-net/{test}-sh/0.log" for test in tests]
    assert b"ok 1 one" in await DiskBlobs(folder / "blobs").get(rows[0]["sha256"])
    links = await lab.owner.fetch("select distinct link from ledger.cases_v where subtest = '' order by link")
    assert [row["link"].partition("/run/")[2] for row in links] == [f"{run['id']}/log/{row['name']}" for row in rows]
    await until(lambda: not list((lab.data / "runs").iterdir()), "the spool is empty")
    assert not (lab.data / "rejected").exists()


async def test_killed_twice_while_the_server_is_away_and_all_is_told_once(
    database: Database, floor_for: FloorFor, fleet: Fleet, tmp_path: Path
) -> None:
    async with a_lab(database, floor_for, fleet, tmp_path) as lab:
        for name in "abcd":
            lab.tests.add(name, waits=name in "bc")
        await lab.start()
        await _away_in_the_second_test(lab)
        await lab.stop()
        before = await lab.runs()
        await lab.start()
        await until(lambda: lab.tests.ran("c") == 2, "the test that was broken off is run again")
        lab.tests.go("c")
        await until(lambda: lab.tests.ran("d"), "the last test runs")
        seen = lab.net.attempts
        await until(lambda: lab.net.attempts >= seen + OFTEN, "the server is asked in vain")
        said = await lab.status()
        assert said["running"]
        assert said["trouble"]
        assert [run["state"] for run in said["runs"]] == ["told"]
        assert said["runs"][0]["unsent"] >= 4
        await lab.stop()
        assert await lab.runs() == before
        await lab.start()
        lab.net.turn(Way.OPEN)
        await until(lambda: is_over(lab), "all is told")
        await check_told_once(lab, tmp_path, "abcd")
        assert [lab.tests.ran(name) for name in "abcd"] == [1, 1, 2, 1]
        said = await lab.status()
        assert (said["trouble"], said["runs"]) == ("", [])


async def _away_in_the_second_test(lab: Lab) -> None:
    """The first test is told, the second has ended while the server was away, the third runs."""
    await lab.cut()
    await until(lambda: lab.tests.ran("b"), "the second test runs")
    await until(lambda: _has(lab, "a-sh"), "the first is on the server while the second runs")
    lab.net.turn(Way.CUT)
    lab.tests.go("b")
    await until(lambda: lab.tests.ran("c"), "the tests go on without the server")


@asynccontextmanager
async def working(lab: Lab, hour: Hour) -> AsyncIterator[None]:
    """The lab's program in this process, by a time that the test lets pass. Broken off at the end, wherever it is."""
    async with opened(load(lab.config), hour.clock, hour.pace) as program:
        task = asyncio.ensure_future(program.run())
        try:
            yield
            assert not task.done(), task.exception()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def pass_by(hour: Hour, seconds: float) -> None:
    """Let so much time pass. Nothing is skipped before both who ask the server, for branches and for results, wait."""
    end = hour.passed + seconds
    while hour.passed < end:
        await until(lambda: hour.asleep == 2, "the server is asked, and both wait")
        hour.skip()


async def test_an_hour_without_the_server_and_all_is_told_once(
    database: Database, floor_for: FloorFor, fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hour = Hour()
    async with a_lab(database, floor_for, fleet, tmp_path, first="1s", longest="60s") as lab:
        monkeypatch.setenv("LAB_TOKEN", lab.env["LAB_TOKEN"])
        for name in "abcd":
            lab.tests.add(name, waits=name in "bcd")
        async with working(lab, hour):
            await _away_in_the_second_test(lab)
            before = await lab.runs()
            await pass_by(hour, HOUR / 3)
        async with working(lab, hour):
            await until(lambda: lab.tests.ran("c") == 2, "the test that was broken off is run again")
            lab.tests.go("c")
            await until(lambda: lab.tests.ran("d"), "the last test runs")
            await pass_by(hour, HOUR / 3)
            lab.tests.go("d")
        async with working(lab, hour):
            await pass_by(hour, HOUR / 3)
            assert hour.passed >= HOUR
            assert await lab.runs() == before
            _check_waits(hour, lab.net.attempts)
            lab.net.turn(Way.OPEN)
            await until(lambda: _over_in(hour, lab), "all is told")
            await check_told_once(lab, tmp_path, "abcd")
        assert [lab.tests.ran(name) for name in "abc"] == [1, 1, 2]
        assert 1 <= lab.tests.ran("d") <= 3, "it is run again where it was broken off before it was written down"


def _check_waits(hour: Hour, attempts: int) -> None:
    """Of two who ask for an hour, begun anew twice: six waits that grow, then one of a minute after the other."""
    long = [wait for wait in hour.slept if wait >= 45]
    assert max(hour.slept) <= 75
    assert len(hour.slept) - len(long) <= 3 * 2 * 7
    assert 90 <= len(long) <= attempts <= 180


async def _over_in(hour: Hour, lab: Lab) -> bool:
    if hour.asleep:
        hour.skip()
    return await is_over(lab)


async def _has(lab: Lab, test: str) -> bool:
    return any([test in (row[0] for row in await lab.cases(run["id"])) for run in await lab.runs()])


async def test_answers_that_are_lost_make_nothing_come_twice(
    database: Database, floor_for: FloorFor, fleet: Fleet, tmp_path: Path
) -> None:
    async with a_lab(database, floor_for, fleet, tmp_path) as lab:
        for name in "abc":
            lab.tests.add(name, waits=name == "b")
        await lab.start()
        await lab.cut()
        await until(lambda: lab.tests.ran("b"), "the second test runs")
        lab.net.turn(Way.DEAF)
        lab.tests.go("b")
        await until(lambda: lab.tests.ran("c"), "the tests go on")
        seen = lab.net.attempts
        await until(lambda: lab.net.attempts > seen + 3, "some answers are lost")
        await lab.stop()
        await lab.start()
        seen = lab.net.attempts
        await until(lambda: lab.net.attempts > seen + 3, "more answers are lost")
        lab.net.turn(Way.OPEN)
        await until(lambda: is_over(lab), "all is told")
        await check_told_once(lab, tmp_path, "abc")


async def test_a_run_that_the_server_closed_for_its_silence_is_told_whole_as_another_attempt(
    database: Database, floor_for: FloorFor, fleet: Fleet, tmp_path: Path
) -> None:
    async with a_lab(database, floor_for, fleet, tmp_path) as lab:
        for name in "abc":
            lab.tests.add(name, waits=name == "b")
        await lab.start()
        await lab.cut()
        await until(lambda: _has(lab, "a-sh"), "the first test is told")
        lab.net.turn(Way.CUT)
        await lab.owner.execute("update ingest.lab_runs set deadline = now() - interval '1 second'")
        reaper = Reaper(LabDesk(await floor_for("ingest", settings_of(tmp_path / "server"))))
        assert await reaper.once() == 1
        lab.tests.go("b")
        await until(lambda: lab.tests.ran("c"), "the tests go on")
        lab.net.turn(Way.OPEN)
        await until(lambda: _attempts(lab, 2), "it is told once more")
        await until(lambda: is_over(lab), "all is told")
        first, second = await lab.runs()
        assert (first["state"], first["cause"], second["state"]) == ("abandoned", "infra", "done")
        assert await lab.cases(second["id"]) == whole(*"abc")
        assert [lab.tests.ran(name) for name in "abc"] == [1, 1, 1]
        assert await lab.events("run.done") == 2


async def _attempts(lab: Lab, number: int) -> bool:
    return len(await lab.runs()) == number


async def test_told_to_stop_it_goes_and_goes_on_afterwards(
    database: Database, floor_for: FloorFor, fleet: Fleet, tmp_path: Path
) -> None:
    async with a_lab(database, floor_for, fleet, tmp_path) as lab:
        lab.tests.add("a")
        lab.tests.add("b", waits=True)
        await lab.start()
        await lab.cut()
        await until(lambda: lab.tests.ran("b"), "the second test runs")
        assert lab.process is not None
        process = lab.process
        await lab.stop(signal.SIGTERM)
        assert process.returncode == 0
        lab.tests.go("b")
        await lab.start()
        await until(lambda: is_over(lab), "all is told")
        await check_told_once(lab, tmp_path, "ab")
        assert [lab.tests.ran(name) for name in "ab"] == [1, 2]


async def test_only_one_process_works_in_a_folder(
    database: Database, floor_for: FloorFor, fleet: Fleet, tmp_path: Path
) -> None:
    async with a_lab(database, floor_for, fleet, tmp_path) as lab:
        lab.tests.add("a")
        await lab.start()
        await until((lab.data / "cursor").exists, "it follows")
        second = await netci("remote", "run", str(lab.config), env=lab.env)
        assert (second.code, "another netci remote works in" in second.err) == (2, True)


async def test_a_refused_token_stops_posts_and_not_tests_until_there_is_a_good_one(
    database: Database, floor_for: FloorFor, fleet: Fleet, tmp_path: Path
) -> None:
    async with a_lab(database, floor_for, fleet, tmp_path) as lab:
        token = tmp_path / "token"
        token.touch(0o600)
        token.write_text("netci_nobody")
        lab.config.write_text(lab.config.read_text().replace('token_env = "LAB_TOKEN"', f'token_file = "{token}"'))
        lab.tests.add("a")
        await lab.start()
        await lab.cut()
        await until(lambda: lab.tests.ran("a"), "the test runs")
        await until(lambda: _denied(lab), "it says that the token is refused")
        said = await lab.status()
        assert "netci token create" in said["denied"]
        assert await lab.runs() == []
        token.write_text(lab.env["LAB_TOKEN"])
        await until(lambda: is_over(lab), "all is told, without a restart")
        await check_told_once(lab, tmp_path, "a")


async def _denied(lab: Lab) -> bool:
    return bool((await lab.status())["denied"])


@pytest.mark.parametrize("follow", ["poll", "branches.json"])
async def test_other_ways_to_hear_of_branches(
    database: Database, floor_for: FloorFor, fleet: Fleet, tmp_path: Path, follow: str
) -> None:
    more = f'follow = "{follow}"\npoll = "200ms"\n'
    async with a_lab(database, floor_for, fleet, tmp_path, more=more) as lab:
        lab.tests.add("a")
        name = await lab.cut()
        if follow == "branches.json":
            url = await _repository(tmp_path, name)
            await lab.owner.execute("update branch.cuts set public_url = $1", url)
        await lab.start()
        await until(lambda: is_over(lab), "all is told")
        await check_told_once(lab, tmp_path, "a")
        assert lab.tests.ran("a") == 1


async def _repository(folder: Path, branch: str) -> str:
    """A repository with one commit, under the branch's name."""
    script = f"""
        git init -q --initial-branch={branch} "$1" && cd "$1" &&
        git -c user.name=a -c user.email=a@example.org commit -q --allow-empty -m one
    """
    process = await asyncio.create_subprocess_exec("sh", "-c", script, "sh", str(folder / "repo"))
    assert await process.wait() == 0
    return f"file://{folder / 'repo'}"


async def test_what_the_server_refuses_is_kept_and_the_rest_goes_on(
    database: Database, floor_for: FloorFor, fleet: Fleet, tmp_path: Path
) -> None:
    async with a_lab(database, floor_for, fleet, tmp_path, more='backlog = "all"\noldest = "30d"\n') as lab:
        lab.tests.add("a")
        old = await lab.cut(8)
        await lab.owner.execute("update branch.cuts set announced = now() - interval '8 days' where name = $1", old)
        await lab.cut(9)
        await lab.start()
        await until(lambda: is_over(lab), "the other is told")
        await until(lambda: _rejected(lab, 1), "the refused one is told of")
        kept = (await lab.status())["rejected"]
        assert {one["branch"] for one in kept} == {old}
        assert any("announced" in one["why"] for one in kept)
        [run] = await lab.runs()
        assert run["branch"].endswith("--09-00")


async def _rejected(lab: Lab, least: int) -> bool:
    return len((await lab.status())["rejected"]) >= least
