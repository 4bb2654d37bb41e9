"""What the queue wants of the engine of checks, in its own words. `engine_asker` has the body; tests have theirs."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from services.executor.check_queue.store import PlanRow, Series
from services.executor.checking.sink import CheckSink, Task
from services.executor.checks.base import Check

Gate = Callable[[], Awaitable[bool]]
"""Whether the next question may be asked; while it may not, it waits a few seconds before it says so."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be asked: these `checks` of this series, but for what is `settled`."""

    plan: PlanRow
    series: Series
    checks: tuple[Check, ...]
    settled: frozenset[Task]

    @property
    def commits(self) -> Mapping[int, str]:
        """The patches' commits by number, the head by 0; none while only mails are read."""
        if self.plan.lane == "mail" or not self.plan.head:
            return {}
        return {0: self.plan.head, **dict(enumerate(self.series.commits, 1))}


class Asker(Protocol):
    """Asks the checks of a series on this machine, or on another."""

    async def ask(self, order: Order, sink: CheckSink, gate: Gate) -> None:
        """All that is not settled; every answer goes to `sink` at once. Cancelled, it leaves no process behind.

        Raises InfraError where nothing could be asked: no commit to be had, no cage to be made.
        """
        ...


def wanted_of(checks: Collection[Check], names: Collection[str]) -> tuple[Check, ...]:
    """The configured checks of these names, in the configured order."""
    return tuple(check for check in checks if check.name in names)
