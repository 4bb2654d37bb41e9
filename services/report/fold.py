"""The verdict on one branch: what the labs that count gave, and what to do about those that gave nothing.

Pure: facts and `now` in, a frozen decision with its reasons out; the order of the facts does not matter. Whether a
series hears of it, and how, is `verdicts`.

A lab (an executor whose remote counts) has given its share once a run of it is done. One that gives nothing until
its expected end plus the stream's grace is named and no longer waited for. Broken machines, tests that did not run
and abandoned runs never lower a verdict; they are named. While a lab is waited for, nothing is concluded, not even
from failures: a verdict is given once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from services.report.rollup import Rollup


class BranchState(StrEnum):
    """INFRA: no lab gave anything that can be judged."""

    WAITING = "waiting"
    SUCCESS = "success"
    WARNING = "warning"
    RED = "red"
    INFRA = "infra"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, for people: `rule` is its name, `text` its words."""

    rule: str
    text: str

    def as_json(self) -> dict[str, str]:
        return {"rule": self.rule, "text": self.text}


@dataclass(frozen=True, slots=True, order=True)
class Lab:
    """An executor that counts. `given_up` says why it will never run this branch, if that is known."""

    remote: str
    executor: str
    given_up: str = ""

    @property
    def name(self) -> str:
        return f"{self.remote}/{self.executor}"


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run on the branch. `rollup` is set for closed runs; `begun` counts the tests of an open one so far."""

    lab: Lab
    attempt: int
    state: Literal["open", "done", "abandoned"]
    cause: str = ""
    reason: str = ""
    expected_end: datetime | None = None
    rollup: Rollup | None = None
    begun: int = 0


@dataclass(frozen=True, slots=True)
class CutFacts:
    """A branch and what came of it so far. `runs` of labs that do not count must have been left out."""

    branch: str
    announced: datetime
    labs: Sequence[Lab]
    runs: Sequence[RunFacts]


@dataclass(frozen=True, slots=True)
class Patience:
    """A stream's rules: a lab without a run is due `expect` after the cut; `grace` comes on top of every due time."""

    expect: timedelta
    grace: timedelta
    skips_warn: bool = True


@dataclass(frozen=True, slots=True)
class BranchVerdict:
    """`missing` are remotes, or executors of them, that gave nothing; `wait_until` is None once settled."""

    state: BranchState
    text: str
    tests: int = 0
    failing: int = 0
    flaky: int = 0
    skipped: int = 0
    warned: int = 0
    infra: int = 0
    known: int = 0
    missing: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()
    wait_until: datetime | None = None

    @property
    def settled(self) -> bool:
        return self.state is not BranchState.WAITING


@dataclass(frozen=True, slots=True)
class _Share:
    """What one lab gave: a rollup, or hope until a time, or a reason why there is nothing."""

    lab: Lab
    rollup: Rollup | None = None
    until: datetime | None = None
    reason: Reason | None = None


def fold(facts: CutFacts, patience: Patience, now: datetime) -> BranchVerdict:
    """Conclude what can be concluded about a branch at `now`."""
    labs = sorted({Lab(run.lab.remote, run.lab.executor): run.lab for run in facts.runs} | _expected(facts.labs))
    known = _expected(facts.labs)
    shares = [_share(known.get(lab, lab), facts, patience, now) for lab in labs]
    total = _total(share.rollup for share in shares if share.rollup)
    missing = _missing(shares)
    state, waits = _state(shares, total, patience), [share.until for share in shares if share.until]
    return BranchVerdict(
        state=state, text=_text(facts.branch, state, total, missing, patience), tests=total.tests,
        failing=total.failed, flaky=total.flaky, skipped=total.skipped, warned=total.warned, infra=total.infra,
        known=total.known, missing=missing, reasons=tuple(_reasons(shares)), wait_until=max(waits, default=None),
    )  # fmt: skip


def _expected(labs: Sequence[Lab]) -> dict[Lab, Lab]:
    return {Lab(lab.remote, lab.executor): lab for lab in labs}


def _share(lab: Lab, facts: CutFacts, patience: Patience, now: datetime) -> _Share:
    runs = sorted((r for r in facts.runs if r.lab.name == lab.name), key=lambda r: r.attempt)
    given = [r for r in runs if r.state == "done" and r.cause != "infra" and r.rollup and r.rollup.tests]
    if given:
        return _Share(lab, rollup=given[-1].rollup)
    last = runs[-1] if runs else None
    if last and last.state != "open":
        return _Share(lab, reason=_closed_for_nothing(lab, last))
    if last is None and lab.given_up:
        return _Share(lab, reason=Reason("given-up", f"{lab.name} did not run it: {lab.given_up}"))
    due = (last.expected_end if last else None) or facts.announced + patience.expect
    if now < due + patience.grace:
        return _Share(lab, until=due + patience.grace)
    return _Share(lab, reason=_silent(lab, last, due))


