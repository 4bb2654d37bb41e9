"""Runs on practice hosts that break, stall and vanish, into a sink that keeps everything."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import BaseModel

from services.executor.drivers.base import Job, Target
from services.executor.drivers.ssh import SshDriver
from services.executor.kernels.base import DoesNotBuild
from services.executor.schedule import Past
from shared.clock import wall
from shared.errors import InfraError, Superseded
from shared.model.results import Cause, Result
from shared.practice.hosts import Fleet, PracticeHost, served_hosts
from tests.services.executor.builders import (
    GROUP,
    Claims,
    Clockwork,
    Kept,
    Shells,
    a_job,
    a_run,
    barrier,
    driver_of,
    stopped,
    until,
)

pytestmark = pytest.mark.timeout(90)
FLAKY = 'test "$NETCI_ATTEMPT" -gt 0'


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    async with served_hosts(2) as made:
        yield made


@pytest.fixture
async def single() -> AsyncIterator[Fleet]:
    async with served_hosts(1) as made:
        yield made


def at(fleet: Fleet, address: str) -> PracticeHost:
    return next(host for host in fleet.hosts if host.address == address)


async def test_hosts_work_at_once_and_each_test_runs_once(fleet: Fleet, tmp_path: Path) -> None:
    tests = {"a": barrier(tmp_path, "a", "b"), "b": barrier(tmp_path, "b", "a"), "c": "true", "d": "exit 4"}
    sink = Kept()
    outcome = await a_run(fleet, Shells(tests), sink)
    assert sink.results == {("a", 0): Result.PASS, ("b", 0): Result.PASS, ("c", 0): Result.PASS, ("d", 0): Result.SKIP}
    assert {host for test, _, host in sink.where if test in "ab"} == set(fleet.addresses)
    assert (sink.tests, outcome.tests, outcome.late) == (4, 4, 0)
    assert sink.hosts == dict.fromkeys(fleet.addresses, "idle")
    assert set(outcome.facts) == set(fleet.addresses)


async def test_the_expected_end_draws_nearer_as_tests_end(single: Fleet) -> None:
    clock = Clockwork()
    past = Past(seconds={(GROUP, "a"): 30.0, (GROUP, "b"): 20.0, (GROUP, "c"): 10.0})
    sink = Kept()
    job = a_job(clock.now + timedelta(hours=1), past=past)
    await a_run(single, Shells({"c": "true", "a": "true", "b": "true"}), sink, job, clock=clock)
    assert [test for test, _, _ in sink.began_] == ["a", "b", "c"]
    assert [(end - clock.now).total_seconds() for end in sink.ends] == [60, 30, 10, 0]


async def test_a_failure_is_tried_again_on_the_other_host(fleet: Fleet, tmp_path: Path) -> None:
    # The long one keeps the other host in the run until the failure is known.
    tests = {"flaky": barrier(tmp_path, "one", "two") + FLAKY, "long": barrier(tmp_path, "two", "one") + "sleep 0.3"}
    sink = Kept()
    await a_run(fleet, Shells(tests), sink)
    assert sink.results[("flaky", 0)] is Result.FAIL
    assert sink.results[("flaky", 1)] is Result.PASS
    first, second = (host for test, _, host in sink.where if test == "flaky")
    assert first != second


async def test_a_retry_does_not_wait_for_a_host_that_another_executor_has(fleet: Fleet) -> None:
    claims, taken, sink = Claims(), fleet.addresses[1], Kept()

    @asynccontextmanager
    async def claim(address: str) -> AsyncIterator[int]:
        if address == taken:
            await asyncio.Event().wait()
        async with claims(address) as number:
            yield number

    await a_run(fleet, Shells({"flaky": FLAKY, "other": "true"}), sink, claim=claim)
    assert sink.results[("flaky", 1)] is Result.PASS
    assert {host for _, _, host in sink.where} == {fleet.addresses[0]}
    assert taken not in sink.hosts


async def test_a_host_that_dies_gives_its_test_back(fleet: Fleet, tmp_path: Path) -> None:
    died: list[str] = []

    async def power_off(test: str, address: str) -> None:
        if test == "a" and not died:
            died.append(address)
            await at(fleet, address).die()

    sink = Kept(on_began=power_off)
    outcome = await a_run(fleet, Shells({"a": "true", "b": "true", "c": "true"}), sink)
    assert sink.results == {(name, 0): Result.PASS for name in "abc"}
    assert next(host for test, _, host in sink.where if test == "a") != died[0]
    assert sink.hosts[died[0]] == "broken"
    assert outcome.late == 0


async def test_a_host_that_comes_back_is_used_again(single: Fleet) -> None:
    cuts = iter([True])

    async def cut(test: str, address: str) -> None:
        if next(cuts, False):
            single.hosts[0].cut()

    sink = Kept(on_began=cut)
    await a_run(single, Shells({"a": "true", "b": "true"}), sink)
    assert sink.results == {("a", 0): Result.PASS, ("b", 0): Result.PASS}
    assert sink.hosts == {single.addresses[0]: "idle"}


async def test_all_hosts_gone_is_infra_and_no_test_is_blamed(fleet: Fleet) -> None:
    async def power_off(test: str, address: str) -> None:
        for host in fleet.hosts:
            await host.die()

    sink = Kept(on_began=power_off)
    with pytest.raises(InfraError, match="no host is left") as caught:
        await a_run(fleet, Shells({"a": "true", "b": "true"}), sink)
    assert all(address in str(caught.value) for address in fleet.addresses)
    assert sink.cases == []
    assert set(sink.hosts.values()) == {"broken"}


async def test_hosts_that_never_answer_are_infra(fleet: Fleet) -> None:
    for host in fleet.hosts:
        await host.die()
    with pytest.raises(InfraError, match="no host could be used"):
        await a_run(fleet, Shells({"a": "true"}), Kept())


async def test_a_test_that_loses_every_machine_is_given_up_with_its_words(fleet: Fleet, tmp_path: Path) -> None:
    dying = tmp_path / "dying"

    async def cut_when_it_dies() -> None:
        while True:
            await until(dying.exists)
            dying.unlink()
            for host in fleet.hosts:
                host.cut()

    sink = Kept()
    line = f'echo about to panic; sleep 0.2; touch "{dying}"; sleep 30'
    cutting = asyncio.ensure_future(cut_when_it_dies())
    await a_run(fleet, Shells({"killer": line, "a": "true", "b": "true"}), sink)
    await stopped(cutting)
    assert sink.results == {("killer", 0): Result.NOT_RUN, ("a", 0): Result.PASS, ("b", 0): Result.PASS}
    row = next(case for case in sink.cases if case.test == "killer")
    assert row.cause is Cause.INFRA
    assert "lost 3 machines" in row.detail
    assert sink.files[row.log] == b"about to panic\n"
    assert sum(test == "killer" for test, _, _ in sink.began_) == 3


async def test_a_broken_build_is_one_clear_case(fleet: Fleet) -> None:
    sink = Kept()
    outcome = await a_run(fleet, Shells({"a": "true"}, build="echo 'tcp.c:1: error' ; exit 2"), sink)
    assert not outcome.built
    (row,) = sink.cases
    assert (row.group, row.test, row.result, row.cause) == (GROUP, "build", Result.FAIL, Cause.PATCH)
    assert b"tcp.c:1: error" in sink.files[row.log]
    assert sink.began_ == []


async def test_a_build_that_breaks_on_one_host_only_blames_the_host(fleet: Fleet) -> None:
    (fleet.hosts[0].root / "full").touch()
    sink = Kept()
    outcome = await a_run(fleet, Shells({"a": "true", "b": "true"}, build='! [ -e "$HOME/full" ]'), sink)
    assert outcome.built
    assert sink.results == {("a", 0): Result.PASS, ("b", 0): Result.PASS}
    assert sink.hosts == {fleet.addresses[0]: "broken", fleet.addresses[1]: "idle"}


async def test_what_cannot_end_by_the_deadline_is_not_started(single: Fleet) -> None:
    clock = Clockwork()

    async def hours_pass(test: str, address: str) -> None:
        clock.now += timedelta(minutes=50)

    sink = Kept(on_ended=hours_pass)
    past = Past(seconds={(GROUP, "long"): 2400.0, (GROUP, "mid"): 1800.0, (GROUP, "short"): 5.0})
    job = a_job(clock.now + timedelta(hours=1), past=past)
    outcome = await a_run(single, Shells({"short": "true", "mid": "true", "long": "true"}), sink, job, clock=clock)
    assert sink.results == {
        ("long", 0): Result.PASS, ("mid", 0): Result.NOT_RUN, ("short", 0): Result.PASS,
    }  # fmt: skip
    row = next(case for case in sink.cases if case.test == "mid")
    assert (row.cause, "deadline" in row.detail) == (Cause.TIMEOUT, True)
    assert outcome.late == 1


async def test_the_deadline_passing_leaves_nothing_unaccounted(fleet: Fleet) -> None:
    clock = Clockwork()

    async def hours_pass(test: str, address: str) -> None:
        clock.now += timedelta(hours=2)

    sink = Kept(on_ended=hours_pass)
    tests = {f"t{n}": "true" for n in range(6)}
    outcome = await a_run(fleet, Shells(tests), sink, a_job(clock.now + timedelta(hours=1)), clock=clock)
    assert sorted(sink.results) == [(name, 0) for name in tests]
    ran = sum(result is Result.PASS for result in sink.results.values())
    assert 1 <= ran <= 2
    assert outcome.late == 6 - ran


async def test_a_test_cut_off_by_the_deadline_is_not_a_failure(single: Fleet) -> None:
    sink = Kept()
    job = a_job(wall() + timedelta(seconds=2.5))
    await a_run(single, Shells({"slow": "echo words; sleep 30"}), sink, job)
    (row,) = sink.cases
    assert (row.result, row.cause) == (Result.NOT_RUN, Cause.TIMEOUT)
    assert sink.files[row.log] == b"words\n"


async def test_a_retry_cut_off_leaves_the_failure_standing(single: Fleet) -> None:
    sink = Kept()
    line = f"{FLAKY} || exit 1; sleep 30"
    await a_run(single, Shells({"slow": line}), sink, a_job(wall() + timedelta(seconds=2.5)))
    assert sink.results == {("slow", 0): Result.FAIL}


async def test_its_own_time_limit_is_a_failure(single: Fleet) -> None:
    sink = Kept()
    await a_run(single, Shells({"slow": "sleep 30"}, limit=timedelta(seconds=1)), sink, a_job(retries=0))
    (row,) = sink.cases
    assert (row.result, row.cause) == (Result.FAIL, Cause.TIMEOUT)


async def test_a_lane_that_waits_for_its_host_does_not_outlast_the_deadline(single: Fleet) -> None:
    clock = Clockwork()

    @asynccontextmanager
    async def claim(address: str) -> AsyncIterator[int]:
        clock.now += timedelta(hours=2)
        await asyncio.Event().wait()
        yield 1

    with pytest.raises(InfraError, match="none could be won"):
        await a_run(
            single, Shells({"a": "true"}), Kept(), a_job(clock.now + timedelta(hours=1)), clock=clock, claim=claim
        )


async def test_a_closed_gate_keeps_the_next_test(single: Fleet) -> None:
    opened, asked, sink = asyncio.Event(), asyncio.Event(), Kept()

    async def gate() -> bool:
        if sink.where and not opened.is_set():
            asked.set()
            await opened.wait()
            return False
        return True

    running = asyncio.ensure_future(a_run(single, Shells({"a": "true", "b": "true"}), sink, gate=gate))
    await asked.wait()
    assert len(sink.began_) == 1
    opened.set()
    await running
    assert len(sink.results) == 2


async def test_a_pause_does_not_outlast_the_deadline(single: Fleet) -> None:
    clock = Clockwork()

    async def gate() -> bool:
        clock.now += timedelta(hours=2)
        return False

    sink = Kept()
    outcome = await a_run(
        single, Shells({"a": "true"}), sink, a_job(clock.now + timedelta(hours=1)), clock=clock, gate=gate
    )
    assert sink.results == {("a", 0): Result.NOT_RUN}
    assert outcome.late == 1


async def test_superseded_stops_quietly_and_ends_what_runs(fleet: Fleet, tmp_path: Path) -> None:
    async def lose(test: str, address: str) -> None:
        sink.taken = True

    sink = Kept(on_ended=lose)
    tests = {"quick": barrier(tmp_path, "q", "s"), "slow": barrier(tmp_path, "s", "q") + "sleep 60", "then": "true"}
    with pytest.raises(Superseded):
        await a_run(fleet, Shells(tests), sink)
    assert sink.results == {("quick", 0): Result.PASS}
    await until(lambda: not any(host.processes() for host in fleet.hosts))


async def test_cancelling_ends_the_remote_processes(single: Fleet, tmp_path: Path) -> None:
    sink = Kept()
    line = barrier(tmp_path, "here") + "sleep 60 & sleep 60"
    running = asyncio.ensure_future(a_run(single, Shells({"a": line}), sink))
    await until((tmp_path / "here").exists)
    await stopped(running)
    assert running.cancelled()
    assert sink.cases == []
    await until(lambda: not single.hosts[0].processes())


async def test_what_the_sink_raises_comes_out_as_itself(fleet: Fleet) -> None:
    async def away(test: str, address: str) -> None:
        raise ConnectionRefusedError("the database is away")

    with pytest.raises(ConnectionRefusedError):
        await a_run(fleet, Shells({"a": "true", "b": "true"}), Kept(on_began=away))


async def test_a_lost_host_lease_gives_the_test_to_another_lane(fleet: Fleet) -> None:
    """As `held` does it: the body is cancelled, and InfraError comes out of the lease."""
    claims, lost, stolen = Claims(), asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def claim(address: str) -> AsyncIterator[int]:
        body = asyncio.current_task()
        assert body is not None
        first = address == fleet.addresses[0] and not stolen.is_set()

        async def steal() -> None:
            await lost.wait()
            stolen.set()
            body.cancel()

        thief = asyncio.ensure_future(steal() if first else asyncio.Event().wait())
        try:
            async with claims(address) as number:
                yield number
        except asyncio.CancelledError:
            if first and stolen.is_set():
                raise InfraError("the lease of the host was lost") from None
            raise
        finally:
            thief.cancel()

    async def begin(test: str, address: str) -> None:
        if address == fleet.addresses[0]:
            lost.set()

    sink = Kept(on_began=begin)
    tests = {f"t{n}": "sleep 0.2" for n in range(4)}
    await a_run(fleet, Shells(tests), sink, claim=claim)
    assert stolen.is_set()
    assert sink.results == {(name, 0): Result.PASS for name in tests}


async def test_taking_over_leaves_what_ended_and_goes_on_with_the_rest(single: Fleet) -> None:
    past = Past(
        ended={(GROUP, "done"): (0, False, "x"), (GROUP, "failed"): (0, True, single.addresses[0])},
        interrupted={(GROUP, "cut", 0): 1, (GROUP, "hopeless", 0): 3, (GROUP, "failed", 0): 2},
    )
    sink = Kept()
    tests = dict.fromkeys(("done", "failed", "cut", "hopeless", "new"), "true")
    await a_run(single, Shells(tests), sink, a_job(past=past))
    assert sink.results == {
        ("failed", 1): Result.PASS, ("cut", 0): Result.PASS, ("new", 0): Result.PASS,
        ("hopeless", 0): Result.NOT_RUN,
    }  # fmt: skip
    assert sink.tests == 5


async def test_a_host_that_only_breaks_does_not_keep_the_run(fleet: Fleet) -> None:
    await fleet.hosts[0].wrong_key()
    sink = Kept()
    await a_run(fleet, Shells({"a": "true", "b": "true"}), sink)
    assert {host for _, _, host in sink.where} == {fleet.addresses[1]}


class OfKernels:
    """The driver of a fleet whose machines boot kernels that were built, or were not."""

    name: ClassVar[str] = SshDriver.name
    Config: ClassVar[type[BaseModel]] = SshDriver.Config

    def __init__(self, fleet: Fleet, kept: Mapping[str, Path], broken: bool = False) -> None:
        self._driver, self._kept, self._broken = driver_of(fleet), kept, broken
        self.hosts = self._driver.hosts
        self.jobs: list[Job] = []

    @asynccontextmanager
    async def lease(self, job: Job) -> AsyncIterator[Target]:
        self.jobs.append(job)
        if self._broken:
            raise DoesNotBuild("dev.c:3: error: no", "CC dev.o\ndev.c:3: error: no\n")
        async with self._driver.lease(job) as target:
            yield replace(target, kept=self._kept, built=12.5)

    async def reach(self, host: str) -> str:
        return await self._driver.reach(host)


class Configuring(Shells):
    def config(self) -> tuple[str, ...]:
        return ("net/config",)


async def test_a_kernel_that_does_not_build_is_one_clear_result(fleet: Fleet) -> None:
    driver, sink = OfKernels(fleet, {}, broken=True), Kept()
    outcome = await a_run(fleet, Configuring({"a": "true"}), sink, driver=driver)
    (case,) = sink.cases
    assert (case.test, case.result, case.cause, case.detail) == (
        "kernel",
        Result.FAIL,
        Cause.PATCH,
        "dev.c:3: error: no",
    )
    assert sink.files == {case.log: b"CC dev.o\ndev.c:3: error: no\n"}
    assert (outcome.built, outcome.tests) == (False, None)
    assert {(job.commit, job.config) for job in driver.jobs} == {("c" * 40, ("net/config",))}
    assert "broken" not in sink.hosts.values()


async def test_how_the_kernel_was_built_is_kept_once_with_the_run(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("CONFIG_NET=y\n")
    (tmp_path / "log").write_text("CC dev.o\n")
    driver = OfKernels(fleet, {"log": tmp_path / "log", "config": tmp_path / "config"})
    sink = Kept()
    await a_run(fleet, Shells({"a": "true", "b": "true"}), sink, driver=driver)
    assert sink.results == {("kernel", 0): Result.PASS, ("a", 0): Result.PASS, ("b", 0): Result.PASS}
    assert sink.tests == 3
    kept = {name: data for name, data in sink.files.items() if "/kernel/" in name}
    assert kept == {f"{GROUP}/kernel/0/log": b"CC dev.o\n", f"{GROUP}/kernel/0/config": b"CONFIG_NET=y\n"}
    again = Kept()
    past = Past(ended={(GROUP, "kernel"): (0, False, ""), (GROUP, "a"): (0, False, "")})
    await a_run(fleet, Shells({"a": "true", "b": "true"}), again, a_job(past=past), driver=driver)
    assert set(again.results) == {("b", 0)}
