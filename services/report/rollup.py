"""The sum of one closed run: how many tests, which failed, which flaked. Pure; rebuilt from the ledger at will."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from services.report.flakes import Attempt, Standing, judge
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
    """`tests` counts what could be judged: passed, failed, skipped and warned; `infra` is beside it."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    warned: int = 0
    flaky: int = 0
    infra: int = 0
    failing: tuple[TestName, ...] = ()
    flakes: tuple[TestName, ...] = ()

    @property
    def tests(self) -> int:
        return self.passed + self.failed + self.skipped + self.warned


def roll_up(cases: Iterable[Case]) -> Rollup:
    """Sum the cases of one run, in any order. Subtests are part of their test's result and not counted here."""
    attempts: dict[TestName, list[Attempt]] = defaultdict(list)
    for case in cases:
        if not case.subtest:
            name = TestName(case.group, case.test)
            attempts[name].append(Attempt(case.attempt, case.result, case.cause, bool(case.crashes)))
    outcomes = {name: judge(tries) for name, tries in attempts.items()}
    counts = Counter(outcome.standing for outcome in outcomes.values())
    failing = _named(name for name, outcome in outcomes.items() if outcome.standing is Standing.FAIL)
    flakes = _named(name for name, outcome in outcomes.items() if outcome.flaky)
    return Rollup(
        passed=counts[Standing.PASS], failed=counts[Standing.FAIL], skipped=counts[Standing.SKIP],
        warned=counts[Standing.WARN], flaky=len(flakes), infra=counts[Standing.INFRA],
        failing=failing[:NAMES], flakes=flakes[:NAMES],
    )  # fmt: skip


def _named(names: Iterable[TestName]) -> tuple[TestName, ...]:
    return tuple(sorted(names, key=lambda name: (name.group, name.test)))
