"""A claimed run, from its beginning to its end: what an executor does, whoever gives it work and takes its results.

It knows `Work`, `Claim` and `Sink`, and neither a table nor a server.
"""

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Never

import structlog

from services.executor.drivers.base import Builds, Driver, Tells
from services.executor.endings import Ending
from services.executor.labels import hidden
from services.executor.recipe import Recipe, public
from services.executor.resume import past
from services.executor.runner import Outcome, RunJob, Surroundings, carry_out
from services.executor.sink import Sink
from services.executor.suites.attempt import base_paths
from services.executor.suites.base import Suite
from services.executor.trees import Trees, chunks
from services.executor.work import Claim, Order, Work
from shared.clock import Clock
from shared.errors import InfraError
from shared.formats.oops import Rule
from shared.race import race

log = structlog.get_logger(__name__)

AGAIN = 20.0
"""Seconds until a run that found no machine is tried again, as long as its deadline allows."""

AGAIN_PAUSED = 1.0
"""Seconds until a run that may not start asks again: a resume holds within a second."""


@dataclass(frozen=True)
class Bench:
    """One configured executor, ready to run: its driver, suite and trees.

    A broken host is left alone for `patience` seconds to the power of its failures. Crashes of the kernel count unless
    a rule of `ignore` takes them. `table` is how its suite was configured, for whoever wants to run a test again.
    """

    name: str
    retries: int
    driver: Driver
    suite: Suite
    trees: Trees
    patience: float = 2.0
    ignore: tuple[Rule, ...] = ()
    table: Mapping[str, Any] = field(default_factory=dict)


class Runs:
    """Does the runs of one executor."""

    def __init__(self, bench: Bench, clock: Clock) -> None:
        self._bench, self._clock = bench, clock

    async def work_off(self, work: Work) -> Never:
        """What comes, one at a time, for good."""
        while True:
            if claim := await work.claim():
                await self.keep(claim)

    async def keep(self, claim: Claim) -> None:
        """One claim, for as long as it is ours. Whatever it ends by, the next can be taken."""
        with structlog.contextvars.bound_contextvars(branch=claim.order.branch, executor=self._bench.name):
            try:
                await race(self.do(claim), claim.heartbeat())
            except Exception as exc:
                await claim.broke(exc)

    async def do(self, claim: Claim) -> None:
        """One claim. Leaves as `put_off` does while it may not or cannot run."""
        if not await self._may_start(claim):
            return
        if (sink := await claim.open()) is None:
            return
        ending = await (self._too_late(sink) if self._late(claim.order) else self._run(claim, sink))
        await sink.end(ending)
        log.info("run: ended", state=ending.state, cause=ending.cause, reason=ending.reason)

    async def _may_start(self, claim: Claim) -> bool:
        """False if it is too late for it; leaves, its reason shown, while it must wait."""
        hindrance = await claim.hindrance()
        if not self._late(claim.order):
            if hindrance:
                await claim.put_off(AGAIN_PAUSED, hindrance)
            return True
        if not claim.order.begun:
            reason = hindrance or "its deadline had passed before it could begin"
            log.warning("run: skipped", reason=reason)
            await claim.finish(reason)
        return claim.order.begun

    def _late(self, order: Order, ahead: float = 0.0) -> bool:
        return self._clock() + timedelta(seconds=ahead) >= order.deadline

    async def _run(self, claim: Claim, sink: Sink) -> Ending:
        bench = self._bench
        try:
            if isinstance(bench.driver, Builds) and bench.driver.builds:
                await bench.trees.fetch(claim.order.commit, claim.order.public_url)
            async with self._tree(claim.order) as tree, self._base(claim.order) as base:
                around = Surroundings(claim.host, tree, claim.gate, self._clock, bench.patience, base)
                job = await self._job(claim.order, sink)
                outcome = await carry_out(job, bench.driver, bench.suite, sink, around)
        except InfraError as exc:
            log.warning("run: no machine", error=str(exc))
            reason = hidden(str(exc), bench.driver.hosts)
            if not self._late(claim.order, AGAIN):
                await claim.put_off(AGAIN, reason)
            return Ending("abandoned", "infra", reason)
        return _ending(outcome)

    async def _too_late(self, sink: Sink) -> Ending:
        """Taken over when its time was up: what stands, stands."""
        ended = (await sink.stands()).finished
        reason = "the deadline came while nobody could go on with it"
        return Ending("done" if ended else "abandoned", "timeout", reason)

    async def _job(self, order: Order, sink: Sink) -> RunJob:
        history = await sink.stands()
        if history.finished or history.interrupted:
            log.info("run: taken over", ended=len(history.finished), interrupted=len(history.interrupted))
        retries = self._bench.retries
        before = past(history, retries)
        ignore = self._bench.ignore
        job = RunJob(order.name, order.commit, order.branch, order.base, order.deadline, retries, before, ignore)
        return replace(job, recipe=self._recipe(order))

    def _recipe(self, order: Order) -> Recipe:
        bench = self._bench
        driver = bench.driver.public if isinstance(bench.driver, Tells) else {}
        return Recipe(
            "", "", "", order.branch, order.commit, order.base, order.public_url, bench.name, public(bench.table),
            {"kind": bench.driver.name, **driver},
        )  # fmt: skip

    @asynccontextmanager
    async def _tree(self, order: Order) -> AsyncIterator["_Tree"]:
        async with self._files(order.commit, self._bench.suite.paths(), order) as tree:
            yield tree

    @asynccontextmanager
    async def _base(self, order: Order) -> AsyncIterator["_Tree"]:
        paths = base_paths(self._bench.suite)
        if paths is not None:
            if not order.base:
                raise InfraError("the branch names no base to compare with")
            # The branch comes first: a base has no name of its own to be fetched by.
            await self._bench.trees.fetch(order.commit, order.public_url)
        async with self._files(order.base, paths, order) as tree:
            yield tree

    @asynccontextmanager
    async def _files(self, commit: str, paths: tuple[str, ...] | None, order: Order) -> AsyncIterator["_Tree"]:
        if paths is None:
            yield _Tree(None)
            return
        await self._bench.trees.fetch(commit, order.public_url)
        async with self._bench.trees.tar(commit, paths) as file:
            yield _Tree(file)


def _ending(outcome: Outcome) -> Ending:
    kernels = sorted({facts.get("kernel", "") for facts in outcome.facts.values()} - {""})
    reason = "the suite lists no test" if outcome.tests == 0 else ""
    if outcome.late:
        reason = f"{outcome.late} tests not started: the deadline came"
    return Ending("done", "timeout" if outcome.late else "", reason, toolchain=", ".join(kernels)[:200])


class _Tree:
    """The branch's files as a tar, read anew for each host."""

    def __init__(self, file: int | None) -> None:
        self._file = file

    def __call__(self) -> AsyncIterable[bytes]:
        assert self._file is not None
        return chunks(self._file)
