"""This machine as the engine of checks sees it: made when the first series asks for it, and told of on the pages."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import structlog

from services.executor.builds.builder import builders
from services.executor.cage.absent import NoCage, tried
from services.executor.cage.at_hand import isolation_for
from services.executor.cage.base import Isolation
from services.executor.check_queue.store import SQL
from services.executor.checking.place import Machine, Place
from services.executor.trees import Trees
from shared.errors import InfraError, NetciError
from shared.floor import Floor
from shared.health import report_health

log = structlog.get_logger(__name__)

ISOLATION = "checks:isolation"
"""Whether hostile code is held in a cage here, as a line of health."""


class Machines:
    """Places and stores by project."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._machine: Machine | None = None
        self._places: dict[str, Place] = {}
        self._trees: dict[str, Trees] = {}
        self._making = asyncio.Lock()

    @property
    def folder(self) -> Path:
        """May be deleted at any time while nobody works."""
        return self._floor.settings.data / "executor" / "checks"

    def trees(self, project: str) -> Trees:
        return self._trees.setdefault(project, Trees(self._floor.settings.data, project))

    async def place(self, project: str) -> Place:
        """Where the project's checks run. What those left who were killed is cleared away first, once."""
        async with self._making:
            machine = await self._made()
            if project not in self._places:
                store = self.trees(project).store
                await store.ensure()
                place = machine.place(store, self.folder / project, builders(self.folder / "built"))
                await asyncio.to_thread(place.sweep)
                self._places[project] = place
            return self._places[project]

    async def prepare(self, projects: Sequence[str]) -> None:
        """Clear away at once what is left of processes that were killed, whether or not a series comes."""
        for project in projects:
            try:
                await self.place(project)
            except (NetciError, OSError) as exc:
                log.warning("checks: not ready", project=project, error=str(exc))

    async def warm(self, project: str) -> None:
        """Have the heads of the project's trees here before a series on them comes."""
        trees = self._floor.settings.projects[project].trees
        for row in await self._floor.pool.fetch(SQL["heads"], project):
            if row["name"] in trees:
                await self.trees(project).fetch(row["head"], trees[row["name"]].git)

    async def _made(self) -> Machine:
        """Where there was no cage the last time, there may be one by now."""
        if self._machine is None or isinstance(self._machine.isolation, NoCage):
            self.close()
            self._machine = Machine.of(await asyncio.to_thread(self._isolation), self._floor.settings.checks)
        return self._machine

    def _isolation(self) -> Isolation:
        try:
            return isolation_for(self._floor.settings.checks, self.folder / "cages")
        except InfraError as exc:
            return NoCage(str(exc))

    def close(self) -> None:
        """Remove what was made for this process alone."""
        while self._places:
            self._places.popitem()[1].close()
        if self._machine is not None:
            self._machine.isolation.close()

    async def tell(self) -> None:
        """How hostile code is held here, for the status page: running bare is nothing to be silent of."""
        async with self._making:
            isolation = (await self._made()).isolation
        bare = self._floor.settings.checks.isolation == "bare"
        trouble = "checks run bare: code of patches runs as this user, and with its network" if bare else ""
        trouble = await tried(isolation) or trouble
        await report_health(self._floor, ISOLATION, not trouble, trouble or isolation.name)
