"""Supervision within a process: rooms start in order, restart with a growing wait when they break, stop on SIGTERM.

A room is a coroutine that never returns. When it raises, only it is started again; the others go on. On SIGTERM or
SIGINT all are cancelled and given ten seconds to let go of what they hold; what they cannot let go, leases do.
"""

import asyncio
import contextlib
import os
import resource
import socket
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Never, Protocol

import structlog

from shared.db.bells import Bells
from shared.db.keep import Keeping
from shared.db.lease import LETTING_GO
from shared.db.outbox import SQL
from shared.db.pool import AWAY
from shared.db.sequencer import sequence
from shared.errors import Refused, first_of
from shared.floor import Floor, dsn_of, holder, laid
from shared.race import race
from shared.settings import Settings

log = structlog.get_logger(__name__)

PATIENCE = 10.0
"""Seconds that rooms have to let go of what they hold."""


class Room(Protocol):
    """A room's composition root."""

    name: str

    async def run(self, ready: Callable[[], None]) -> Never:
        """Do the room's work; call `ready` once it takes part."""
        ...


MakeRoom = Callable[[Floor], Room]


class Readiness:
    """Which rooms of this process take part right now; behind /readyz."""

    def __init__(self, rooms: Sequence[str]) -> None:
        self._ready = dict.fromkeys(rooms, False)

    def set(self, room: str, ready: bool) -> None:
        self._ready[room] = ready

    @property
    def missing(self) -> list[str]:
        return sorted(room for room, ready in self._ready.items() if not ready)


async def run_rooms(settings: Settings, makers: dict[str, MakeRoom], readiness: Readiness, stop: asyncio.Event) -> None:
    """Run rooms until `stop` is set. A room that is Refused before it takes part (a fault of the configuration) ends
    the process; whatever else breaks a room, it is started again.
    """
    name, bells = holder(), Bells()
    dsn = dsn_of(settings)
    first = next(iter(makers))
    tasks = [
        bells.listen(dsn, first),
        sequence(dsn, first, bells),
        *(_keep_running(settings, room, make, bells, name, readiness) for room, make in makers.items()),
        _upkeep(settings, list(makers), bells, name, first),
    ]
    await _until(stop, tasks)


async def _until(stop: asyncio.Event, tasks: Sequence[Coroutine[Any, Any, Never]]) -> None:
    limits: list[asyncio.TimerHandle] = []
    try:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(task) for task in tasks]
            await stop.wait()
            log.info("stopping")
            limits.append(asyncio.get_running_loop().call_later(PATIENCE, _give_up, running))
            for task in running:
                task.cancel()
    except BaseExceptionGroup as broken:
        if refused := broken.subgroup(Refused):
            raise first_of(refused) from None
        raise
    finally:
        for limit in limits:
            limit.cancel()


def _give_up(running: Sequence[asyncio.Task[Any]]) -> None:
    """End the process although something hangs: leases and the death signal of our children do the rest."""
    log.error("stopping: something does not let go", hangs=[str(t.get_coro()) for t in running if not t.done()])
    os._exit(1)


async def _keep_running(
    settings: Settings, room: str, make: MakeRoom, bells: Bells, name: str, readiness: Readiness
) -> Never:
    loop, wait = asyncio.get_running_loop(), 0.5
    while True:
        began = loop.time()
        try:
            async with laid(settings, room, bells, name, unready=lambda: readiness.missing) as floor:
                await make(floor).run(lambda: readiness.set(room, True))
        except AWAY as exc:
            log.warning("room: the database is away", room=room, error=str(exc))
            wait = 0.5
        except Exception as exc:
            if isinstance(exc, Refused) and room in readiness.missing:
                raise
            log.exception("room: broke", room=room, wait=wait)
        finally:
            readiness.set(room, False)
        # A room that ran well for long is not one that breaks at each start.
        wait = 0.5 if loop.time() - began > 60 else wait
        await asyncio.sleep(wait)
        wait = min(30.0, wait * 2)


async def _upkeep(settings: Settings, rooms: list[str], bells: Bells, name: str, room: str) -> Never:
    """What a process does besides its rooms: say that it lives, relay the log to a broker, take away what is old."""
    while True:
        try:
            async with laid(settings, room, bells, name) as floor:
                keeping = Keeping(floor.pool, floor.blobs, settings.keep, floor.clock, name)
                await race(floor.bus.relay(), _beat_on(floor, rooms, name), keeping.run())
        except AWAY as exc:
            log.warning("upkeep: the database is away", error=str(exc))
        except Exception:
            # Not for this should rooms end that run well.
            log.exception("upkeep: broke")
        await asyncio.sleep(1)


async def _beat_on(floor: Floor, rooms: list[str], name: str) -> Never:
    host = socket.gethostname()
    try:
        while True:
            await floor.pool.execute(SQL["beat_process"], name, rooms, host, os.getpid(), resident())
            await asyncio.sleep(5)
    finally:
        with contextlib.suppress(*AWAY):
            async with asyncio.timeout(LETTING_GO):
                await floor.pool.execute(SQL["forget_processes"], name)


def resident() -> int:
    """Resident memory of this process in bytes."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0
