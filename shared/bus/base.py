"""The promise of a bus, and how a room takes part in it.

A queue belongs to one room and is fed with the events of some types. `consume` hands each event to its handler in
a transaction: what the handler writes and the note that the event was handled are committed together. Neither
order nor a single delivery on the wire is promised; a handler looks at the tables and decides.

A handler that raises is tried again after a wait, and after `attempts` failures the event is a dead letter with
its reason. A consumer that is killed, or a database that goes away, counts as no failure.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Never, Protocol
from uuid import UUID

from shared.db.pool import Connection
from shared.events import BY_TYPE, Envelope, Event


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event at a handler's desk. `attempt` counts from 0; `sequence` is its number in the log."""

    id: UUID
    sequence: int
    attempt: int
    envelope: Envelope
    event: Event


Handler = Callable[[Connection, Any], Awaitable[None]]
"""Called with the open transaction and the event; all effects go through that connection."""

Handlers = Mapping[type[Event], Handler]


def longer_each_time(attempt: int) -> float:
    """Half a second doubled with each failure, five minutes at most."""
    return min(300.0, 0.5 * float(2**attempt))


@dataclass(frozen=True, slots=True)
class Queue:
    """A room's queue. `wait` gives the seconds before attempt n+1."""

    name: str
    handlers: Handlers
    attempts: int = 8
    wait: Callable[[int], float] = longer_each_time

    @property
    def types(self) -> list[str]:
        return sorted(event.type_name() for event in self.handlers)


class Bus(Protocol):
    """See the module."""

    async def consume(self, queue: Queue) -> Never:
        """Handle what comes for `queue` until cancelled. Several consumers of one queue share it."""
        ...

    async def relay(self) -> Never:
        """Move the log on to wherever consumers hear of it; a bus that needs no relay sleeps."""
        ...


def decode(type_name: str, body: Any) -> tuple[Envelope, Event] | None:
    """An envelope and its event from JSON; None for a type that this code does not know."""
    envelope = Envelope.model_validate(body)
    known = BY_TYPE.get(type_name)
    return (envelope, known.model_validate(envelope.data)) if known else None
