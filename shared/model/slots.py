"""When streams are cut: slots are multiples of a stream's cadence since 1970 in UTC. Pure.

So what divides a day is aligned to midnight, and every room and process finds the same slots.
"""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def slot_at(now: datetime, every: timedelta) -> datetime:
    """The newest slot that has begun."""
    return now - (now - _EPOCH) % every


def next_slot(now: datetime, every: timedelta) -> datetime:
    """The first slot after `now`."""
    return slot_at(now, every) + every
