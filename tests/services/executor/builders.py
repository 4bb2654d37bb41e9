"""Suites of shell lines, a sink that keeps what it is given, and runs on practice hosts."""

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel

from services.executor.drivers.base import Command, Driver, shell
from services.executor.drivers.ssh import SshDriver
from services.executor.drivers.ssh_config import SshConfig
from services.executor.endings import Ending
from services.executor.resume import History
from services.executor.runner import Outcome, RunJob, Surroundings, carry_out
from services.executor.schedule import Past, Task
from services.executor.suites.attempt import Attempt
from services.executor.suites.base import Invocation, Place, Spoken, Step, Suite
from shared.clock import Clock, wall
from shared.errors import Superseded
from shared.formats import ktap
from shared.model.results import Case, Result
from shared.practice.hosts import Fleet

GROUP = "shells"
LONG = timedelta(seconds=60)


class Shells:
    """A suite of shell lines. `build` is run first on each host; a line that is not 0 fails the build."""

    name: ClassVar[str] = "shells"
    Config: ClassVar[type[BaseModel]] = BaseModel

    def __init__(self, tests: Mapping[str, str], build: str = "", limit: timedelta = LONG) -> None:
        self._tests, self._build, self._limit = tests, build, limit

    def paths(self) -> tuple[str, ...] | None:
        return None

    def groups(self) -> tuple[str, ...]:
        return (GROUP,)

    def prepare(self, place: Place) -> tuple[Step, ...]:
        return (Step("build", shell(self._build), LONG),) if self._build else ()

    def listing(self, place: Place) -> Command | None:
        return None

    def invocations(self, listing: str, place: Place) -> tuple[Invocation, ...]:
        return tuple(Invocation(GROUP, name, shell(line), self._limit, name) for name, line in self._tests.items())

    def read(self, invocation: Invocation, spoken: Spoken) -> tuple[Case, ...]:
        return ktap.to_cases(
            spoken.stdout.decode(errors="replace"), group=invocation.group, test=invocation.test,
            exit_code=spoken.exit_code, timed_out=spoken.timed_out, seconds=spoken.seconds, attempt=spoken.attempt,
            log=spoken.log,
        )  # fmt: skip


Hook = Callable[[str, str], Awaitable[None]]
"""Told a test's name and its host's address."""


async def nothing(test: str, address: str) -> None:
    """The hook of who does not care."""


@dataclass
class Kept:
    """A sink in memory. `taken` makes every later write raise Superseded, as when another owns the run."""

    on_began: Hook = nothing
    on_ended: Hook = nothing
    taken: bool = False
    tests: int | None = None
    began_: list[tuple[str, int, str]] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    hosts: dict[str, str] = field(default_factory=dict)
    ends: list[datetime] = field(default_factory=list)
    where: list[tuple[str, int, str]] = field(default_factory=list)
    ending: Ending | None = None

    def _ours(self) -> None:
        if self.taken:
            raise Superseded("another owns the run")

    async def stands(self) -> History:
        return History()

    async def end(self, ending: Ending) -> None:
        self._ours()
        self.ending = ending

    async def planned(self, tests: int, expected_end: datetime) -> None:
        self._ours()
        assert self.tests is None, "planned twice"
        self.tests = tests
        self.ends.append(expected_end)

    async def began(self, task: Task, host: str) -> None:
        self._ours()
        self.began_.append((task.key[1], task.number, host))
        await self.on_began(task.key[1], host)

    async def ended(self, attempt: Attempt, host: str, expected_end: datetime) -> None:
        self._ours()
        self.cases.extend(attempt.cases)
        self.files.update(attempt.files)
        self.where.append((attempt.test, attempt.number, host))
        self.ends.append(expected_end)
        await self.on_ended(attempt.test, host)

    async def not_run(self, cases: Sequence[Case]) -> None:
        self._ours()
        self.cases.extend(cases)

    async def host(self, address: str, state: str, reason: str) -> None:
        self._ours()
        self.hosts[address] = state

    @property
    def results(self) -> dict[tuple[str, int], Result]:
        """By (test, attempt); a second row of one key is a fault."""
        found: dict[tuple[str, int], Result] = {}
        for case in self.cases:
            if not case.subtest:
                assert (case.test, case.attempt) not in found, f"{case.test} has two rows"
                found[case.test, case.attempt] = case.result
        return found


@dataclass
class Clockwork:
    """A clock that is moved by hand."""

    now: datetime = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Claims:
    """Host leases of this process alone, their numbers rising."""

    def __init__(self) -> None:
        self.number = 0

    @asynccontextmanager
    async def __call__(self, address: str) -> AsyncIterator[int]:
        self.number += 1
        yield self.number


async def always() -> bool:
    return True


def no_tree() -> AsyncIterable[bytes]:
    raise AssertionError("this suite wants no tree")


def driver_of(fleet: Fleet, hosts: Sequence[str] = ()) -> Driver:
    config = SshConfig.model_validate({
        "hosts": tuple(hosts) or fleet.addresses, "key_file": fleet.key_file, "known_hosts": fleet.known_hosts,
        "connect_timeout": timedelta(seconds=5), "kill_grace": timedelta(seconds=1),
    })  # fmt: skip
    return SshDriver(config)


def a_job(deadline: datetime | None = None, retries: int = 1, past: Past | None = None) -> RunJob:
    return RunJob("cut1-metal-net", "c" * 40, "b", "", deadline or wall() + timedelta(hours=1), retries, past or Past())


async def a_run(
    fleet: Fleet,
    suite: Suite,
    sink: Kept,
    job: RunJob | None = None,
    *,
    clock: Clock = wall,
    claim: Callable[[str], AbstractAsyncContextManager[int]] | None = None,
    gate: Callable[[], Awaitable[bool]] = always,
    driver: Driver | None = None,
) -> Outcome:
    """Carry out a run with next to no patience."""
    around = Surroundings(claim or Claims(), no_tree, gate, clock, patience=0.05)
    return await carry_out(job or a_job(), driver or driver_of(fleet), suite, sink, around)


async def until(true: Callable[[], bool | Awaitable[bool]], seconds: float = 20) -> None:
    """Wait for something that happens elsewhere."""
    async with asyncio.timeout(seconds):
        while True:
            found = true()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.01)


async def stopped(task: "asyncio.Task[object]") -> None:
    """Cancel, and wait until it is over."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def barrier(folder: Path, mine: str, *others: str) -> str:
    """A shell line that goes on when all others have come as far."""
    waits = "".join(f'until [ -e "{folder}/{name}" ]; do sleep 0.02; done; ' for name in others)
    return f'touch "{folder}/{mine}"; {waits}'
