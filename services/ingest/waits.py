"""How long to wait: after a failure, and for the moment before the next branch. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from shared.model.slots import next_slot

LEAD = timedelta(minutes=1)
"""How long before a slot the queue is read: enough to read it twice, short enough for it to be true at the cut."""
_NO_STREAM = 3600.0


def wait_after(every: float, failures: int, asked: float | None = None) -> float:
    """Seconds to the next round after `failures` rounds failed in a row, `every` apart when all is well.

    Gentle to a server in trouble, and at most a minute late when it is back. `asked` is what it asked for itself.
    """
    return max(min(every, 60.0), min(30.0, 2.0 ** (failures - 1)), asked or 0.0)


def asked_wait(hints: dict[str, object]) -> float | None:
    """The wait that a server asked for, from the hints of the exception that carries its answer."""
    asked = hints.get("retry_after")
    return asked if isinstance(asked, float) else None


def before_slot(now: datetime, cadences: Iterable[timedelta]) -> float:
    """Seconds until the next moment that is `LEAD` before a slot of one of the streams; an hour without streams.

    A stream that is cut every few minutes is not asked for half of its life.
    """
    leads = ((every, min(LEAD, every / 4)) for every in cadences)
    return min(
        ((next_slot(now + lead, every) - lead - now).total_seconds() for every, lead in leads), default=_NO_STREAM
    )
