"""Runs as rows of work under leases: the database's body of `Work`."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Never

import structlog

from services.executor.ledger_sink import LedgerSink
from services.executor.steady import steadily
from services.executor.store import SQL, Planned, hindered, load_plan, settle, work_kind
from services.executor.work import Order
from shared.db.lease import held
from shared.db.work import Postpone, Tray, Work, finish
from shared.disk import low
from shared.errors import Superseded
from shared.floor import Floor
from shared.ledger import Ledger, Opening, OpenRun
from shared.pauses import paused
from shared.settings import ExecutorTable

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class TableWork:
    """The runs of one executor. `hosts` are its driver's, in the order of their labels."""

    floor: Floor
    table: ExecutorTable
    hosts: tuple[str, ...]
    ledger: Ledger = field(default_factory=lambda: Ledger("executor"))

    @property
    def name(self) -> str:
        return f"{self.table.remote}/{self.table.name}"

    @property
    def tray(self) -> Tray:
        kind = work_kind(self.table.remote, self.table.name)
        floor = self.floor
        return Tray(floor.pool, floor.bells, "executor", floor.holder, (kind,), self.table.hold)

    async def claim(self) -> "TableClaim | None":
        work = await self.tray.take()
        return None if work is None else await self.take_up(work)

    async def take_up(self, work: Work) -> "TableClaim | None":
        """The row's plan; None, and the row settled, if that needs nobody any more."""
        planned = await load_plan(self.floor.pool, work.payload["cut"], self.table.remote, self.table.name)
        if planned is not None and planned.state in ("planned", "running"):
            return TableClaim(self, work, planned)
        async with self.floor.pool.acquire() as conn, conn.transaction():
            await finish(conn, work)
        return None


@dataclass(frozen=True)
class TableClaim:
    """See `work.Claim`. Fenced by the row's lease number."""

    at: TableWork
    work: Work
    planned: Planned

    @property
    def order(self) -> Order:
        p = self.planned
        name = f"cut{p.cut_id}-{p.remote}-{p.executor}"
        return Order(name, p.branch, p.commit, p.base, p.public_url, p.deadline, p.state == "running")

    async def heartbeat(self) -> Never:
        await self.at.tray.keep(self.work)

    async def hindrance(self) -> str:
        if why := await paused(self.at.floor.pool, "executor", self.at.name):
            return f"paused: {why}"
        return low(self.at.floor.settings) if self.planned.state == "planned" else ""

    async def gate(self) -> bool:
        """Closed while the executor is paused: the test that runs goes on, the next is not started."""
        floor = self.at.floor
        seen = floor.bells.count("netci_pauses")
        if await steadily(lambda: paused(floor.pool, "executor", self.at.name)) is None:
            return True
        await floor.bells.wait("netci_pauses", seen, 5)
        return False

    def host(self, address: str) -> AbstractAsyncContextManager[int]:
        """For this owner of this run: a former one in this very process must have let go, too."""
        holder = f"{self.at.floor.holder}:{self.at.name}:{self.work.number}"
        return held(self.at.floor.pool, f"host:{address}", holder)

    async def open(self) -> LedgerSink | None:
        at, planned = self.at, self.planned
        async with at.floor.pool.acquire() as conn, conn.transaction():
            try:
                run = await at.ledger.open(conn, self._opening())
            except Superseded as exc:
                log.info("run: not ours", reason=str(exc))
                await settle(conn, planned.ident, "done", str(exc))
                await finish(conn, self.work)
                return None
            await conn.execute(SQL["plan_running"], *planned.ident, run.id)
        return self.sink(run)

    def sink(self, run: OpenRun) -> LedgerSink:
        return LedgerSink(self.at.floor, self.at.ledger, self.planned, run, self.work, self.at.hosts)

    def _opening(self) -> Opening:
        planned = self.planned
        return Opening(
            project=planned.project, remote=planned.remote, executor=planned.executor, stream=planned.stream,
            branch=planned.branch, cut_id=planned.cut_id, lease_number=self.work.number,
            expected_end=planned.deadline, kernel_commit=planned.commit, suite_commit=planned.commit,
            visibility=planned.visibility,
        )  # fmt: skip

    async def put_off(self, wait: float, reason: str) -> Never:
        await hindered(self.at.floor.pool, self.planned.ident, reason)
        raise Postpone(wait, reason)

    async def finish(self, reason: str) -> None:
        async with self.at.floor.pool.acquire() as conn, conn.transaction():
            await settle(conn, self.planned.ident, "skipped", reason)
            await finish(conn, self.work)

    async def broke(self, exc: Exception) -> None:
        await self.at.tray.broke(self.work, exc)
