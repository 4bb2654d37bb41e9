"""A run as an outside lab told it, whatever format it came in, and the care that every such format needs.

A foreign document is taken as far as it makes sense: what is odd becomes a warning for its owner, and only what cannot
be read at all is refused (`Faulty`). Names, details and links come out fit to store and to show.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from shared.formats.clean import cut, plain
from shared.formats.faults import faulty
from shared.formats.run_model import ATTEMPTS, CASES, CRASH, CRASHES, DETAIL, LINK, NAME, SECONDS
from shared.model.results import Case

WARNINGS_KEPT = 50
NO_GROUP = "tests"
"""The group of tests whose document names none."""


@dataclass(frozen=True, slots=True)
class Reported:
    """What a document said. Empty strings and None are what it did not say.

    `job` is the lab's own name of the run; `metrics` are numbers that are no results; `facts` say what was tested
    with what.
    """

    cases: tuple[Case, ...] = ()
    branch: str = ""
    executor: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    link: str = ""
    device: Mapping[str, Any] | None = None
    job: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class Told:
    """Gathers the cases and the warnings of one document; no two cases have one name and attempt."""

    def __init__(self) -> None:
        self._cases: list[Case] = []
        self._names: dict[tuple[str, str, str], int] = {}
        self._keys: set[tuple[str, str, str, int]] = set()
        self._warnings: dict[str, None] = {}

    def warn(self, text: str) -> None:
        if len(self._warnings) < WARNINGS_KEPT:
            self._warnings[plain(text)[:DETAIL]] = None

    def add(self, case: Case) -> None:
        if len(self._cases) >= CASES:
            raise faulty(f"more than {CASES} cases, subtests included")
        self._keys.add((case.group, case.test, case.subtest, case.attempt))
        self._cases.append(case)

    def free_test(self, group: str, test: str, attempts: range = range(1), subtest: str = "") -> str:
        """`test`, or ``test#2``, ``test#3`` … if the attempts of that name are taken; says so in a warning."""
        if not self._taken(group, test, subtest, attempts):
            return test
        count = self._names.get((group, test, subtest), 1) + 1
        while self._taken(group, other := f"{cut(test, NAME - 8)}#{count}", subtest, attempts):
            count += 1
        self._names[group, test, subtest] = count
        self.warn(f"{group}/{test} stands here more than once; the others are called {test}#2 and so on")
        return other

    def free_subtest(self, group: str, test: str, subtest: str, attempts: range) -> str:
        """The same below a test."""
        count = self._names.get((group, test, subtest), 1)
        other = subtest
        while self._taken(group, test, other, attempts):
            count += 1
            other = f"{cut(subtest, NAME - 8)}#{count}"
        self._names[group, test, subtest] = count
        return other

    def _taken(self, group: str, test: str, subtest: str, attempts: range) -> bool:
        return any((group, test, subtest, attempt) in self._keys for attempt in attempts)

    @property
    def cases(self) -> tuple[Case, ...]:
        return tuple(self._cases)

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self._warnings)

    def ordered(self, started: datetime | None, ended: datetime | None) -> datetime | None:
        """`ended`, unless it lies before `started`."""
        if started and ended and ended < started:
            self.warn("the end is before the start, and is left out")
            return None
        return ended


def name_of(value: object, fallback: str = "") -> str:
    """A name of one line that fits, or `fallback` where there is none."""
    return (cut(plain(value).strip(), NAME).strip() if isinstance(value, str) else "") or fallback


def detail_of(value: object) -> str:
    """A diagnosis as one line."""
    return plain(value[: 2 * DETAIL].strip()).strip()[:DETAIL] if isinstance(value, str) else ""


def link_of(value: object) -> str:
    """An http(s) address without blanks; "" for anything else."""
    if not isinstance(value, str) or len(value) > LINK or not value.isprintable() or " " in value:
        return ""
    return value if value.startswith(("http://", "https://")) else ""


def crashes_of(value: object) -> tuple[str, ...]:
    """The titles of crashes, from a list or from one string."""
    titles = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return tuple(detail_of(title)[:CRASH] for title in titles[:CRASHES] if detail_of(title))


def seconds_of(value: object) -> float | None:
    """A duration from a number or its text (with commas in the thousands, as some write); None if it is none."""
    try:
        number = float(value.replace(",", "")) if isinstance(value, str) else value
    except ValueError:
        return None
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    return float(number) if math.isfinite(number) and 0 <= number <= SECONDS else None


def time_of(value: object) -> datetime | None:
    """A time in any ISO spelling, with a blank or a T; without a zone it is UTC. None if it is no time of our days."""
    try:
        when = datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
    except ValueError:
        return None
    if when is None or not 2000 <= when.year < 9999:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def attempt_of(value: object) -> int:
    """A number of an attempt from its text, 0 if it is none."""
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 3 else 0
    return min(number, ATTEMPTS - 1)
