"""What all attempts of one test come to: pass, fail, skip, warn, or nothing that can be judged; and whether it flaked.

Pure. It knows nothing of runs and branches.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from shared.model.results import Cause, Result


class Standing(StrEnum):
    """How a test stands in the end. INFRA: the machines failed it, so it says nothing of the branch."""

    PASS = "pass"
    FAIL = "fail"
    SKIP = "skip"
    WARN = "warn"
    INFRA = "infra"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a test. `crashed`: the kernel left a splat meanwhile."""

    number: int
    result: Result
    cause: Cause | None = None
    crashed: bool = False

    @property
    def judged(self) -> bool:
        """Whether it says anything of the code under test."""
        return self.cause is not Cause.INFRA and self.result is not Result.NOT_RUN


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a test comes to. `flaky`: failed, then passed on retry, without a crash."""

    standing: Standing
    flaky: bool = False


def judge(attempts: Iterable[Attempt]) -> Outcome:
    """Fold the attempts of one test, given in any order.

    The last judged attempt counts. An attempt that the machines broke is no attempt: a failure stays a failure if
    only its retry was broken. A crash is never healed by a retry.
    """
    judged = sorted((a for a in attempts if a.judged), key=lambda a: a.number)
    if not judged:
        return Outcome(Standing.INFRA)
    if any(a.crashed for a in judged):
        return Outcome(Standing.FAIL)
    last = _standing(judged[-1].result)
    return Outcome(last, last is Standing.PASS and any(a.result.bad for a in judged))


def _standing(result: Result) -> Standing:
    match result:
        case Result.PASS | Result.XFAIL:
            return Standing.PASS
        case Result.FAIL | Result.ERROR:
            return Standing.FAIL
        case Result.SKIP:
            return Standing.SKIP
        case Result.WARN | Result.XPASS:
            return Standing.WARN
        case Result.NOT_RUN:
            return Standing.INFRA
