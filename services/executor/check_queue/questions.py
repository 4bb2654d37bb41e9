"""Which questions a lane of checks asks about a series, and how long they should take. Pure.

It refuses to know what a patch touches: whether a check has anything to look at there is found when it is asked.
"""

from collections.abc import Iterable, Mapping, Sequence

from services.executor.check_queue.decide import Lane
from services.executor.checking.sink import Task
from services.executor.checks.base import Check, Level, Needs

LANE_OF: Mapping[Needs, Lane] = {Needs.MAIL: "mail", Needs.TREE: "tree", Needs.BUILD: "build"}
NEEDS_OF: Mapping[Lane, Needs] = {lane: needs for needs, lane in LANE_OF.items()}

UNKNOWN: Mapping[Lane, float] = {"mail": 0.2, "tree": 2.0, "build": 120.0}
"""Seconds of a question of a check that was never asked."""

AT_ONCE: Mapping[Lane, int] = {"mail": 2, "tree": 2, "build": 1}
"""How many questions of one series are asked beside one another, about."""


def lanes(checks: Iterable[Check]) -> dict[Lane, tuple[str, ...]]:
    """The names of the checks of each lane, in their order."""
    found: dict[Lane, tuple[str, ...]] = {}
    for check in checks:
        lane = LANE_OF[check.needs]
        found[lane] = (*found.get(lane, ()), check.name)
    return found


def tasks_of(checks: Sequence[Check], patches: int, pull: bool = False) -> tuple[Task, ...]:
    """Every check of every patch, or of the series. A pull request is one patch, whatever it brings."""
    numbers = range(1, (min(patches, 1) if pull else patches) + 1)
    return tuple(
        Task(check.name, number)
        for check in checks
        for number in ((0,) if check.level is Level.SERIES else numbers)
    )  # fmt: skip


def expected(tasks: Iterable[Task], lane: Lane, seconds: Mapping[str, float]) -> float:
    """Seconds that all of them should take."""
    return sum(seconds.get(task.check, UNKNOWN[lane]) for task in tasks) / AT_ONCE[lane]
