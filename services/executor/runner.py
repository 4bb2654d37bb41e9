"""One run: an executor's suite on a branch, over its hosts at once.

Theory of operation. Each host has a lane. A lane owns its host under a lease, prepares it, and takes tests from the
common board until the board is empty. The first lane that is ready lists the tests. A host that breaks gives its
test back, and its lane tries to win the host again with growing patience; the other lanes go on. The run fails as a
whole only when no lane has hope left: that is an `InfraError`, and no test is to blame.

The core knows a `Sink` and no table; results leave it as they come.
"""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from services.executor.drivers.base import Driver, Job, LeaseLost, Target
from services.executor.retry import wants_retry
from services.executor.schedule import Board, Past, Task
from services.executor.sink import Sink
from services.executor.suites.attempt import Attempt, attempt, list_tests, prepare
from services.executor.suites.base import Place, Suite
from shared.clock import Clock
from shared.errors import InfraError
from shared.model.results import Case, Cause, Result

log = structlog.get_logger(__name__)

HOPE = 4
"""How often in a row a host may fail to be won before its lane gives up."""


@dataclass(frozen=True)
class RunJob:
    """What to run. `name` is the run's folder on the hosts, equal for whoever takes the run over."""

    name: str
    commit: str
    branch: str
    base: str
    deadline: datetime
    retries: int
    past: Past


@dataclass(frozen=True)
class Surroundings:
    """What a run is handed: hosts one at a time, the tree as a tar, the gate of a pause, and the clock."""

    claim_host: Callable[[str], AbstractAsyncContextManager[int]]
    tree: Callable[[], AsyncIterable[bytes]]
    gate: Callable[[], Awaitable[None]]
    clock: Clock
    patience: float = 2.0


@dataclass
class Outcome:
    """How the run went. `facts` are the hosts' own words about themselves."""

    built: bool = True
    late: int = 0
    facts: dict[str, dict[str, str]] = field(default_factory=dict)


async def carry_out(job: RunJob, driver: Driver, suite: Suite, sink: Sink, around: Surroundings) -> Outcome:
    """Run it. Raises InfraError when no host is left, Superseded when another owns the run."""
    run = _Run(job, driver, suite, sink, around)
    try:
        async with asyncio.TaskGroup() as group:
            for address in driver.hosts:
                group.create_task(run.lane(address))
    except* Exception as several:
        raise _first(several) from several
    return await run.close()


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """One exception says enough; what ended the others is that they were cancelled."""
    inner = several.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


