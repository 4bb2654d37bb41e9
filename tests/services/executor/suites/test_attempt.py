"""Suites on real shells: the practice tree is handed over, built, listed and run on practice hosts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path, PurePosixPath

import pytest

from services.executor.drivers.base import Capture, Command, Exit, Host, Job, Output, Target
from services.executor.drivers.ssh import SshDriver
from services.executor.drivers.ssh_config import SshConfig
from services.executor.suites import suite_for
from services.executor.suites.attempt import Attempt, attempt, list_tests, prepare
from services.executor.suites.base import Place, Suite
from services.executor.suites.kselftest import KselftestConfig
from services.executor.suites.script import ScriptConfig
from shared.errors import InfraError, Refused
from shared.formats.oops import Rule
from shared.formats.selftests import dashed
from shared.model.results import Cause, Result
from shared.practice.hosts import PracticeHost, served_hosts
from shared.practice.tree import git
from shared.practice.world_series import PracticeSeries, Role, World, write
from tests.services.executor.builders import until

CONSOLES = Path(__file__).parents[3] / "golden" / "console"
SEEDS = (0, 1, 2, 3)
GROUP = "selftests-net"
LIMIT = timedelta(seconds=30)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> list[World]:
    return [write(tmp_path_factory.mktemp(f"world{seed}"), seed) for seed in SEEDS]


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    async with a_target() as made:
        yield made


@asynccontextmanager
async def a_target() -> AsyncIterator[Target]:
    async with served_hosts(1) as fleet:
        config = SshConfig(hosts=fleet.addresses, key_file=fleet.key_file, known_hosts=fleet.known_hosts)
        async with SshDriver(config).lease(Job("run-1", 1)) as made:
            yield made


def net(**changes: object) -> Suite:
    return suite_for(KselftestConfig.model_validate({"targets": ["net"], **changes}))


def with_series(world: World, folder: Path, *series: PracticeSeries) -> Path:
    """A work tree of net-next with series applied by git am."""
    git(folder, "clone", "--quiet", str(world.tree.path), "work")
    for one in series:
        for mail in one.mails[one.cover :]:
            git(folder / "work", "-c", "user.name=T", "-c", "user.email=t@t.example", "am", "-q", stdin=mail)
    return folder / "work"


async def archive(repository: Path, *paths: str) -> AsyncIterator[bytes]:
    tar = await asyncio.to_thread(git, repository, "archive", "--format=tar", "HEAD", "--", *paths)
    for start in range(0, len(tar), 10_000):
        yield tar[start : start + 10_000]


async def run_all(target: Target, suite: Suite, repository: Path, number: int = 0) -> dict[str, Attempt]:
    place = Place(target.work, git(repository, "rev-parse", "HEAD").decode().strip())
    assert await prepare(target.dut, suite, place, archive(repository)) == ()
    tests = (await list_tests(target.dut, suite, place)).invocations
    return {test.program: await attempt(target, suite, test, place, number) for test in tests}


def bad(attempts: dict[str, Attempt]) -> set[str]:
    """The programs whose own case is bad, without the target's name."""
    return {name.partition(":")[2] for name, one in attempts.items() if one.cases[0].result.bad}


@pytest.mark.parametrize("seed", SEEDS)
async def test_each_role_keeps_its_word(worlds: list[World], target: Target, tmp_path: Path, seed: int) -> None:
    world = worlds[seed]
    sound = [world.by_role(role) for role in (Role.GOOD, Role.FLAKY, Role.NEW)]
    breaking = world.by_role(Role.BREAKING)
    work = with_series(world, tmp_path, *sound)
    assert bad(await run_all(target, net(), work)) == set(world.by_role(Role.FLAKY).flaky)
    assert bad(await run_all(target, net(), work, number=1)) == set()
    (tmp_path / "red").mkdir()
    red = with_series(world, tmp_path / "red", *sound, breaking)
    assert bad(await run_all(target, net(), red, number=1)) == set(breaking.breaks)


async def test_the_base_passes_and_skips_what_it_cannot_do(worlds: list[World], target: Target) -> None:
    world = worlds[0]
    attempts = await run_all(target, net(), world.tree.path)
    assert [name.partition(":")[2] for name in attempts] == ["wants_hardware.sh", *world.tree.tests[:-1]]
    results = {name.partition(":")[2]: one.cases[0].result for name, one in attempts.items()}
    assert results.pop("wants_hardware.sh") is Result.SKIP
    assert set(results.values()) == {Result.PASS}


async def test_subtests_logs_and_names_are_kept(worlds: list[World], target: Target) -> None:
    attempts = await run_all(target, net(), worlds[0].tree.path)
    shell = attempts[f"net:{worlds[0].tree.tests[0]}"]
    python = attempts[f"net:{worlds[0].tree.tests[3]}"]
    assert (shell.group, shell.test) == (GROUP, dashed(worlds[0].tree.tests[0]))
    assert len(shell.cases) > 4
    assert any("." in case.subtest for case in python.cases)
    log = f"{GROUP}/{shell.test}/0/stdout"
    assert shell.cases[0].log == log
    assert shell.files[log].startswith(b"KTAP version 1\n")
    assert all(case.attempt == 0 for case in shell.cases)


