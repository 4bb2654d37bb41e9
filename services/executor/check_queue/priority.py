"""Whose checks are next. Pure.

By hand first; then whoever has waited too long, in the order of coming; then fairly between authors: nobody's second
series before everybody's first. Among equals fixes before next, small before large, and first come, first served.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

PATIENCE = timedelta(hours=2)
"""So long a series lets others go before it."""

_STEP = 10


@dataclass(frozen=True, slots=True)
class Waiting:
    """A plan that may be taken up. `expected` is in seconds."""

    id: int
    author: str
    fixes: bool
    patches: int
    expected: float
    planned: datetime
    by_hand: bool = False


def in_order(waiting: Iterable[Waiting], now: datetime) -> tuple[Waiting, ...]:
    """All that wait, next one first."""
    plans = sorted(waiting, key=_alone)
    turns = _turns(plans)

    def rank(one: Waiting) -> tuple[int, int, tuple[object, ...]]:
        if one.by_hand:
            return (0, 0, (one.planned, one.id))
        if now - one.planned > PATIENCE:
            return (1, 0, (one.planned, one.id))
        return (2, turns[one.id], _alone(one))

    return tuple(sorted(plans, key=rank))


def _alone(one: Waiting) -> tuple[object, ...]:
    return (not one.fixes, one.patches, one.expected, one.planned, one.id)


def _turns(plans: Sequence[Waiting]) -> dict[int, int]:
    """Which of its author's it is, of those that came by themselves. Who is not known shares with nobody."""
    had: defaultdict[str, int] = defaultdict(int)
    turns = {}
    for one in plans:
        key = one.author or f"plan {one.id}"
        turns[one.id] = had[key]
        had[key] += 0 if one.by_hand else 1
    return turns


def priorities(waiting: Iterable[Waiting], now: datetime) -> dict[int, int]:
    """A number for each plan, the highest first: with it a queue that knows no authors keeps the order."""
    order = in_order(waiting, now)
    return {one.id: (len(order) - place) * _STEP for place, one in enumerate(order)}


def at_first(one: Waiting) -> int:
    """A number until the others have been looked at, too: above none of those that have one, but by hand."""
    return 1_000_000 if one.by_hand else 1
