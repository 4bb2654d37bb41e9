"""A run's results into the ledger: the database's body of `Sink`. Fenced by the run's lease number."""

from collections.abc import Sequence
from datetime import datetime

from services.executor.harvest import part, part_name
from services.executor.schedule import Task
from services.executor.store import SQL, Planned
from services.executor.suites.attempt import Attempt
from shared.blobs.record import keep
from shared.floor import Floor
from shared.ledger import Ledger, OpenRun
from shared.model.results import Case


class LedgerSink:
    """For one run and one owner of it."""

    def __init__(
        self, floor: Floor, ledger: Ledger, planned: Planned, run: OpenRun, hosts: Sequence[str] = ()
    ) -> None:
        self._floor, self._ledger, self._planned, self._run = floor, ledger, planned, run
        self._hosts = list(hosts)

    async def planned(self, tests: int, expected_end: datetime) -> None:
        end = min(expected_end, self._planned.deadline)
        async with self._floor.pool.acquire() as conn, conn.transaction():
            await self._ledger.plan(conn, self._run, tests, end)

    async def began(self, task: Task, host: str) -> None:
        await self._floor.pool.execute(
            SQL["began"], *self._planned.ident, *task.key, task.number, host, self._run.lease_number
        )

    async def ended(self, attempt: Attempt, host: str) -> None:
        packed = part(attempt.files)
        sha256 = await keep(self._floor, packed, "operator")
        async with self._floor.pool.acquire() as conn, conn.transaction():
            await self._ledger.append(conn, self._run, attempt.cases)
            name = part_name(attempt.group, attempt.test, attempt.number)
            await self._ledger.attach(conn, self._run, name, sha256, len(packed))
            await conn.execute(SQL["ended"], *self._planned.ident, attempt.group, attempt.test, attempt.number)
            if attempt.number == 0:
                key = (self._planned.remote, self._planned.executor, attempt.group, attempt.test)
                await conn.execute(SQL["took"], *key, attempt.seconds)

    async def not_run(self, cases: Sequence[Case]) -> None:
        if cases:
            async with self._floor.pool.acquire() as conn, conn.transaction():
                await self._ledger.append(conn, self._run, cases)

    async def host(self, address: str, state: str, reason: str) -> None:
        # Addresses of machines are nobody's business outside: pages know hosts by their place in the list.
        place = self._hosts.index(address) + 1 if address in self._hosts else 0
        label = f"host {place}"
        await self._floor.pool.execute(
            SQL["host"], self._planned.remote, self._planned.executor, address, label, state, reason
        )