class _Run:
    def __init__(self, job: RunJob, driver: Driver, suite: Suite, sink: Sink, around: Surroundings) -> None:
        self.job, self.driver, self.suite, self.sink, self.around = job, driver, suite, sink, around
        self.board: Board | None = None
        self.outcome = Outcome()
        self._alive: set[str] = set(driver.hosts)
        self._troubles: dict[str, str] = {}
        self._listing = asyncio.Lock()
        self._changed = asyncio.Event()

    @property
    def over(self) -> bool:
        return not self.outcome.built or (self.board is not None and self.board.done)

    @property
    def late(self) -> bool:
        return self.around.clock() >= self.job.deadline

    def _stir(self) -> None:
        """Something changed: whoever waits looks again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass

    # One host

    async def lane(self, address: str) -> None:
        """Win the host, use it, and win it again if it breaks."""
        failures = 0
        while not self.over and not self.late and failures < HOPE:
            try:
                async with self.around.claim_host(address) as number:
                    job = Job(self.job.name, number, address)
                    async with self.driver.lease(job) as target:
                        self._alive.add(address)
                        failures = 0
                        await self.sink.host(address, "busy", "")
                        await self._use(address, target)
                await self.sink.host(address, "idle", "")
                return
            except (InfraError, LeaseLost) as exc:
                failures += 1
                await self._broken(address, exc)
                await self._wait(min(60.0, self.around.patience**failures))
        self._alive.discard(address)
        self._stir()

    async def _broken(self, address: str, exc: Exception) -> None:
        self._alive.discard(address)
        self._troubles[address] = str(exc)
        log.warning("run: host broke", host=address, error=str(exc))
        await self.sink.host(address, "broken", str(exc))
        self._stir()

    async def _use(self, address: str, target: Target) -> None:
        self.outcome.facts[address] = dict(target.facts)
        place = Place(target.work, self.job.commit, self.job.branch, self.job.base)
        tree = None if self.suite.paths() is None else self.around.tree()
        if failed := await prepare(target.dut, self.suite, place, tree):
            await self._build_failed(failed, address)
            return
        await self._list(target, place)
        while not self.over and not self.late:
            await self.around.gate()
            task = self._next(address)
            if task is None:
                if self.board is None or not self.board.left:
                    return
                if await self._only_late_left():
                    return
                await self._wait(1.0)
                continue
            await self._test(task, address, target, place)

    async def _build_failed(self, failed: Sequence[Attempt], address: str) -> None:
        if self.outcome.built:
            self.outcome.built = False
            for one in failed:
                await self.sink.ended(one, address)
            self._stir()

    async def _list(self, target: Target, place: Place) -> None:
        async with self._listing:
            if self.board is None:
                invocations = await list_tests(target.dut, self.suite, place)
                board = Board(invocations, self.job.past)
                end = board.expected_end(self.around.clock(), len(self.driver.hosts))
                await self.sink.planned(len(invocations), end)
                await self.sink.not_run([_lost(task) for task in board.lost])
                self.board = board
                self._stir()

    def _next(self, address: str) -> Task | None:
        assert self.board is not None
        return self.board.take(address, self._alive, self.around.clock(), self.job.deadline)

    async def _only_late_left(self) -> bool:
        """Put down what can no longer end in time; True if that was all."""
        assert self.board is not None
        late = self.board.unfit(self.around.clock(), self.job.deadline)
        await self._too_late(late)
        return self.board.done

    async def _too_late(self, tasks: Sequence[Task]) -> None:
        self.outcome.late += len(tasks)
        await self.sink.not_run([_late(task) for task in tasks if task.number == 0])
        if tasks:
            self._stir()

    async def _test(self, task: Task, address: str, target: Target, place: Place) -> None:
        assert self.board is not None
        try:
            await self.sink.began(task, address)
            limit = min(task.invocation.time_limit, self.job.deadline - self.around.clock())
            invocation = replace(task.invocation, time_limit=max(limit, timedelta(seconds=1)))
            done = await attempt(target.dut, self.suite, invocation, place, task.number)
        except InfraError as exc:
            if not self.board.broke(task, address):
                await self.sink.not_run([_breaks_hosts(task, str(exc))])
            self._stir()
            raise
        await self.sink.ended(done, address)
        self.board.ended(task, address, wants_retry(done.cases, task.number, self.job.retries))
        self._stir()

    # The end

    async def close(self) -> Outcome:
        """Account for what never ran. Raises InfraError if that is for want of hosts and there is still time."""
        if self.over:
            return self.outcome
        if self.late:
            if self.board is not None:
                await self._too_late(self.board.drain())
            elif self._troubles:
                raise InfraError(f"no host could be used before the deadline: {self._say_troubles()}")
            return self.outcome
        raise InfraError(f"no host is left: {self._say_troubles()}")

    def _say_troubles(self) -> str:
        return "; ".join(sorted(set(self._troubles.values()))) or "none could be won"


def _not_run(task: Task, cause: Cause, detail: str) -> Case:
    group, test = task.key
    return Case(group, test, Result.NOT_RUN, cause=cause, attempt=task.number, detail=detail)


def _late(task: Task) -> Case:
    return _not_run(task, Cause.TIMEOUT, "not started: it would not end by the branch's deadline")


def _lost(task: Task) -> Case:
    return _not_run(task, Cause.INFRA, "interrupted twice, not tried again")


def _breaks_hosts(task: Task, why: str) -> Case:
    return _not_run(task, Cause.INFRA, f"lost {task.broken + 1} machines, not tried on another: {why}"[:500])
