"""Carries out the blows of a round, and brings back what it hit."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared.bus.rabbit import answers, delete_queues
from tests.chaos.plan import BACKEND, BROKER, DATABASE, QUEUES, ROOMS, Blow, Round
from tests.chaos.stage import Stage

Say = Callable[[str], None]
CONSUMERS = ("branch", "executor", "checks", "report")
"""The rooms that have a queue."""
LONG_ENOUGH = 6.0
"""Seconds that a room is waited for to do something; a step that does not need it ends without."""


@dataclass
class Killer:
    """One for a whole run; a victim is hit by one blow at a time."""

    stage: Stage
    say: Say
    counts: dict[str, int] = field(default_factory=dict)
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)

    async def round(self, blows: Round) -> None:
        async with asyncio.TaskGroup() as group:
            for blow in blows:
                group.create_task(self._strike(blow))

    async def _strike(self, blow: Blow) -> None:
        if blow.upon:
            await self._act(blow.victim)
        await asyncio.sleep(blow.after)
        async with self._locks.setdefault(_server(blow.victim), asyncio.Lock()):
            self.say(f"kill       {blow}")
            self.counts[blow.victim] = self.counts.get(blow.victim, 0) + 1
            await self._hit(blow)
            self.say(f"back       {blow.victim}")

    async def _act(self, room: str) -> None:
        """Wait until the outside sees `room` do something, or for long enough."""
        look = _TRACES[room]
        before, until = look(self.stage), asyncio.get_running_loop().time() + LONG_ENOUGH
        while look(self.stage) == before and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.002)

    async def _hit(self, blow: Blow) -> None:
        if blow.victim in ROOMS:
            await self._room(blow)
        elif blow.victim == DATABASE:
            await self._database(blow)
        elif blow.victim == BACKEND:
            self.stage.database.kill_one(blow.dice)
            await asyncio.sleep(0.2)  # The server lets in until it has noticed.
            await self.stage.database.ready()
        elif blow.victim == BROKER:
            await self._broker(blow)
        elif blow.victim == QUEUES:
            await self._queues()

    async def _room(self, blow: Blow) -> None:
        room = self.stage.rooms[blow.victim]
        room.kill(blow.whole)
        await asyncio.sleep(blow.down)
        room.start()
        await room.ready(120)

    async def _database(self, blow: Blow) -> None:
        self.stage.database.kill()
        await asyncio.sleep(blow.down)
        self.stage.database.start()
        await self.stage.database.ready()

    async def _broker(self, blow: Blow) -> None:
        assert self.stage.broker is not None
        self.stage.broker.kill()
        await asyncio.sleep(blow.down)
        self.stage.broker.start()
        await asyncio.to_thread(self.stage.broker.wait)

    async def _queues(self) -> None:
        assert self.stage.broker is not None
        for _ in range(60):
            if not await answers(self.stage.broker.url):
                break
            await asyncio.sleep(0.5)
        await delete_queues(self.stage.broker.url, "netci", CONSUMERS)


def _server(victim: str) -> str:
    """What comes back as one: a server that recovers from one blow is not hit by the next."""
    return {BACKEND: DATABASE, QUEUES: BROKER}.get(victim, victim)


def _refs(stage: Stage) -> object:
    folders = [stage.testing / "refs" / "heads", stage.testing / "refs" / "tags" / "netci"]
    return [folder.stat().st_mtime_ns for folder in folders if folder.exists()]


def _asked(stage: Stage) -> object:
    """Folders of questions that are being asked."""
    return sorted(path.name for path in stage.checks.glob("*/scratch/*/*"))


_TRACES: Mapping[str, Callable[[Stage], object]] = {
    "ingest": lambda stage: stage.patchwork.counters.of("/series/N/mbox/"),
    "branch": _refs,
    "executor": lambda stage: [host.commands for host in stage.fleet.hosts],
    "checks": _asked,
    "report": lambda stage: stage.patchwork.counters.check_posts.total(),
}
"""What changes outside when a room has done something that it has not written down yet."""
