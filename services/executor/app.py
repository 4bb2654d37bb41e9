"""The executor room put together."""

import asyncio
from collections.abc import Callable
from typing import Any, Never

import structlog
from pydantic import TypeAdapter, ValidationError

from services.executor.drivers import DriverConfig, driver_for
from services.executor.handlers import handlers, plan_cut
from services.executor.runs import Bench, Runs
from services.executor.store import SQL, settle_hosts, work_kind, work_row
from services.executor.suites import SuiteConfig, suite_for
from services.executor.trees import Trees
from shared.bus.base import Queue
from shared.db.lease import alone
from shared.db.pool import AWAY
from shared.db.work import Desk, enqueue
from shared.disk import low
from shared.errors import Refused
from shared.floor import Floor
from shared.health import report_health
from shared.settings import ExecutorTable, Settings

log = structlog.get_logger(__name__)

RECONCILE = 60.0
UNPLANNED = 86400.0
"""Seconds; an announced branch that is older and was never planned is not tested any more."""


def bench(settings: Settings, table: ExecutorTable) -> Bench:
    """An executor ready to run. Raises Refused, naming the key, if its suite or driver is misconfigured."""
    suite = _checked(TypeAdapter(SuiteConfig), table.suite, f"executors.{table.name}.suite")
    driver = _checked(TypeAdapter(DriverConfig), table.driver, f"executors.{table.name}.driver")
    project, _, _ = settings.project_of(table.streams[0])
    return Bench(table, driver_for(driver), suite_for(suite), Trees(settings.data, project))


def _checked(adapter: TypeAdapter[Any], value: object, where: str) -> Any:
    try:
        return adapter.validate_python(value)
    except ValidationError as exc:
        lines = [f"{where}.{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in exc.errors()]
        raise Refused("\n".join(lines)) from None


def benches(settings: Settings) -> list[Bench]:
    """All configured executors."""
    return [bench(settings, table) for table in settings.executors]


class ExecutorRoom:
    """Plans branches, and runs what is planned on the hosts it can reach."""

    name = "executor"

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._benches = benches(floor.settings)

    async def run(self, ready: Callable[[], None]) -> Never:
        floor = self._floor
        async with asyncio.TaskGroup() as group:
            group.create_task(floor.bus.consume(Queue("executor", handlers(floor))))
            for one in self._benches:
                group.create_task(self._work(one))
            group.create_task(self._reconcile())
            ready()
        raise AssertionError("a room never ends")

    async def _work(self, one: Bench) -> Never:
        """One process works for an executor at a time: its hosts take one run at a time."""
        floor = self._floor
        desk = Desk(
            floor.pool, floor.bells, "executor", floor.holder,
            {work_kind(one.table.remote, one.table.name): Runs(floor, one).do}, lease=one.table.hold,
        )  # fmt: skip

        async def body(number: int) -> Never:
            await settle_hosts(floor.pool, one.table.remote, one.table.name, one.driver.hosts)
            await desk.run()

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
