"""What a test said (`Result`) and why it said so (`Cause`): two fields, never one.

A machine that broke is not a test that failed. Whoever folds results into a verdict reads both.
"""

from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    """The outcome of one case, in the words of KTAP and the field."""

    PASS = "pass"
    FAIL = "fail"
    SKIP = "skip"
    WARN = "warn"
    XFAIL = "xfail"
    XPASS = "xpass"
    ERROR = "error"
    NOT_RUN = "not-run"

    @property
    def bad(self) -> bool:
        """Whether it counts against a branch. A case that never ran counts for nothing."""
        return self in (Result.FAIL, Result.ERROR)


class Cause(StrEnum):
    """What is to blame for a result that is not a pass."""

    PATCH = "patch"
    TEST = "test"
    INFRA = "infra"
    TIMEOUT = "timeout"
    CRASH = "crash"


class CheckState(StrEnum):
    """A Patchwork check's state, least to most severe as Patchwork folds them (facts.md 3.4)."""

    SUCCESS = "success"
    PENDING = "pending"
    WARNING = "warning"
    FAIL = "fail"

    @property
    def rank(self) -> int:
        return list(CheckState).index(self)


class Purpose(StrEnum):
    """Why a branch was cut. Only SCHEDULED and BY_HAND are listed in branches.json."""

    SCHEDULED = "scheduled"
    BY_HAND = "by-hand"
    BASE = "base"
    PART = "part"
    SINGLE = "single"
    TRY = "try"


@dataclass(frozen=True, slots=True)
class Case:
    """One result of a run: a test, or a subtest of one.

    `group` is the collection (``selftests-net``), `test` the program, `subtest` the dotted path below it
    (empty for the test itself). `attempt` counts from 0; a retry is attempt 1. `seconds` is wall time.
    `detail` is a short diagnosis (directive text, exit code); `log` names the file of the run's pack that
    holds its output; `link` is where an outside lab keeps what this case printed, an http(s) address.
    """

    group: str
    test: str
    result: Result
    subtest: str = ""
    cause: Cause | None = None
    attempt: int = 0
    seconds: float | None = None
    detail: str = ""
    log: str = ""
    crashes: tuple[str, ...] = ()
    link: str = ""

    @property
    def name(self) -> str:
        return f"{self.test}.{self.subtest}" if self.subtest else self.test
