"""A claimed run, from opening it in the ledger to closing it: the executor's one kind of work."""

from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Never

import structlog

from services.executor.drivers.base import Driver
from services.executor.harvest import PART, gathering
from services.executor.labels import hidden
from services.executor.ledger_sink import LedgerSink
from services.executor.retry import wants_retry
from services.executor.runner import Outcome, RunJob, Surroundings, carry_out
from services.executor.schedule import Key, Past
from services.executor.steady import steadily
from services.executor.store import SQL, Planned, durations, hindered, last_hosts, load_plan, settle
from services.executor.suites.base import Suite
from services.executor.trees import Trees, chunks
from shared.blobs.record import keep
from shared.db.lease import held
from shared.db.work import Postpone, Work, finish
from shared.disk import low
from shared.errors import InfraError, Missing, Superseded
from shared.floor import Floor
from shared.ledger import Ending, Ledger, Opening, OpenRun
from shared.pauses import paused
from shared.settings import ExecutorTable

log = structlog.get_logger(__name__)

AGAIN = 20.0
"""Seconds until a run that found no machine is tried again, as long as its deadline allows."""

AGAIN_PAUSED = 1.0
"""Seconds until a run that may not start asks again: a resume holds within a second."""


@dataclass(frozen=True)
class Bench:
    """One configured executor, ready to run: its table, driver, suite and trees.

    A broken host is left alone for `patience` seconds to the power of its failures.
    """

    table: ExecutorTable
    driver: Driver
    suite: Suite
    trees: Trees
    patience: float = 2.0

    @property
    def name(self) -> str:
        return f"{self.table.remote}/{self.table.name}"


