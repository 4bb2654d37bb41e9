"""The room of checks put together: executor's other half, in a process that never has a key of any machine.

Whatever is checked is hostile code. So it is never run by a process that can reach test machines: `netci run checks`
is a room of its own, with the executor's tables and none of its secrets.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Never

import structlog

from services.executor.check_queue.asking import Asker
from services.executor.check_queue.builder import BuilderAsker, driver_of
from services.executor.check_queue.decide import LANES, Lane
from services.executor.check_queue.engine_asker import EngineAsker
from services.executor.check_queue.handlers import Rechecking, handlers, reconcile, say_hands
from services.executor.check_queue.machine import Machines
from services.executor.check_queue.ordering import keep_order
from services.executor.check_queue.planning import Planner
from services.executor.check_queue.store import ROOM, kind_of
from services.executor.check_queue.work import CheckWork
from services.executor.checking.configured import checks_of
from services.executor.checks.base import Check
from shared import recheck
from shared.bus.base import Queue
from shared.db.lease import held
from shared.db.pool import AWAY
from shared.db.work import Desk, Do
from shared.disk import low
from shared.errors import NetciError
from shared.floor import Floor
from shared.health import report_health
from shared.ledger import Ledger
from shared.settings import Settings

log = structlog.get_logger(__name__)

RECONCILE = 60.0
HANDS: Mapping[Lane, int] = {"mail": 2, "tree": 2}
"""Plans of a lane at one time in one process; of builds the configuration says how many. How many commands these run
together is bounded by `checks.hands`."""


class ChecksRoom:
    """Plans the checks of series, and asks them. `racks` and `asker` are given by tests; else they are configured."""

    name = ROOM

    def __init__(
        self, floor: Floor, racks: Mapping[str, tuple[Check, ...]] | None = None, asker: Asker | None = None
    ) -> None:
        self._floor = floor
        self._planner = Planner(floor.settings, racks_of(floor.settings) if racks is None else racks, floor.clock,
                                Ledger(ROOM))  # fmt: skip
        self._machines = Machines(floor)
        self._asker = asker or asker_of(floor, self._machines)
        self._hands = {**HANDS, "build": floor.settings.checks.builds}

    async def run(self, ready: Callable[[], None]) -> Never:
        try:
            await self._loops(ready)
        finally:
            self._machines.close()
        raise AssertionError("a room never ends")

    async def _loops(self, ready: Callable[[], None]) -> None:
        floor = self._floor
        async with asyncio.TaskGroup() as group:
            group.create_task(floor.bus.consume(Queue(ROOM, handlers(self._planner))))
            work = CheckWork(floor, self._planner, self._asker)
            for lane in LANES:
                if hands := self._hands[lane]:
                    group.create_task(self._desk({kind_of(lane): work.do}, hands).run())
            group.create_task(self._desk({recheck.KIND: Rechecking(floor, self._planner).do}, 1).run())
            group.create_task(keep_order(floor))
            group.create_task(self._reconcile())
            group.create_task(self._warm())
            ready()

    async def _warm(self) -> Never:
        """A fetch of what moved, so that the first series on it need not wait for that."""
        while True:
            for project in self._planner.projects:
                try:
                    await self._machines.warm(project)
                except (NetciError, *AWAY) as exc:
                    log.info("checks: not at hand yet", project=project, reason=str(exc) or type(exc).__name__)
            await asyncio.sleep(RECONCILE)

    def _desk(self, kinds: Mapping[str, Do], hands: int) -> Desk:
        floor = self._floor
        return Desk(floor.pool, floor.bells, ROOM, floor.holder, kinds, hands)

    async def _reconcile(self) -> Never:
        """What events would have told us, read from the tables: nothing is lost with a message."""
        await self._machines.prepare(self._planner.projects)
        while True:
            try:
                if found := await reconcile(self._floor, self._planner):
                    log.info("checks: reconciled", acts=found)
                await say_hands(self._floor, self._hands)
                if self._planner.projects:
                    await self._machines.tell()
                short = low(self._floor.settings)
                await report_health(self._floor, f"disk:{ROOM}", not short, short)
            except AWAY as exc:
                log.warning("reconcile: the database is away", error=str(exc) or type(exc).__name__)
            except Exception:
                log.exception("reconcile: a bug")
            await asyncio.sleep(RECONCILE)


def racks_of(settings: Settings) -> dict[str, tuple[Check, ...]]:
    """The configured checks of every project. Raises Refused, naming the key."""
    return {name: checks_of(project, f"projects.{name}") for name, project in settings.projects.items()}


def asker_of(floor: Floor, machines: Machines) -> Asker:
    """This machine; for builds the configured one. Raises Refused, naming the key."""
    here = EngineAsker(floor, machines.place, machines.trees)
    if (table := floor.settings.checks.builder) is None:
        return here

    def alone(host: str) -> AbstractAsyncContextManager[int]:
        # A name of its own each time: another hand of this very process must wait, too.
        return held(floor.pool, f"host:{host}", f"{floor.holder}:{ROOM}:{secrets.token_hex(4)}")

    return BuilderAsker(table, here, machines.trees, alone, driver_of(table))
