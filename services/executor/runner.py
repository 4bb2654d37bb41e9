"""One run: an executor's suite on a branch, over its hosts at once.

Theory of operation. Each host has a lane. A lane owns its host under a lease, prepares it, and takes tests from the
common board until the board is empty. The first lane that is ready lists the tests. A host that breaks gives its
test back, and its lane tries to win the host again with growing patience; the other lanes go on. The run fails as a
whole only when no lane has hope left: that is an `InfraError`, and no test is to blame. A lane that only waits, for
another executor to let go of its host, for a connection or for a build, is stopped as soon as the run is over
without it, or its deadline has come.

The core knows a `Sink` and no table; results leave it as they come.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Never

import structlog

from services.executor.claims import all_of
from services.executor.drivers.base import Driver, Examines, Job, LeaseLost, Several, Target
from services.executor.endings import breaks_hosts, cut_off, late, lost, was_cut_off
from services.executor.kernels.base import DoesNotBuild
from services.executor.recipe import NAME, Recipe, dump, public
from services.executor.retry import wants_retry
from services.executor.schedule import Board, Past, Task
from services.executor.sink import Sink
from services.executor.suites.attempt import Attempt, attempt, base_paths, built, list_tests, prepare, unbuilt
from services.executor.suites.base import Configures, Invocation, Place, Suite
from shared.clock import Clock
from shared.errors import InfraError, Superseded
from shared.formats.oops import Rule
from shared.race import race

log = structlog.get_logger(__name__)

HOPE = 4
"""How often in a row a host may fail before hope is lost. It is still tried while other hosts have hope."""


@dataclass(frozen=True)
class RunJob:
    """What to run. `name` is the run's folder on the hosts, equal for whoever takes the run over.

    Crashes of the kernel that a rule of `ignore` takes fail no test. `recipe` is what is the same for all tests of how
    to run one again.
    """

    name: str
    commit: str
    branch: str
    base: str
    deadline: datetime
    retries: int
    past: Past
    ignore: tuple[Rule, ...] = ()
    recipe: Recipe | None = None


@dataclass(frozen=True)
class Surroundings:
    """What a run is handed: hosts one at a time, the tree as a tar, the gate of a pause, and the clock.

    `base` is the tree of the commit before any series, for suites that compare. `gate` gives whether the next test may
    start; while it may not, it waits a few seconds before it says so.
    """

    claim_host: Callable[[str], AbstractAsyncContextManager[int]]
    tree: Callable[[], AsyncIterable[bytes]]
    gate: Callable[[], Awaitable[bool]]
    clock: Clock
    patience: float = 2.0
    base: Callable[[], AsyncIterable[bytes]] | None = None


@dataclass
class Outcome:
    """How the run went. `tests` is None if it never came to listing them; `facts` are the hosts' own words."""

    built: bool = True
    tests: int | None = None
    late: int = 0
    facts: dict[str, dict[str, str]] = field(default_factory=dict)


class _Enough(Exception):
    """The run goes on or ends without this lane."""


class _Worn(Exception):
    """The machine did its work, and should not be used for more: the lane wins its host anew."""


async def carry_out(job: RunJob, driver: Driver, suite: Suite, sink: Sink, around: Surroundings) -> Outcome:
    """Run it. Raises InfraError when no host is left, Superseded when another owns the run."""
    run = _Run(job, driver, suite, sink, around)
    try:
        async with asyncio.TaskGroup() as group:
            for address in driver.hosts:
                group.create_task(run.lane(address))
    except BaseExceptionGroup as several:
        # Not `except*`: what that raises is wrapped into a group again, and nobody would know it.
        raise _one_of(several) from several
    return await run.close()


