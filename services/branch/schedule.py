"""When a stream is due, and what its branch is called. Pure: a clock's reading in, a decision out."""

from collections.abc import Container, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.model.slots import slot_at

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Due:
    """`slot` is the one to cut now, None if it is not time yet; `missed` are older ones that are let go.

    `next` is the slot after this, or the one that is waited for.
    """

    slot: datetime | None
    next: datetime
    missed: int = 0


def first_slot(since: datetime, every: timedelta) -> datetime:
    """The slot that a stream begins with which was first seen at `since`: the next one, not one that it never knew."""
    begun = slot_at(since, every)
    return begun if begun == since else begun + every


def due(wanted: datetime, every: timedelta, now: datetime) -> Due:
    """Whether to cut now, when `wanted` is the oldest slot not yet cut. Of several missed the newest is cut late."""
    newest = slot_at(now, every)
    if newest < wanted:
        return Due(None, wanted)
    return Due(newest, newest + every, max(0, (newest - wanted) // every))


def branch_name(stream: str, at: datetime) -> str:
    """``<stream>-YYYY-MM-DD--HH-MM`` in UTC: readers of NIPA's branches parse the time out of the name's end."""
    return f"{stream}-{at.astimezone(UTC):%Y-%m-%d--%H-%M}"


def names_from(stream: str, at: datetime) -> Iterator[str]:
    """The name for `at`, then those of the following minutes."""
    while True:
        yield branch_name(stream, at)
        at += _MINUTE


def free_name(stream: str, at: datetime, taken: Container[str]) -> str:
    """The first name from `at` on that is not in `taken`."""
    return next(name for name in names_from(stream, at) if name not in taken)
