"""The room's composition root: its loops, and what each is made of."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Never

import structlog

from services.branch.apply import Applying
from services.branch.cutter import Cutter
from services.branch.handlers import HANDLERS, reconcile
from services.branch.publish import Publishing
from services.branch.repos import Repos
from services.branch.retain import Retention
from services.branch.trees import Trees
from shared.bus.base import Queue
from shared.db.lease import alone
from shared.db.pool import AWAY
from shared.db.work import Desk, Do
from shared.floor import Floor

log = structlog.get_logger(__name__)

_RECONCILE = 120.0
_HANDS = 3


class BranchRoom:
    """Follows trees, settles and publishes series, cuts and prunes branches."""

    name = "branch"

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._repos = Repos(floor.settings)
        self._trees = Trees(floor, self._repos)

    async def run(self, ready: Callable[[], None]) -> Never:
        """Do the room's work until cancelled."""
        try:
            for project in self._floor.settings.projects:
                await self._repos.store(project)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._floor.bus.consume(Queue("branch", HANDLERS)))
                group.create_task(self._desk().run())
                group.create_task(self._alone("branch:trees", self._trees.run))
                group.create_task(self._alone("branch:retention", Retention(self._floor, self._repos).run))
                for cutter in self._cutters():
                    group.create_task(self._alone(f"cutter:{cutter.stream}", cutter.run))
                group.create_task(self._reconcile())
                ready()
        finally:
            self._repos.close()
        raise AssertionError("the room's loops never end")

    def _desk(self) -> Desk:
        kinds: dict[str, Do] = {
            "apply": Applying(self._floor, self._repos, self._trees),
            "publish": Publishing(self._floor, self._repos),
        }
        return Desk(self._floor.pool, self._floor.bells, "branch", self._floor.holder, kinds, hands=_HANDS)

    def _cutters(self) -> list[Cutter]:
        streams = [name for project in self._floor.settings.projects.values() for name in project.streams]
        return [Cutter(self._floor, self._repos, self._trees, name) for name in streams]

    async def _alone(self, name: str, body: Callable[[int], Awaitable[Never]]) -> Never:
        await alone(self._floor.pool, name, self._floor.holder, body)

    async def _reconcile(self) -> Never:
        """From the tables, now and every two minutes: a lost event costs time, nothing else."""
        projects = list(self._floor.settings.projects)
        while True:
            try:
                async with self._floor.pool.acquire() as conn, conn.transaction():
                    if found := await reconcile(conn, projects):
                        log.info("reconciled", series=found)
            except AWAY as exc:
                log.warning("reconcile: the database is away", error=str(exc))
            await asyncio.sleep(_RECONCILE)