def _closed_for_nothing(lab: Lab, run: RunFacts) -> Reason:
    if run.state == "abandoned":
        return Reason(
            "abandoned", f"the run of {lab.name} was abandoned: {run.reason or run.cause or 'no reason given'}"
        )
    if run.cause == "infra":
        return Reason("infra", f"the machines of {lab.name} failed: {run.reason or 'no reason given'}")
    return Reason("nothing-judged", f"{lab.name} ended without a result that can be judged: {run.reason or 'no tests'}")


def _silent(lab: Lab, run: RunFacts | None, due: datetime) -> Reason:
    what = f"got no further than {run.begun} tests" if run else "did not begin"
    return Reason("silent", f"{lab.name} {what}; it was due at {due:%Y-%m-%d %H:%M} UTC")


def _total(rollups: Iterable[Rollup]) -> Rollup:
    total = Rollup()
    for r in rollups:
        total = Rollup(
            passed=total.passed + r.passed, failed=total.failed + r.failed, skipped=total.skipped + r.skipped,
            warned=total.warned + r.warned, flaky=total.flaky + r.flaky, infra=total.infra + r.infra,
            known=total.known + r.known,
        )  # fmt: skip
    return total


def _state(shares: Sequence[_Share], total: Rollup, patience: Patience) -> BranchState:
    if any(share.until for share in shares):
        return BranchState.WAITING
    if not any(share.rollup for share in shares):
        return BranchState.INFRA
    if total.failed:
        return BranchState.RED
    if total.warned or (total.skipped and patience.skips_warn):
        return BranchState.WARNING
    return BranchState.SUCCESS


def _missing(shares: Sequence[_Share]) -> tuple[str, ...]:
    """Those that gave nothing: the remote alone where it gave nothing at all, else the executor."""
    gone = {share.lab.name for share in shares if share.reason}
    whole = {s.lab.remote for s in shares} - {s.lab.remote for s in shares if not s.reason}
    return tuple(sorted({s.lab.remote if s.lab.remote in whole else s.lab.name for s in shares if s.lab.name in gone}))


def _reasons(shares: Sequence[_Share]) -> Iterable[Reason]:
    for share in shares:
        if share.reason:
            yield share.reason
        elif share.until:
            yield Reason("waiting", f"{share.lab.name} is waited for until {share.until:%Y-%m-%d %H:%M} UTC")
        elif share.rollup:
            yield from _of_rollup(share.lab, share.rollup)


def _of_rollup(lab: Lab, rollup: Rollup) -> Iterable[Reason]:
    if rollup.failed:
        names = ", ".join(f"{t.group}/{t.test}" if t.group else t.test for t in rollup.failing[:5])
        more = f" and {rollup.failed - 5} more" if rollup.failed > 5 else ""
        yield Reason("failing", f"{lab.name}: {rollup.failed} failing: {names}{more}")
    if rollup.known:
        names = ", ".join(f"{name.group}/{name.test} (issue {issue})" for name, issue in rollup.known_tests[:5])
        more = f" and {rollup.known - 5} more" if rollup.known > 5 else ""
        yield Reason("known", f"{lab.name}: {rollup.known} known, not counted: {names}{more}")
    if rollup.infra:
        yield Reason("partial", f"{lab.name}: {rollup.infra} tests not judged, as the machines failed or time was up")
    if rollup.flaky:
        yield Reason("flaky", f"{lab.name}: {rollup.flaky} passed only on retry")


def _text(branch: str, state: BranchState, total: Rollup, missing: Sequence[str], patience: Patience) -> str:
    counts = [f"tests: {total.tests}"]
    if total.failed:
        counts.append(f"failing: {total.failed}")
    if total.known:
        counts.append(f"known: {total.known}")
    if state is BranchState.WARNING and total.warned:
        counts.append(f"warnings: {total.warned}")
    if state is BranchState.WARNING and total.skipped and patience.skips_warn:
        counts.append(f"skipped: {total.skipped}")
    without = f", without {', '.join(missing)}" if missing and state is not BranchState.WAITING else ""
    return f"{branch} ({', '.join(counts)}){without}"
