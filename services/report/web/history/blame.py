"""Is a failure on a branch the work of one series? Judged by branches with it and without it. Pure.

A branch carries all pending series, so that a failure says little of any one. What says more is the same test in the
same lab on other branches of the stream: where it fails without the series too, the series is hardly to blame; where
it fails whenever the series is there and never else, it likely is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from services.report.web.history.rates import Rate, rate

ENOUGH = 5
"""Branches without the series from which their silence says something."""
UNSTEADY = 0.03
"""A test that failed or flaked on this share of the branches without the series is unsteady by itself."""


class Blame(StrEnum):
    """LIKELY: it points at the series. PERHAPS: one of those that came with that branch. UNLIKELY: it fails without it
    too. UNSTEADY: it fails now and then without it. UNKNOWN: too few branches to tell."""

    LIKELY = "likely"
    PERHAPS = "perhaps"
    UNLIKELY = "unlikely"
    UNSTEADY = "unsteady"
    UNKNOWN = "unknown"


ORDER = list(Blame)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a test came to on one branch. `with_it`: the series, or an earlier version of it, was on it."""

    branch: str
    outcome: str
    with_it: bool

    @property
    def judged(self) -> bool:
        return self.outcome in ("pass", "flaky", "fail")


@dataclass(frozen=True, slots=True)
class Judged:
    """The blame, and the sentence that says why."""

    blame: Blame
    text: str
    without: Rate
    """Failures and flakes on branches without the series."""


def judge_blame(history: Iterable[Seen], came: int = 0) -> Judged:
    """`history` has one entry a branch, the newest first; `came` is how many other series were new on the branch."""
    judged = [seen for seen in history if seen.judged]
    own = [seen for seen in judged if seen.with_it]
    others = [seen for seen in judged if not seen.with_it]
    fails = [seen for seen in others if seen.outcome == "fail"]
    shaky = rate(sum(seen.outcome != "pass" for seen in others), len(others))
    if fails and (others[0].outcome == "fail" or 2 * len(fails) >= len(others)):
        return Judged(Blame.UNLIKELY, _also(fails, others), shaky)
    if others and shaky.share >= UNSTEADY and shaky.bad:
        text = (
            f"it is unsteady by itself: without this series it failed, or passed only on retry, on {shaky.bad} of "
            f"{_branches(shaky.runs)}, {shaky}"
        )
        return Judged(Blame.UNSTEADY, text, shaky)
    failed = sum(seen.outcome == "fail" for seen in own)
    if len(others) < ENOUGH:
        text = f"only {_branches(len(others))} without this series have run it, too few to tell"
        return Judged(Blame.UNKNOWN, text, shaky)
    return _points_at_it(own, failed, others, came, shaky)


def _points_at_it(own: Sequence[Seen], failed: int, others: Sequence[Seen], came: int, shaky: Rate) -> Judged:
    never = f"on none of the {_branches(len(others))} without it" if not shaky.bad else "hardly ever without it"
    if failed < len(own):
        text = f"it failed on {failed} of the {_branches(len(own))} with this series, and {never}"
        return Judged(Blame.PERHAPS, text, shaky)
    if failed >= 2 or not came:
        text = f"it failed on {_each(failed)} with this series, and {never}"
        return Judged(Blame.LIKELY, text, shaky)
    text = f"it failed on the one branch with this series, and {never}; {came} other series came with that branch"
    return Judged(Blame.PERHAPS, text, shaky)


def _each(count: int) -> str:
    return "the one branch" if count == 1 else f"each of the {count} branches"


def _also(fails: Sequence[Seen], others: Sequence[Seen]) -> str:
    return (
        f"it failed on {len(fails)} of {_branches(len(others))} without this series, too, the newest {fails[0].branch}"
    )


def _branches(count: int) -> str:
    return "1 branch" if count == 1 else f"{count} branches"


def summary(judged: Sequence[Judged]) -> str:
    """One sentence for all failures of a branch."""
    if not judged:
        return "Nothing failed on its newest branch."
    counts = {blame: sum(one.blame is blame for one in judged) for blame in Blame}
    total, likely = len(judged), counts[Blame.LIKELY]
    failures = "the failure" if total == 1 else f"{total} failures"
    if likely:
        what = "The failure is" if total == 1 else f"{likely} of {failures} {'is' if likely == 1 else 'are'}"
        return f"{what} likely from this series."
    if counts[Blame.PERHAPS]:
        what = "The failure" if total == 1 else f"{counts[Blame.PERHAPS]} of {failures}"
        return f"{what} may be from this series; it came with others."
    if counts[Blame.UNKNOWN]:
        which = "the failure is" if total == 1 else f"{counts[Blame.UNKNOWN]} of {failures} are"
        return f"There are too few branches to tell whether {which} from this series."
    what = "The failure is" if total == 1 else f"None of {failures} is"
    return f"{what}{' not' if total == 1 else ''} likely from this series."


def as_seen(rows: Iterable[Mapping[str, Any]]) -> list[Seen]:
    """Rows of one test in one lab, the newest first. Of several runs on one branch the newest counts."""
    first: dict[int, Seen] = {}
    for row in rows:
        first.setdefault(row["cut_id"], Seen(row["branch"], row["outcome"], row["with_it"]))
    return list(first.values())
