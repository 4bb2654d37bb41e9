"""A run's results into the ledger: the database's body of `Sink`. Fenced by the run's lease number."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import structlog

from services.executor.endings import Ending
from services.executor.harvest import PART, gathering, part, part_name
from services.executor.labels import hidden, label, public
from services.executor.resume import History
from services.executor.schedule import Task
from services.executor.steady import steadily
from services.executor.store import SQL, Planned, durations, known_bad, last_hosts, settle
from services.executor.suites.attempt import Attempt
from shared.blobs.record import keep
from shared.db.pool import Connection
from shared.db.work import Work, finish
from shared.errors import InfraError, Missing, Superseded
from shared.floor import Floor
from shared.ledger import Ending as Closing
from shared.ledger import Ledger, OpenRun
from shared.model.results import Case, Result

log = structlog.get_logger(__name__)


class LedgerSink:
    """For one run and one owner of it. Every write is begun anew while the database is away."""

    def __init__(
        self, floor: Floor, ledger: Ledger, planned: Planned, run: OpenRun, work: Work, hosts: Sequence[str] = ()
    ) -> None:
        self._floor, self._ledger, self._planned, self._run, self._work = floor, ledger, planned, run, work
        self._hosts = hosts
        self._tests = 0

    async def stands(self) -> History:
        return await steadily(self._stands)

    async def _stands(self) -> History:
        planned, run = self._planned, self._run
        seconds = await durations(self._floor.pool, planned.remote, planned.executor)
        bad = await known_bad(self._floor.pool, planned.remote, planned.executor)
        if run.fresh:
            return History(seconds=seconds, known_bad=bad)
        hosts = await last_hosts(self._floor.pool, planned.ident)
        async with self._floor.pool.acquire() as conn, conn.transaction():
            finished = await self._ledger.finished_tests(conn, run)
            rows = await conn.fetch(SQL["interrupted"], *planned.ident, run.lease_number)
        interrupted = Counter((row["grp"], row["test"], int(row["attempt"])) for row in rows)
        return History(finished, interrupted, hosts, seconds, bad)

    async def planned(self, tests: int, expected_end: datetime) -> None:
        self._tests = tests
        await self._transact(lambda conn: self._expect(conn, expected_end))

    async def _expect(self, conn: Connection, end: datetime) -> None:
        await self._ledger.plan(conn, self._run, self._tests, min(end, self._planned.deadline))

    async def began(self, task: Task, host: str) -> None:
        await self._fenced(
            "began", *self._planned.ident, *task.key, task.number, host, self._run.lease_number, self._run.id
        )

    async def ended(self, attempt: Attempt, host: str, expected_end: datetime) -> None:
        packed = part(attempt.files)
        sha256 = await steadily(lambda: keep(self._floor, packed, "operator"))

        async def write(conn: Connection) -> None:
            # The run's row first, as every writer of it: locks taken in one order cannot meet.
            await self._expect(conn, expected_end)
            await self._ledger.append(conn, self._run, public(attempt.cases, self._hosts))
            name = part_name(attempt.group, attempt.test, attempt.number)
            await self._ledger.attach(conn, self._run, name, sha256, len(packed))
            await conn.execute(SQL["ended"], *self._planned.ident, attempt.group, attempt.test, attempt.number)
            await self._learn(conn, attempt)

        await self._transact(write)

    async def _learn(self, conn: Connection, attempt: Attempt) -> None:
        """How long it takes, for the next run's order. A retry, or what was cut off, says nothing of that."""
        if attempt.number == 0 and attempt.cases and attempt.cases[0].result is not Result.NOT_RUN:
            key = (self._planned.remote, self._planned.executor, attempt.group, attempt.test)
            await conn.execute(SQL["took"], *key, attempt.seconds)

    async def not_run(self, cases: Sequence[Case]) -> None:
        if cases:
            await self._transact(lambda conn: self._ledger.append(conn, self._run, public(cases, self._hosts)))

    async def host(self, address: str, state: str, reason: str) -> None:
        await self._fenced(
            "host", self._planned.remote, self._planned.executor, address, label(address, self._hosts), state,
            hidden(reason, self._hosts), self._run.id, self._run.lease_number,
        )  # fmt: skip

    async def end(self, ending: Ending) -> None:
        pack = await steadily(self._pack)
        closing = Closing(ending.state, ending.cause, ending.reason, pack, toolchain=ending.toolchain)

        async def close(conn: Connection) -> None:
            await self._ledger.finish(conn, self._run, closing)
            await self._ledger.detach(conn, self._run, PART)
            await settle(conn, self._planned.ident, ending.state, ending.reason)
            await finish(conn, self._work)

        await self._transact(close)

    async def _pack(self) -> str:
        """Fold the attempts' logs into the run's, one at a time: a run's logs may be larger than our memory."""
        planned = self._planned
        async with self._floor.pool.acquire() as conn:
            parts = await self._ledger.artifacts(conn, self._run, PART)
        executor = f"{planned.remote}/{planned.executor}"
        whole = gathering(f"run {self._run.id} of {executor} on {planned.branch}, {planned.commit}")
        for name, sha256 in parts.items():
            try:
                whole.take(await self._floor.blobs.get(sha256))
            except (Missing, InfraError) as exc:
                # A run must be able to end without a log that its disk has lost.
                log.error("run: a log is lost", name=name, error=str(exc))
        return await keep(self._floor, whole.packed(), planned.visibility)

    async def _fenced(self, statement: str, *args: object) -> None:
        if await steadily(lambda: self._floor.pool.fetchval(SQL[statement], *args)) is None:
            raise Superseded(f"run {self._run.id} is closed, or held by a newer lease than {self._run.lease_number}")

    async def _transact(self, write: Callable[[Connection], Awaitable[None]]) -> None:
        async def once() -> None:
            async with self._floor.pool.acquire() as conn, conn.transaction():
                await write(conn)

        await steadily(once)
