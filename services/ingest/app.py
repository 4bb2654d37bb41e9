"""The ingest room: who polls which source, and who takes in what was seen.

The composition root. Each source is polled by one process of the installation; every process that runs the room
takes in series.
"""

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Never

from services.ingest.announce import ROOM
from services.ingest.poller import Poller, Times
from services.ingest.sources import open_sources
from services.ingest.sources.base import Source
from services.ingest.standing import Rules
from services.ingest.store import IngestStore
from services.ingest.take import Taking
from shared.db.lease import alone
from shared.db.work import Desk, Work
from shared.errors import Missing
from shared.floor import Floor
from shared.race import race
from shared.settings import Patchwork

HANDS = 4


class IngestRoom:
    """Takes series in from the sources of every project."""

    name = ROOM

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._takings: dict[str, Taking] = {}

    async def run(self, ready: Callable[[], None]) -> Never:
        floor = self._floor
        async with AsyncExitStack() as stack:
            opened = await open_sources(stack, floor.settings)
            pollers = {f"poller:{source.label}": self._join(source, settings) for source, settings in opened}
            desk = Desk(floor.pool, floor.bells, ROOM, floor.holder, {"take": self._take}, HANDS)
            ready()
            await race(
                desk.run(), *(alone(floor.pool, lease, floor.holder, poller.run) for lease, poller in pollers.items())
            )
        raise AssertionError("the room never ends")

    def _join(self, source: Source, settings: Patchwork) -> Poller:
        """The poller of `source`; what it orders is taken in with the same rules."""
        floor, store = self._floor, IngestStore(source)
        rules = Rules(settings.open_states, settings.ignore_delegates)
        project = floor.settings.projects[source.project]
        cadences = tuple(stream.every for stream in project.streams.values())
        times = Times(settings.poll, settings.reconcile, settings.sync_queue, settings.incomplete_after, cadences)
        self._takings[source.label] = Taking(floor, source, project, store, rules)
        return Poller(floor, source, store, rules, times)

    async def _take(self, work: Work) -> None:
        label = f"{work.payload['project']}/{work.payload['source']}"
        if label not in self._takings:
            raise Missing(f"no source {label} is configured any more")
        await self._takings[label].take(work)
