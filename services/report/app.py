"""The composition root of report: the one place where its parts meet.

Without I/O of its own. The pages are `web`; they are started last, so that the room says it is ready only when all
of it takes part.
"""

from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any, Never

from services.report.channels import wanted
from services.report.deciding import Deciding
from services.report.dispatch import Poster
from services.report.handlers import FOLD, OVERDUE, ROLL_UP, Handling
from services.report.hooks.carry import Carrier, client
from services.report.hooks.seal import seal_of
from services.report.hooks.sender import LEASE, Sender
from services.report.intents import Intents
from services.report.reconcile import Reconciling
from services.report.remotes.watch import Watching
from services.report.web.app import Describe, serve
from shared.bus.base import Queue
from shared.db.lease import alone
from shared.db.work import Desk
from shared.floor import Floor
from shared.net import Reach
from shared.race import race
from shared.web.app import Ready

HANDS = 2
PATIENCE = 5.0
"""Seconds for the name of a webhook's host to resolve."""

Extra = Callable[[Any], Any]
"""Given the web application, adds routes to it."""


class ReportRoom:
    """The front door out: folds runs into verdicts, posts them, serves pages, API and the stream of events."""

    name = "report"

    def __init__(
        self,
        floor: Floor,
        extra: Extra | None = None,
        readiness: Ready | None = None,
        describe: Describe | None = None,
    ) -> None:
        """`extra` adds routes of other rooms of this process to the pages'; `readiness` is what /readyz tells;
        `describe` makes the OpenAPI document of all rooms.
        """
        self._floor = floor
        self._extra = extra
        self._readiness = readiness
        self._describe = describe

    async def run(self, ready: Callable[[], None]) -> Never:
        async with AsyncExitStack() as stack:
            parts = self.parts(await self._posters(stack))
            parts += await self._webhooks(stack)
            await race(serve(self._floor, ready, self._extra, self._readiness, self._describe), *parts)
        raise AssertionError("a room never ends")

    def parts(self, posters: Sequence[Poster]) -> list[Coroutine[Any, Any, Never]]:
        """All loops but the pages, to be raced: the first that breaks ends the others, and its error is told bare."""
        floor, deciding = self._floor, Deciding(self._floor.settings)
        handling = Handling(floor.pool, deciding, floor.clock)
        kinds = {FOLD: handling.fold, OVERDUE: handling.overdue, ROLL_UP: handling.roll_up}
        return [
            floor.bus.consume(Queue(self.name, handling.handlers)),
            Desk(floor.pool, floor.bells, self.name, floor.holder, kinds, HANDS).run(),
            Reconciling(floor, deciding, Intents(floor.settings)).run(),
            Watching(floor).run(),
            *(alone(floor.pool, f"poster:{poster.name}", floor.holder, poster.run) for poster in posters),
        ]

    async def _posters(self, stack: AsyncExitStack) -> list[Poster]:
        """One for each project and channel. Raises Refused where a channel lacks its secret."""
        posters = []
        for name, project in self._floor.settings.projects.items():
            for kind in wanted(project):
                channel = await stack.enter_async_context(kind.opened(project, self._floor.settings.public_url))
                posters.append(Poster(self._floor, name, project.post, channel))
        return posters

    async def _webhooks(self, stack: AsyncExitStack) -> list[Coroutine[Any, Any, Never]]:
        """The sender, where there is a key for the secrets. Raises Refused for a file that holds none."""
        settings = self._floor.settings
        if (seal := seal_of(settings)) is None:
            return []
        http = await stack.enter_async_context(client(settings.public_url, settings.webhooks.ca_file))
        reach = Reach(settings.outgoing.allow_private, patience=PATIENCE)
        sender = Sender(self._floor, Carrier(http, reach, seal))
        return [alone(self._floor.pool, LEASE, self._floor.holder, sender.run)]
