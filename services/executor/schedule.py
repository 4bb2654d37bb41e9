"""The board of one run: what is to do, who has what, what comes next. Pure; the clock is handed in.

Longest first, by history: a long test begun last is what makes a run late. Tests never seen come before all, as
nobody knows how long they take. A retry goes to another host if one is alive. Nothing is started that, by its
history, could not end before the deadline.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from services.executor.retry import given_up
from services.executor.suites.base import Invocation

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Task:
    """One attempt of one test. `avoid` is the host where it failed; `broken` counts machines it lost."""

    invocation: Invocation
    number: int = 0
    avoid: str = ""
    expected: float | None = None
    broken: int = 0

    @property
    def key(self) -> Key:
        return self.invocation.key


@dataclass(frozen=True, slots=True)
class Past:
    """What a run that was begun before left behind.

    `ended` maps each test to the number of its last finished attempt, whether that one wants a retry, and its
    host; `interrupted` counts by (group, test, number) how often that attempt began and never ended; `seconds`
    are the known durations of tests; `known_bad`, by (group, test, subtest), what fails in every run.
    """

    ended: Mapping[Key, tuple[int, bool, str]] = field(default_factory=dict)
    interrupted: Mapping[tuple[str, str, int], int] = field(default_factory=dict)
    seconds: Mapping[Key, float] = field(default_factory=dict)
    known_bad: frozenset[tuple[str, str, str]] = frozenset()


class Board:
    """Mutable, of one run, used from one event loop."""

    def __init__(self, invocations: Iterable[Invocation], past: Past) -> None:
        self._waiting: list[Task] = []
        self._running: dict[Key, Task] = {}
        self.lost: list[Task] = []
        for invocation in invocations:
            self._take_up(invocation, past)
        self._waiting.sort(key=_longest_first)

    def _take_up(self, invocation: Invocation, past: Past) -> None:
        key = invocation.key
        number, again, host = past.ended.get(key, (-1, True, ""))
        if not again:
            return
        broken = past.interrupted.get((*key, number + 1), 0)
        task = Task(invocation, number + 1, host, past.seconds.get(key), broken)
        (self.lost if given_up(broken) else self._waiting).append(task)

    @property
    def done(self) -> bool:
        return not self._waiting and not self._running

    def take(self, host: str, alive: Collection[str], now: datetime, deadline: datetime) -> Task | None:
        """The next task for `host`; None if nothing fits it now.

        What failed on this very host comes after all else, and only where no other host could have it.
        """
        fitting = [task for task in self._waiting if fits(task, now, deadline)]
        elsewhere = any(other != host for other in alive)
        mine = (task for task in fitting if task.avoid != host)
        task = next(mine, None) or (fitting[0] if fitting and not elsewhere else None)
        if task is not None:
            self._waiting.remove(task)
            self._running[task.key] = task
        return task

    def ended(self, task: Task, host: str, again: bool) -> None:
        """The attempt has results; `again` asks for a retry, elsewhere if possible."""
        self._running.pop(task.key, None)
        if again:
            self._put(replace(task, number=task.number + 1, avoid=host, broken=0))

    def broke(self, task: Task, host: str) -> bool:
        """The machine broke under it; False if the test has lost too many and is not tried on."""
        self._running.pop(task.key, None)
        worse = replace(task, avoid=host, broken=task.broken + 1)
        if given_up(worse.broken):
            return False
        self._put(worse)
        return True

    def give_back(self, task: Task) -> None:
        """It was not run after all, and its host is not to blame."""
        if self._running.pop(task.key, None) is not None:
            self._put(task)

    def _put(self, task: Task) -> None:
        self._waiting.append(task)
        self._waiting.sort(key=_longest_first)

    def unfit(self, now: datetime, deadline: datetime) -> list[Task]:
        """Take out what can no longer end in time."""
        late = [task for task in self._waiting if not fits(task, now, deadline)]
        self._waiting = [task for task in self._waiting if fits(task, now, deadline)]
        return late

    def drain(self) -> list[Task]:
        """Take out all that waits."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def expected_end(self, now: datetime, hosts: int, ending: Task | None = None) -> datetime:
        """When the run should end: the work spread over the hosts, but not before its longest test.

        `ending` is a running task that is over as good as now.
        """
        left = [task for task in (*self._waiting, *self._running.values()) if task is not ending]
        seconds = [_UNKNOWN if task.expected is None else task.expected for task in left]
        return now + timedelta(seconds=max([sum(seconds) / max(1, hosts), *seconds, 0.0]))


_UNKNOWN = 10.0
"""Seconds we guess for a test that never ran here; only the expected end is made of it."""


def fits(task: Task, now: datetime, deadline: datetime) -> bool:
    """Whether the attempt can end in time, as far as history knows."""
    return now + timedelta(seconds=task.expected or 0.0) < deadline


def _longest_first(task: Task) -> tuple[float, int, Key]:
    return (-(float("inf") if task.expected is None else task.expected), task.number, task.key)
