"""A bus in memory, for unit tests only: nothing survives it, and handlers get no database."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Never, cast
from uuid import UUID

from shared.bus.base import Queue, decode
from shared.db.pool import Connection
from shared.events import Envelope


@dataclass
class _Row:
    envelope: Envelope
    attempts: int = 0
    state: str = "due"
    error: str = ""


@dataclass
class _Box:
    rows: dict[UUID, _Row] = field(default_factory=dict)
    due: "asyncio.Queue[UUID]" = field(default_factory=asyncio.Queue)


class MemoryBus:
    """Keeps the promise of `base` within one process, with waits shortened by `pace`."""

    def __init__(self, pace: float = 0.001) -> None:
        self._pace = pace
        self._boxes: dict[str, _Box] = defaultdict(_Box)
        self._types: dict[str, list[str]] = {}

    async def publish(self, envelope: Envelope) -> None:
        for name, types in self._types.items():
            if envelope.type in types and envelope.id not in self._boxes[name].rows:
                self._boxes[name].rows[envelope.id] = _Row(envelope)
                self._boxes[name].due.put_nowait(envelope.id)

    def declare(self, queue: Queue) -> None:
        self._types[queue.name] = queue.types

    def dead(self, queue: str) -> list[str]:
        return [row.error for row in self._boxes[queue].rows.values() if row.state == "dead"]

    async def consume(self, queue: Queue) -> Never:
        self.declare(queue)
        box = self._boxes[queue.name]
        while True:
            id_ = await box.due.get()
            try:
                await self._handle(queue, box, id_)
            except asyncio.CancelledError:
                box.due.put_nowait(id_)
                raise

    async def _handle(self, queue: Queue, box: _Box, id_: UUID) -> None:
        row = box.rows[id_]
        found = decode(row.envelope.type, row.envelope.model_dump(mode="json"))
        if row.state != "due" or found is None:
            return
        try:
            await queue.handlers[type(found[1])](cast(Connection, None), found[1])
            row.state = "done"
        except Exception as exc:
            row.attempts += 1
            row.error = f"{type(exc).__name__}: {exc}"
            row.state = "dead" if row.attempts >= queue.attempts else "due"
            if row.state == "due":
                await asyncio.sleep(queue.wait(row.attempts) * self._pace)
                box.due.put_nowait(id_)

    async def relay(self) -> Never:
        await asyncio.get_running_loop().create_future()
        raise AssertionError("sleeps for ever")


def rows(bus: MemoryBus, queue: str) -> Any:
    """The rows of a queue, for a test to look at."""
    return bus._boxes[queue].rows