class Runs:
    """Does the runs of one executor."""

    def __init__(self, floor: Floor, bench: Bench) -> None:
        self._floor = floor
        self._bench = bench
        self._ledger = Ledger("executor")

    async def do(self, work: Work) -> None:
        """One row of work. Leaves by `Postpone` while it may not or cannot run."""
        planned = await load_plan(
            self._floor.pool, work.payload["cut"], self._bench.table.remote, self._bench.table.name
        )
        if planned is None or planned.state not in ("planned", "running"):
            await self._close_work(work)
            return
        if not await self._may_start(work, planned):
            return
        run = await self._open(work, planned)
        if run is None:
            return
        with structlog.contextvars.bound_contextvars(run=run.id, branch=planned.branch, executor=self._bench.name):
            await self._carry_out(work, planned, run)

    async def _close_work(self, work: Work) -> None:
        async with self._floor.pool.acquire() as conn, conn.transaction():
            await finish(conn, work)

    async def _may_start(self, work: Work, planned: Planned) -> bool:
        """False if it is too late for it; raises Postpone, its reason shown, while it must wait."""
        hindrance = await self._hindrance(planned)
        if not self._late(planned):
            if hindrance:
                await self._postpone(planned, AGAIN_PAUSED, hindrance)
            return True
        if planned.state == "planned":
            await self._skip(work, planned, hindrance or "its deadline had passed before it could begin")
            return False
        return True

    def _late(self, planned: Planned, ahead: float = 0.0) -> bool:
        return self._floor.clock() + timedelta(seconds=ahead) >= planned.deadline

    async def _hindrance(self, planned: Planned) -> str:
        if why := await paused(self._floor.pool, "executor", self._bench.name):
            return f"paused: {why}"
        return low(self._floor.settings) if planned.state == "planned" else ""

    async def _postpone(self, planned: Planned, wait: float, reason: str) -> Never:
        await hindered(self._floor.pool, planned.ident, reason)
        raise Postpone(wait, reason)

    async def _skip(self, work: Work, planned: Planned, reason: str) -> None:
        log.warning("run: skipped", branch=planned.branch, executor=self._bench.name, reason=reason)
        async with self._floor.pool.acquire() as conn, conn.transaction():
            await settle(conn, planned.ident, "skipped", reason)
            await finish(conn, work)

    async def _open(self, work: Work, planned: Planned) -> OpenRun | None:
        async with self._floor.pool.acquire() as conn, conn.transaction():
            try:
                run = await self._ledger.open(conn, self._opening(work, planned))
            except Superseded as exc:
                log.info("run: not ours", reason=str(exc))
                await settle(conn, planned.ident, "done", str(exc))
                await finish(conn, work)
                return None
            await conn.execute(SQL["plan_running"], *planned.ident, run.id)
            return run

    def _opening(self, work: Work, planned: Planned) -> Opening:
        return Opening(
            project=planned.project, remote=planned.remote, executor=planned.executor, stream=planned.stream,
            branch=planned.branch, cut_id=planned.cut_id, lease_number=work.number, expected_end=planned.deadline,
            kernel_commit=planned.commit, suite_commit=planned.commit, visibility=planned.visibility,
        )  # fmt: skip

    async def _carry_out(self, work: Work, planned: Planned, run: OpenRun) -> None:
        if self._late(planned):
            ending = await self._too_late(run)
        else:
            ending = await self._run(planned, run)
        await self._end(work, planned, run, ending)

    async def _run(self, planned: Planned, run: OpenRun) -> Ending:
        hosts = self._bench.driver.hosts
        sink = LedgerSink(self._floor, self._ledger, planned, run, hosts)
        try:
            async with self._tree(planned) as tree:
                claim = partial(self._claim_host, run)
                around = Surroundings(claim, tree, self._gate, self._floor.clock, self._bench.patience)
                job = await self._job(planned, run)
                outcome = await carry_out(job, self._bench.driver, self._bench.suite, sink, around)
        except InfraError as exc:
            log.warning("run: no machine", error=str(exc))
            if not self._late(planned, AGAIN):
                await self._postpone(planned, AGAIN, hidden(str(exc), hosts))
            return Ending("abandoned", "infra", hidden(str(exc), hosts))
        return _ending(outcome)

    async def _too_late(self, run: OpenRun) -> Ending:
        """Taken over when its time was up: what stands, stands."""
        async with self._floor.pool.acquire() as conn:
            ended = await self._ledger.finished_tests(conn, run)
        reason = "the deadline came while nobody could go on with it"
        return Ending("done" if ended else "abandoned", "timeout", reason)

    async def _job(self, planned: Planned, run: OpenRun) -> RunJob:
        past = await self._past(planned, run)
        name = f"cut{planned.cut_id}-{planned.remote}-{planned.executor}"
        return RunJob(
            name, planned.commit, planned.branch, planned.base, planned.deadline, self._bench.table.retries, past
        )

    async def _past(self, planned: Planned, run: OpenRun) -> Past:
        seconds = await durations(self._floor.pool, planned.remote, planned.executor)
        if run.fresh:
            return Past(seconds=seconds)
        hosts = await last_hosts(self._floor.pool, planned.ident)
        async with self._floor.pool.acquire() as conn, conn.transaction():
            finished = await self._ledger.finished_tests(conn, run)
            rows = await conn.fetch(SQL["interrupted"], *planned.ident, run.lease_number)
        ended: dict[Key, tuple[int, bool, str]] = {}
        for case in finished:
            again = wants_retry([case], case.attempt, self._bench.table.retries)
            key = (case.group, case.test)
            if key not in ended or ended[key][0] <= case.attempt:
                ended[key] = (case.attempt, again, hosts.get(key, ""))
        interrupted = Counter((row["grp"], row["test"], int(row["attempt"])) for row in rows)
        log.info("run: taken over", ended=len(ended), interrupted=len(interrupted))
        return Past(ended, interrupted, seconds)

    @asynccontextmanager
    async def _tree(self, planned: Planned) -> AsyncIterator["_Tree"]:
        paths = self._bench.suite.paths()
        if paths is None:
            yield _Tree(None)
            return
        await self._bench.trees.fetch(planned.commit, planned.public_url)
        async with self._bench.trees.tar(planned.commit, paths) as file:
            yield _Tree(file)

    def _claim_host(self, run: OpenRun, address: str) -> AbstractAsyncContextManager[int]:
        """The host for this owner of this run: a former one in this very process must have let go, too."""
        holder = f"{self._floor.holder}:{self._bench.name}:{run.lease_number}"
        return held(self._floor.pool, f"host:{address}", holder)

    async def _gate(self) -> bool:
        """Closed while the executor is paused: the test that runs goes on, the next is not started."""
        seen = self._floor.bells.count("netci_pauses")
        if await steadily(lambda: paused(self._floor.pool, "executor", self._bench.name)) is None:
            return True
        await self._floor.bells.wait("netci_pauses", seen, 5)
        return False

    async def _end(self, work: Work, planned: Planned, run: OpenRun, ending: Ending) -> None:
        pack = await steadily(lambda: self._pack(planned, run))

        async def close() -> None:
            async with self._floor.pool.acquire() as conn, conn.transaction():
                await self._ledger.finish(conn, run, replace(ending, log_pack=pack))
                await self._ledger.detach(conn, run, PART)
                await settle(conn, planned.ident, ending.state, ending.reason)
                await finish(conn, work)

        await steadily(close)
        log.info("run: ended", state=ending.state, cause=ending.cause, reason=ending.reason)

    async def _pack(self, planned: Planned, run: OpenRun) -> str:
        """Fold the attempts' logs into the run's, one at a time: a run's logs may be larger than our memory."""
        async with self._floor.pool.acquire() as conn:
            parts = await self._ledger.artifacts(conn, run, PART)
        whole = gathering(f"run {run.id} of {self._bench.name} on {planned.branch}, {planned.commit}")
        for name, sha256 in parts.items():
            try:
                whole.take(await self._floor.blobs.get(sha256))
            except (Missing, InfraError) as exc:
                # A run must be able to end without a log that its disk has lost.
                log.error("run: a log is lost", name=name, error=str(exc))
        return await keep(self._floor, whole.packed(), planned.visibility)


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
