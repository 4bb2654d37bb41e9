"""Where runs come from. The core knows these Protocols; rows under leases are one body, a lab's spool another.

A piece of work is one executor's part in one branch. It may be claimed again and again, by whoever takes it over from
one that died; what stands by then, its `Sink` knows.
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Never, Protocol

from services.executor.sink import Sink


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be tested. `name` is the run's folder on the hosts, the same for whoever takes the run over.

    `begun` says that the run was opened by an earlier claim: it is ended in any case, never skipped.
    """

    name: str
    branch: str
    commit: str
    base: str
    public_url: str
    deadline: datetime
    begun: bool = False


class Claim(Protocol):
    """An order in hand. It is ended by `finish`, by its sink's `end`, or comes again."""

    @property
    def order(self) -> Order: ...

    async def heartbeat(self) -> Never:
        """A guard: keeps the claim ours, raises Superseded when it is no longer."""

    async def hindrance(self) -> str:
        """Why it may not start just now; "" if it may."""

    async def gate(self) -> bool:
        """Whether the next test may start; while it may not, this waits a few seconds before it says so."""

    def host(self, address: str) -> AbstractAsyncContextManager[int]:
        """The host for this claim alone, waited for; the number rises with every such lease of any run."""

    async def open(self) -> Sink | None:
        """Begin the run, or take it over. None if it is closed already: then the order is settled, too."""

    async def put_off(self, wait: float, reason: str) -> Never:
        """Show why it waits, and leave by an exception: it comes again after `wait` seconds."""

    async def finish(self, reason: str) -> None:
        """It ends without a run."""

    async def broke(self, exc: Exception) -> None:
        """What the claim was left by. It comes again, unless it is another's or was tried too often."""


class Work(Protocol):
    """The orders of one executor, one at a time."""

    async def claim(self) -> Claim | None:
        """The next that is due or was left by one that died; None after a few seconds without any."""