async def test_scripts_run_where_they_lie_when_nothing_is_to_be_built(worlds: list[World], target: Target) -> None:
    suite = net(build=False, tests=["wants_*"])
    attempts = await run_all(target, suite, worlds[0].tree.path)
    assert [one.cases[0].result for one in attempts.values()] == [Result.SKIP]


async def test_an_installed_bundle_is_used_as_it_is(worlds: list[World], target: Target) -> None:
    await run_all(target, net(tests=["none"]), worlds[0].tree.path)
    suite = net(bundle=str(target.work / "install"))
    place = Place(target.work, "0" * 40)
    # Nothing is wiped: the bundle lies in the run's folder only for this test.
    tests = (await list_tests(target.dut, suite, place)).invocations
    results = [(await attempt(target, suite, test, place)).cases[0].result for test in tests]
    assert results.count(Result.PASS) == 4
    assert suite.paths() is None


async def test_a_build_of_ones_own(worlds: list[World], target: Target) -> None:
    text = 'make -C tools/testing/selftests install TARGETS="$TARGETS" INSTALL_PATH="$INSTALL_PATH"'
    attempts = await run_all(target, net(build=text), worlds[0].tree.path)
    assert bad(attempts) == set()
    assert len(attempts) == 5


async def test_a_build_that_fails_is_a_failed_case_of_the_patch(worlds: list[World], target: Target) -> None:
    suite = net(make_vars={"CC": "x"}, build="echo 'foo.c:1: error' >&2; exit 2")
    place = Place(target.work, worlds[0].tree.heads["main"])
    (failed,) = await prepare(target.dut, suite, place, archive(worlds[0].tree.path))
    (case,) = failed.cases
    assert (case.group, case.test, case.result, case.cause) == (GROUP, "build", Result.FAIL, Cause.PATCH)
    assert failed.files[case.log] == b"foo.c:1: error\n"


async def test_a_host_without_the_tools_is_to_blame_not_the_patch(
    worlds: list[World], target: Target, tmp_path: Path
) -> None:
    place = Place(target.work, "a" * 40)
    (tmp_path / "tools/testing/selftests").mkdir(parents=True)
    (tmp_path / "tools/testing/selftests/lib.mk").write_text("install:\n\trsync -a here there\n")
    (tmp_path / "bin").mkdir()
    for tool in ("sh", "grep", "make"):
        (tmp_path / "bin" / tool).symlink_to(f"/usr/bin/{tool}")
    step = net().prepare(place)[0]
    assert step.check
    check = replace(
        step.check, cwd=PurePosixPath(tmp_path / "tools/testing/selftests"), env={"PATH": str(tmp_path / "bin")}
    )
    said = Capture()
    done = await target.dut.run(check, timeout=LIMIT, out=said)
    assert (done.code, said.stderr) == (1, b"rsync is not installed\n")


async def test_a_prepared_host_is_not_prepared_again(worlds: list[World], target: Target) -> None:
    place = Place(target.work, worlds[0].tree.heads["main"])
    handed = []

    async def counted() -> AsyncIterator[bytes]:
        handed.append(place.commit)
        async for piece in archive(worlds[0].tree.path):
            yield piece

    assert await prepare(target.dut, net(), place, counted()) == ()
    assert await prepare(target.dut, net(), place, counted()) == ()
    assert handed == [place.commit]


async def test_another_commit_or_configuration_is_prepared_anew(worlds: list[World], target: Target) -> None:
    place = Place(target.work, worlds[0].tree.heads["main"])
    await prepare(target.dut, net(), place, archive(worlds[0].tree.path))
    with pytest.raises(Refused):
        await prepare(target.dut, net(make_vars={"V": "1"}), place, None)
    with pytest.raises(Refused):
        await prepare(target.dut, net(), Place(target.work, worlds[0].tree.heads["net"]), None)


async def test_a_source_of_the_tree_that_fails_is_heard_as_itself(target: Target) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"\0" * 512
        raise InfraError("the store is gone")

    with pytest.raises(InfraError, match="the store is gone"):
        await prepare(target.dut, net(), Place(target.work, "a" * 40), broken())


async def test_a_test_that_does_not_end_is_ended(target: Target) -> None:
    suite = suite_for(ScriptConfig(command="echo ok 1 first; sleep 1000", test="slow", time_limit="500ms"))
    place = Place(target.work, "a" * 40)
    assert await prepare(target.dut, suite, place, None) == ()
    (test,) = (await list_tests(target.dut, suite, place)).invocations
    done = await attempt(target, suite, test, place)
    assert (done.cases[0].result, done.cases[0].cause) == (Result.FAIL, Cause.TIMEOUT)
    assert done.files["scripts/slow/0/stdout"] == b"ok 1 first\n"


