"""The sum of one closed run: how many tests, which failed, which flaked, and what each of them came to.

Pure; rebuilt from the ledger at will.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.report.flakes import Attempt, Outcome, Standing, judge
from shared.model.results import Case

NAMES = 1000
"""Names kept of failing tests and of flakes; the numbers count all."""


@dataclass(frozen=True, slots=True)
class TestName:
    """A test among those of a run."""

    __test__ = False

    group: str
    test: str

    def as_json(self) -> dict[str, str]:
        return {"group": self.group, "test": self.test}


@dataclass(frozen=True, slots=True)
class Rollup:
    """`tests` counts what could be judged: passed, failed, skipped, warned and known; `infra` is beside it. `known` are
    failures that do not count; `known_tests` has them with the numbers of their known issues.
    """

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    warned: int = 0
    flaky: int = 0
    infra: int = 0
    failing: tuple[TestName, ...] = ()
    flakes: tuple[TestName, ...] = ()
    known: int = 0
    known_tests: tuple[tuple[TestName, int], ...] = ()

    @property
    def tests(self) -> int:
        return self.passed + self.failed + self.skipped + self.warned + self.known


@dataclass(frozen=True, slots=True)
class TestOutcome:
    """What one test of a run came to. `seconds` are those of the attempt that counts; `crashes` are of all attempts."""

    __test__ = False

    name: TestName
    outcome: Outcome
    seconds: float | None = None
    crashes: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """pass, flaky, fail, skip, warn or infra."""
        return "flaky" if self.outcome.flaky else str(self.outcome.standing)


def outcomes(cases: Iterable[Case]) -> list[TestOutcome]:
    """Judge each test of one run by its cases, in any order. Subtests are part of their test's result."""
    tries: dict[TestName, list[Case]] = defaultdict(list)
    for case in cases:
        if not case.subtest:
            tries[TestName(case.group, case.test)].append(case)
    return [_outcome(name, mine) for name, mine in tries.items()]


def _outcome(name: TestName, cases: list[Case]) -> TestOutcome:
    cases.sort(key=lambda case: case.attempt)
    judged = judge(Attempt(case.attempt, case.result, case.cause, bool(case.crashes)) for case in cases)
    crashes = dict.fromkeys(crash for case in cases for crash in case.crashes)
    return TestOutcome(name, judged, cases[-1].seconds, tuple(crashes))


def roll_up(found: Iterable[TestOutcome], known: Mapping[TestName, int] | None = None) -> Rollup:
    """Sum what the tests of one run came to; failures that are `known`, by their issues, are counted apart."""
    known = known or {}
    outcomes = {one.name: one.outcome for one in found}
    counts = Counter(outcome.standing for outcome in outcomes.values())
    failing = _named(
        name for name, outcome in outcomes.items() if outcome.standing is Standing.FAIL and name not in known
    )
    flakes = _named(name for name, outcome in outcomes.items() if outcome.flaky)
    return Rollup(
        passed=counts[Standing.PASS], failed=counts[Standing.FAIL] - len(known), skipped=counts[Standing.SKIP],
        warned=counts[Standing.WARN], flaky=len(flakes), infra=counts[Standing.INFRA],
        failing=failing[:NAMES], flakes=flakes[:NAMES], known=len(known),
        known_tests=tuple((name, known[name]) for name in _named(known)[:NAMES]),
    )  # fmt: skip


def _named(names: Iterable[TestName]) -> tuple[TestName, ...]:
    return tuple(sorted(names, key=lambda name: (name.group, name.test)))
