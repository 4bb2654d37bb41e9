"""The ingest room: who polls which source or remote, who takes in what was seen, and the door for labs and hooks.

The composition root. Each source and each remote's manifest is polled by one process of the installation; every
process that runs the room takes in series and serves labs: on `ingest.listen`, or through report's listener where both
are in one process.
"""

import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Never

from services.ingest.announce import ROOM
from services.ingest.api import LabDoor, add_routes
from services.ingest.api.desk import LabDesk
from services.ingest.api.reaper import LEASE, Reaper
from services.ingest.poller import Poller, Times
from services.ingest.remotes import make_pollers
from services.ingest.sources import open_sources
from services.ingest.sources.base import Source
from services.ingest.standing import Rules
from services.ingest.store import IngestStore
from services.ingest.take import Taking
from shared.db.lease import alone
from shared.db.work import Desk, Work
from shared.errors import Missing, Refused
from shared.floor import Floor
from shared.race import race
from shared.settings import Patchwork
from shared.web.app import READY, listen, make_app

HANDS = 4


class IngestRoom:
    """Takes series in from the sources of every project."""

    name = ROOM

    def __init__(self, floor: Floor, door: LabDoor | None = None) -> None:
        """`door` is another room's listener that serves labs for us; without it we listen ourselves."""
        self._floor = floor
        self._door = door
        self._takings: dict[str, Taking] = {}

    async def run(self, ready: Callable[[], None]) -> Never:
        floor = self._floor
        door = self._door or LabDoor(ROOM)
        desk = LabDesk(floor)
        door.open(desk)
        try:
            reaping = alone(floor.pool, LEASE, floor.holder, Reaper(desk).run)
            await race(self._poll(ready, desk), reaping, *([] if self._door else [self._listen(door)]))
        finally:
            door.close()
        raise AssertionError("the room never ends")

    async def _listen(self, door: LabDoor) -> Never:
        app = make_app(trusted=self._floor.settings.web.trusted_proxies)
        app[READY] = self._floor.unready
        add_routes(app, door)
        try:
            await listen(app, self._floor.settings.ingest.listen)
        except OSError as exc:
            where = self._floor.settings.ingest.listen
            raise Refused(f"ingest.listen: can't listen on {where}: {os.strerror(exc.errno or 0)}") from exc

    async def _poll(self, ready: Callable[[], None], labs: LabDesk) -> Never:
        floor = self._floor
        async with AsyncExitStack() as stack:
            opened = await open_sources(stack, floor.settings)
            pollers = {f"poller:{source.label}": self._join(source, settings).run for source, settings in opened}
            pollers |= {lease: poller.run for lease, poller in make_pollers(labs)}
            desk = Desk(floor.pool, floor.bells, ROOM, floor.holder, {"take": self._take}, HANDS)
            ready()
            await race(desk.run(), *(alone(floor.pool, lease, floor.holder, poll) for lease, poll in pollers.items()))
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
