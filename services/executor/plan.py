"""Which executors run a branch, and by when each must be done. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Runner:
    """An executor as planning sees it."""

    remote: str
    name: str
    streams: tuple[str, ...]
    deadline: timedelta


@dataclass(frozen=True, slots=True)
class Plan:
    """One executor's part in one branch. No test of it is started that could not end by `deadline`."""

    remote: str
    executor: str
    deadline: datetime


def plans(runners: Iterable[Runner], stream: str, announced: datetime) -> tuple[Plan, ...]:
    """Every executor of the stream, its deadline counted from when the branch could first be fetched."""
    return tuple(Plan(r.remote, r.name, announced + r.deadline) for r in runners if stream in r.streams)