async def test_a_script_gets_what_its_contract_says(target: Target) -> None:
    text = 'echo "$BRANCH $BASE $NETCI_ATTEMPT"; echo kept >"$RESULTS_DIR/file"; exit 5'
    suite = suite_for(ScriptConfig(command=text, test="my script"))
    place = Place(target.work, "a" * 40, "net-next-2026-11-23--09-00", "b" * 40)
    assert await prepare(target.dut, suite, place, None) == ()
    (test,) = (await list_tests(target.dut, suite, place)).invocations
    done = await attempt(target, suite, test, place, number=1)
    assert done.files["scripts/my-script/1/stdout"].decode() == f"{place.branch} {place.base} 1\n"
    assert done.cases[0].result is Result.WARN
    await target.dut.get(place.results / "my-script" / "file", Path("/dev/null"), limit=10)


async def test_what_was_said_before_the_machine_broke_comes_with_the_error() -> None:
    suite = suite_for(ScriptConfig(command="echo last words; sleep 60", test="crash"))

    async def lose_it(host: PracticeHost, target: Target) -> Attempt:
        place = Place(target.work, "a" * 40)
        await prepare(target.dut, suite, place, None)
        (test,) = (await list_tests(target.dut, suite, place)).invocations
        # After the look at the kernel log before the test comes the test itself.
        begun = host.commands
        running = asyncio.ensure_future(attempt(target, suite, test, place))
        await until(lambda: host.commands == begun + 2)
        await asyncio.sleep(0.5)
        host.cut()
        return await running

    async with served_hosts(1) as fleet:
        config = SshConfig(hosts=fleet.addresses, key_file=fleet.key_file, known_hosts=fleet.known_hosts)
        async with SshDriver(config).lease(Job("run-1", 1)) as target:
            with pytest.raises(InfraError) as caught:
                await lose_it(fleet.hosts[0], target)
    assert caught.value.hints["files"] == {"scripts/crash/0/stdout": b"last words\n"}


class LoggedHost:
    """A real host, but for its kernel's log: that has a crash more each time it is read."""

    def __init__(self, host: Host, *logs: str) -> None:
        self._host, self._logs, self.name = host, list(logs), host.name
        self.put, self.unpack, self.get = host.put, host.unpack, host.get

    async def run(self, command: Command, *, timeout: timedelta, out: Output | None = None) -> Exit:
        if command.argv != ("dmesg",):
            return await self._host.run(command, timeout=timeout, out=out)
        assert out is not None
        out.write(self._logs.pop(0).encode(), stderr=False)
        return Exit(0)


QUIET = "[    1.000000] eth0: link up\n"
OLD = (CONSOLES / "list-add-warning-4.19.log").read_text()
KASAN = (CONSOLES / "kasan-uaf-6.1.log").read_text()
KASAN_TITLE = "KASAN: slab-use-after-free Read in nf_tables_chain_destroy"


async def with_log(target: Target, command: str, after: str, *ignore: Rule) -> Attempt:
    suite = suite_for(ScriptConfig(command=command, test="smoke"))
    place = Place(target.work, "a" * 40)
    await prepare(target.dut, suite, place, None)
    (test,) = (await list_tests(target.dut, suite, place)).invocations
    return await attempt(
        replace(target, dut=LoggedHost(target.dut, QUIET + OLD, QUIET + OLD + after)), suite, test, place, 0, ignore
    )


async def test_a_crash_of_the_kernel_fails_the_test_that_passed(target: Target) -> None:
    done = await with_log(target, "echo ok 1 first", KASAN)
    test = done.cases[0]
    assert (test.result, test.cause, test.detail) == (Result.FAIL, Cause.CRASH, KASAN_TITLE)
    assert [crash.partition(" (kasan:")[0] for crash in test.crashes] == [KASAN_TITLE]
    assert list(done.files) == [f"scripts/smoke/0/{name}" for name in ("stdout", "dmesg", "crashes")]
    assert done.files["scripts/smoke/0/dmesg"].decode() == KASAN
    assert done.files["scripts/smoke/0/crashes"].decode().startswith(f"{KASAN_TITLE}\n  fingerprint: kasan:nf_tables_")


async def test_what_crashed_before_the_test_is_not_the_test_s(target: Target) -> None:
    done = await with_log(target, "echo ok 1 first", "")
    assert (done.cases[0].result, done.cases[0].crashes, list(done.files)) == (
        Result.PASS, (), ["scripts/smoke/0/stdout"],
    )  # fmt: skip


async def test_an_ignored_crash_fails_nothing_and_is_kept(target: Target) -> None:
    done = await with_log(target, "exit 1", KASAN, Rule("KASAN: *", "bug 4711"))
    test = done.cases[0]
    assert (test.result, test.cause, test.crashes) == (Result.FAIL, None, ())
    assert test.detail == f"ignored: {KASAN_TITLE} (bug 4711); exit=1"
    assert b"ignored: bug 4711" in done.files["scripts/smoke/0/crashes"]