def _one_of(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """One exception says enough: that the run is another's, else what came first and cancelled the others."""
    flat = list(_leaves(several))
    return next((exc for exc in flat if isinstance(exc, Superseded)), flat[0])


def _leaves(exc: BaseException) -> Sequence[BaseException]:
    if isinstance(exc, BaseExceptionGroup):
        return [leaf for inner in exc.exceptions for leaf in _leaves(inner)]
    return [exc]


class _Run:
    def __init__(self, job: RunJob, driver: Driver, suite: Suite, sink: Sink, around: Surroundings) -> None:
        self.job, self.driver, self.suite, self.sink, self.around = job, driver, suite, sink, around
        self.board: Board | None = None
        self.outcome = Outcome()
        self._alive: set[str] = set()
        self._hopeful: set[str] = set(driver.hosts)
        self._idle: set[str] = set()
        self._busy: set[str] = set()
        self._failures: dict[str, int] = {}
        self._troubles: dict[str, str] = {}
        self._unbuilt: dict[str, Sequence[Attempt]] = {}
        self._listing = asyncio.Lock()
        self._builders: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._changed = asyncio.Event()

    @property
    def over(self) -> bool:
        """Every test is done; or none can be, as the branch builds on no host that we have."""
        if self.board is not None:
            return self.board.done
        return bool(self._unbuilt) and not self._alive

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
        while not self.over and not self.late and self._hopeful:
            try:
                await race(self._serve(address), self._enough(address))
                break
            except _Enough:
                break
            except DoesNotBuild as exc:
                # As a suite that does not build: see `_use`.
                self._unbuilt[address] = unbuilt(self.suite, str(exc), exc.log)
                break
            except _Worn as exc:
                self._alive.discard(address)
                log.info("run: machine replaced", host=address, reason=str(exc))
            except (InfraError, LeaseLost) as exc:
                # A host's word that a younger lease exists is no proof: it may lie. If the run is another's, our
                # own table says so at the next write.
                await self._broken(address, exc)
                await self._recover(address)
        self._alive.discard(address)
        self._hopeful.discard(address)
        self._stir()
        if address in self._busy:
            await self.sink.host(address, "idle", "")

    async def _serve(self, address: str) -> None:
        self._idle.add(address)
        names = self.driver.machines(address) if isinstance(self.driver, Several) else (address,)
        async with all_of(names, self.around.claim_host) as number:
            self._alive.add(address)
            config = self.suite.config() if isinstance(self.suite, Configures) else ()
            async with self.driver.lease(Job(self.job.name, number, address, self.job.commit, config)) as target:
                self._busy.add(address)
                await self.sink.host(address, "busy", "")
                await self._use(address, target)

    async def _enough(self, address: str) -> Never:
        """A guard: raises once the lane only waits and nothing is left for it."""
        while not (address in self._idle and (self.over or self.late)):
            await self._wait(1.0)
        raise _Enough

    async def _broken(self, address: str, exc: Exception) -> None:
        self._alive.discard(address)
        self._busy.discard(address)
        self._troubles[address] = str(exc)
        self._failures[address] = self._failures.get(address, 0) + 1
        if self._failures[address] >= HOPE:
            self._hopeful.discard(address)
        log.warning("run: host broke", host=address, error=str(exc))
        self._stir()
        await self.sink.host(address, "broken", str(exc))

    async def _recover(self, address: str) -> None:
        """Leave the host alone for a while, longer each time."""
        loop = asyncio.get_running_loop()
        until = loop.time() + min(60.0, self.around.patience ** min(self._failures[address], 10))
        while self._hopeful and not self.over and not self.late and (left := until - loop.time()) > 0:
            await self._wait(min(1.0, left))

    async def _use(self, address: str, target: Target) -> None:
        self.outcome.facts[address] = dict(target.facts)
        place = Place(target.work, self.job.commit, self.job.branch, self.job.base)
        tree = None if self.suite.paths() is None else self.around.tree()
        base = self.around.base() if self.around.base and base_paths(self.suite) is not None else None
        async with self._preparing_on(target):
            failed = await prepare(target.builder or target.dut, self.suite, place, tree, base)
            if not failed and target.deploy is not None:
                await target.deploy()
        if failed:
            # The patch is to blame only if no other host can build it: see `over` and `close`.
            self._unbuilt[address] = failed
            return
        self._idle.discard(address)
        await self._list(address, target, place)
        while not self.over and not self.late:
            if not await self.around.gate() or self.over or self.late:
                continue
            task = self._next(address)
            if task is not None:
                await self._test(task, address, target, place)
            elif not await self._only_late_left():
                await self._wait(1.0)

    def _preparing_on(self, target: Target) -> AbstractAsyncContextManager[object]:
        """What several machines share is prepared by one of them."""
        return self._builders[target.builder.name] if target.builder else nullcontext()

    async def _list(self, address: str, target: Target, place: Place) -> None:
        async with self._listing:
            if self.board is None:
                listed = await list_tests(target.dut, self.suite, place)
                invocations = listed.invocations
                board = Board(invocations, self.job.past)
                kernel = await self._of_kernel(target)
                await self.sink.planned(len(invocations) + len(kernel), self._expected_end(board))
                for one in kernel:
                    await self.sink.ended(one, address, self._expected_end(board))
                await self.sink.not_run(listed.absent)
                # Of a retry that is given up the failure before it stands; a row of its own would hide that.
                await self.sink.not_run([lost(task) for task in board.lost if task.number == 0])
                self.board, self.outcome.tests = board, len(invocations)
                self._stir()

    async def _of_kernel(self, target: Target) -> Sequence[Attempt]:
        """What tells how the kernel was built, if it was and nobody said so before."""
        files = {name: await asyncio.to_thread(path.read_bytes) for name, path in target.kept.items()}
        done = built(self.suite, target.built, files) if files else ()
        return [one for one in done if (one.group, one.test) not in self.job.past.ended]

    def _expected_end(self, board: Board, ending: Task | None = None) -> datetime:
        return board.expected_end(self.around.clock(), len(self._alive), ending)

    def _next(self, address: str) -> Task | None:
        assert self.board is not None
        return self.board.take(address, self._alive, self.around.clock(), self.job.deadline)

    async def _only_late_left(self) -> bool:
        """Put down what can no longer end in time; True if that was all."""
        assert self.board is not None
        await self._too_late(self.board.unfit(self.around.clock(), self.job.deadline))
        return self.board.done

    async def _too_late(self, tasks: Sequence[Task]) -> None:
        self.outcome.late += len(tasks)
        await self.sink.not_run([late(task) for task in tasks if task.number == 0])
        if tasks:
            self._stir()

    # One test

    async def _test(self, task: Task, address: str, target: Target, place: Place) -> None:
        assert self.board is not None
        try:
            await self.sink.began(task, address)
            done = await self._attempt(task, target, place)
        except (InfraError, LeaseLost) as exc:
            await self._host_broke(task, address, exc)
            raise
        except asyncio.CancelledError:
            # Perhaps only the lease of this host is lost, and the other lanes go on.
            self.board.give_back(task)
            self._stir()
            raise
        self._failures[address] = 0
        self._hopeful.add(address)
        await self.sink.ended(done, address, self._expected_end(self.board, task))
        again = wants_retry(done.cases, task.number, self.job.retries, self.job.past.known_bad)
        self.board.ended(task, address, again)
        self._stir()
        if worn := done.worn or await self._worn(target):
            raise _Worn(worn)

    async def _worn(self, target: Target) -> str:
        """Why the machine is not to be used for another test; "" if it may be."""
        if not isinstance(self.driver, Examines) or self.over:
            return ""
        try:
            return await self.driver.sound(target)
        except InfraError as exc:
            return str(exc)

    async def _attempt(self, task: Task, target: Target, place: Place) -> Attempt:
        wanted = task.invocation.time_limit
        limit = max(min(wanted, self.job.deadline - self.around.clock()), timedelta(seconds=1))
        invocation = replace(task.invocation, time_limit=limit)
        done = await attempt(target, self.suite, invocation, place, task.number, self.job.ignore)
        done = cut_off(done) if limit < wanted and was_cut_off(done) else done
        return self._with_recipe(done, invocation, target)

    def _with_recipe(self, done: Attempt, invocation: Invocation, target: Target) -> Attempt:
        if self.job.recipe is None or not done.cases:
            return done
        command = invocation.command
        mine = replace(
            self.job.recipe, group=done.group, test=done.test, result=str(done.cases[0].result), command=command.argv,
            env=public({**target.env, **command.env}), seconds=invocation.time_limit.total_seconds(),
            facts=target.facts,
        )  # fmt: skip
        return replace(done, files={**done.files, f"{done.group}/{done.test}/{done.number}/{NAME}": dump(mine)})

    async def _host_broke(self, task: Task, address: str, exc: InfraError | LeaseLost) -> None:
        assert self.board is not None
        tried_on = self.board.broke(task, address)
        if not tried_on and task.number == 0:
            end = self._expected_end(self.board, task)
            await self.sink.ended(breaks_hosts(task, exc), address, end)
        self._stir()

    # The end

    async def close(self) -> Outcome:
        """Account for what never ran. Raises InfraError if that is for want of hosts."""
        if self.board is None:
            await self._close_unlisted()
            return self.outcome
        for address in self._unbuilt:
            await self.sink.host(address, "broken", "the branch did not build here, but did on another host")
        if not self.over:
            if not self.late:
                raise InfraError(f"no host is left: {self._say_troubles()}")
            await self._too_late(self.board.drain())
        return self.outcome

    async def _close_unlisted(self) -> None:
        if not self._unbuilt:
            raise InfraError(f"no host could be used: {self._say_troubles()}")
        self.outcome.built = False
        address, failed = next(iter(self._unbuilt.items()))
        for one in failed:
            await self.sink.ended(one, address, self.around.clock())

    def _say_troubles(self) -> str:
        return "; ".join(sorted(set(self._troubles.values()))) or "none could be won before the deadline"
