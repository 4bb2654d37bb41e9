"""NIPA's branches by name, and the numbers that history gets. Pure.

A number below zero that follows its time: in every list by number, history comes after what was cut and run here, in
its own order, whenever it was imported.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

_DATED = re.compile(r"(?P<stream>.+)-(?P<date>\d{4}-\d\d-\d\d--\d\d-\d\d)")
_AHEAD = 10**10
BRANCHES_A_MINUTE = 100
RUNS_A_BRANCH = 1000


@dataclass(frozen=True, slots=True)
class Dated:
    """A branch's stream, and the slot that its name tells."""

    stream: str
    slot: datetime


def dated(name: str) -> Dated | None:
    """What NIPA's names end with; None for a name that does not."""
    found = _DATED.fullmatch(name)
    if found is None:
        return None
    try:
        return Dated(found["stream"], datetime.strptime(found["date"], "%Y-%m-%d--%H-%M").replace(tzinfo=UTC))
    except ValueError:
        return None


def branch_numbers(slot: datetime) -> range:
    """The numbers for branches of this minute."""
    first = int(slot.timestamp()) // 60 * BRANCHES_A_MINUTE - _AHEAD
    return range(first, first + BRANCHES_A_MINUTE)


def run_numbers(branch: int) -> range:
    """The numbers for runs on this branch."""
    return range(branch * RUNS_A_BRANCH, (branch + 1) * RUNS_A_BRANCH)


def first_free(numbers: range, taken: Collection[int]) -> int | None:
    return next((number for number in numbers if number not in taken), None)
