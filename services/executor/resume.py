"""What a run begins with: what its former owners left, and what other runs teach. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.executor.retry import wants_retry
from services.executor.schedule import Key, Past
from shared.model.results import Case


@dataclass(frozen=True, slots=True)
class History:
    """As it was kept. `finished` are tests, not subtests, in the order in which they ended; `interrupted` counts by
    (group, test, number) how often an attempt began and never ended; `hosts` is where a test ran last. What fails in
    every run, by (group, test, subtest), is `known_bad`.
    """

    finished: Sequence[Case] = ()
    interrupted: Mapping[tuple[str, str, int], int] = field(default_factory=dict)
    hosts: Mapping[Key, str] = field(default_factory=dict)
    seconds: Mapping[Key, float] = field(default_factory=dict)
    known_bad: frozenset[tuple[str, str, str]] = frozenset()


def past(history: History, retries: int) -> Past:
    """What the board is made with: of each test its last attempt, and whether that deserves another."""
    ended: dict[Key, tuple[int, bool, str]] = {}
    for case in history.finished:
        key = (case.group, case.test)
        if key not in ended or ended[key][0] <= case.attempt:
            again = wants_retry([case], case.attempt, retries, history.known_bad)
            ended[key] = (case.attempt, again, history.hosts.get(key, ""))
    return Past(ended, history.interrupted, history.seconds, history.known_bad)
