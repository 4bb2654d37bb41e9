"""A run's results into the ledger: the database's body of `Sink`. Fenced by the run's lease number."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime

from services.executor.harvest import part, part_name
from services.executor.labels import hidden, label
from services.executor.schedule import Task
from services.executor.steady import steadily
from services.executor.store import SQL, Planned
from services.executor.suites.attempt import Attempt
from shared.blobs.record import keep
from shared.db.pool import Connection
from shared.errors import Superseded
from shared.floor import Floor
from shared.ledger import Ledger, OpenRun
from shared.model.results import Case, Cause, Result


class LedgerSink:
    """For one run and one owner of it. Every write is begun anew while the database is away."""

    def __init__(self, floor: Floor, ledger: Ledger, planned: Planned, run: OpenRun, hosts: Sequence[str] = ()) -> None:
        self._floor, self._ledger, self._planned, self._run = floor, ledger, planned, run
        self._hosts = hosts
        self._tests = 0

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
            await self._ledger.append(conn, self._run, self._public(attempt.cases))
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
            await self._transact(lambda conn: self._ledger.append(conn, self._run, self._public(cases)))

    def _public(self, cases: Sequence[Case]) -> Sequence[Case]:
        """What we say of machines names none. What a test says is its own."""
        return [
            replace(case, detail=hidden(case.detail, self._hosts)) if case.cause is Cause.INFRA else case
            for case in cases
        ]

    async def host(self, address: str, state: str, reason: str) -> None:
        await self._fenced(
            "host", self._planned.remote, self._planned.executor, address, label(address, self._hosts), state,
            hidden(reason, self._hosts), self._run.id, self._run.lease_number,
        )  # fmt: skip

    async def _fenced(self, statement: str, *args: object) -> None:
        if await steadily(lambda: self._floor.pool.fetchval(SQL[statement], *args)) is None:
            raise Superseded(f"run {self._run.id} is closed, or held by a newer lease than {self._run.lease_number}")

    async def _transact(self, write: Callable[[Connection], Awaitable[None]]) -> None:
        async def once() -> None:
            async with self._floor.pool.acquire() as conn, conn.transaction():
                await write(conn)

        await steadily(once)
