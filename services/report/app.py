"""The composition root of report: the one place where its parts meet.

Without I/O of its own. The pages are `web`; they are started last, so that the room says it is ready only when all
of it takes part.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Never

from services.report.channels import wanted
from services.report.deciding import Deciding
from services.report.dispatch import Poster
from services.report.handlers import FOLD, OVERDUE, ROLL_UP, Handling
from services.report.intents import Intents
from services.report.reconcile import Reconciling
from shared.bus.base import Queue
from shared.db.lease import alone
from shared.db.work import Desk
from shared.floor import Floor

HANDS = 2


class ReportRoom:
    """The front door out: folds runs into verdicts, posts them, serves pages, API and the stream of events."""

    name = "report"

    def __init__(self, floor: Floor) -> None:
        self._floor = floor

    async def run(self, ready: Callable[[], None]) -> Never:
        from services.report.web.app import serve

        async with AsyncExitStack() as stack:
            posters = await self._posters(stack)
            async with asyncio.TaskGroup() as group:
                self.start(group, posters)
                group.create_task(serve(self._floor, ready))
        raise AssertionError("a room never ends")

    def start(self, group: asyncio.TaskGroup, posters: list[Poster]) -> None:
        """Start all but the pages."""
        floor, deciding = self._floor, Deciding(self._floor.settings)
        handling = Handling(floor.pool, deciding, floor.clock)
        kinds = {FOLD: handling.fold, OVERDUE: handling.overdue, ROLL_UP: handling.roll_up}
        desk = Desk(floor.pool, floor.bells, self.name, floor.holder, kinds, HANDS)
        group.create_task(floor.bus.consume(Queue(self.name, handling.handlers)))
        group.create_task(desk.run())
        group.create_task(Reconciling(floor, deciding, Intents(floor.settings)).run())
        for poster in posters:
            group.create_task(alone(floor.pool, f"poster:{poster.name}", floor.holder, poster.run))

    async def _posters(self, stack: AsyncExitStack) -> list[Poster]:
        """One for each project and channel. Raises Refused where a channel lacks its secret."""
        posters = []
        for name, project in self._floor.settings.projects.items():
            for kind in wanted(project):
                channel = await stack.enter_async_context(kind.opened(project, self._floor.settings.public_url))
                posters.append(Poster(self._floor, name, project.post, channel))
        return posters
