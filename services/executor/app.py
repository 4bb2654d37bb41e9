"""The executor room put together."""

import asyncio
from collections.abc import Callable
from typing import Never

import structlog

from services.executor.drivers.here import Here
from services.executor.handlers import handlers, plan_cut
from services.executor.rack import fit
from services.executor.runs import Bench, Runs
from services.executor.store import SQL, settle_hosts, work_kind, work_row
from services.executor.table_work import TableWork
from services.executor.trees import Trees
from shared.bus.base import Queue
from shared.db.lease import alone
from shared.db.pool import AWAY
from shared.db.work import enqueue
from shared.disk import low
from shared.floor import Floor
from shared.health import report_health
from shared.settings import ExecutorTable, Settings

log = structlog.get_logger(__name__)

RECONCILE = 60.0
UNPLANNED = 86400.0
"""Seconds; an announced branch that is older and was never planned is not tested any more."""


def bench(settings: Settings, table: ExecutorTable) -> Bench:
    """An executor ready to run. Raises Refused, naming the key, if its suite or driver is misconfigured."""
    project, _, _ = settings.project_of(table.streams[0])
    trees = Trees(settings.data, project)
    here = Here(settings.data / "executor", settings.checks, trees.store)
    return fit(table, f"{table.remote}/{table.name}", trees, here)


class ExecutorRoom:
    """Plans branches, and runs what is planned on the hosts it can reach."""

    name = "executor"

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._benches = [(table, bench(floor.settings, table)) for table in floor.settings.executors]

    async def run(self, ready: Callable[[], None]) -> Never:
        floor = self._floor
        async with asyncio.TaskGroup() as group:
            group.create_task(floor.bus.consume(Queue("executor", handlers(floor))))
            for table, one in self._benches:
                group.create_task(self._work(table, one))
            group.create_task(self._reconcile())
            ready()
        raise AssertionError("a room never ends")

    async def _work(self, table: ExecutorTable, one: Bench) -> Never:
        """One process works for an executor at a time: its hosts take one run at a time."""
        floor = self._floor
        work = TableWork(floor, table, one.driver.hosts)

        async def body(number: int) -> Never:
            await settle_hosts(floor.pool, table.remote, table.name, one.driver.hosts)
            await Runs(one, floor.clock).work_off(work)

        await alone(floor.pool, f"executor:{one.name}", floor.holder, body)
        raise AssertionError("a lease never ends")

    async def _reconcile(self) -> Never:
        """What events would have told us, read from the tables: nothing is lost with a message."""
        while True:
            try:
                await reconcile(self._floor)
            except AWAY as exc:
                # Runs go on meanwhile: an exception from here would end them with the room.
                log.warning("reconcile: the database is away", error=str(exc) or type(exc).__name__)
            except Exception:
                log.exception("reconcile: a bug")
            await asyncio.sleep(RECONCILE)


async def reconcile(floor: Floor) -> None:
    """Plan what no event told us of, ask again for work whose row was lost, forget what is old, look at the disk."""
    async with floor.pool.acquire() as conn, conn.transaction():
        for row in await conn.fetch(SQL["unplanned_cuts"], UNPLANNED):
            await plan_cut(floor, conn, row["id"])
        for row in await conn.fetch(SQL["open_plans"]):
            kind = work_kind(row["remote"], row["executor"])
            work = work_row(row["remote"], row["executor"], row["cut_id"])
            await enqueue(conn, "executor", kind, str(row["cut_id"]), work)
        await conn.execute(SQL["forget_attempts"])
    short = low(floor.settings)
    await report_health(floor, "disk:executor", not short, short)
