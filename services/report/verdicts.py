"""What a series or one of its patches is told in one context, and whether that replaces what was told before. Pure.

A settled verdict changes only for the better, or by hand: success stays, a warning can only become success. A
pending or failing one follows the newest branch, and gets better by any. So the verdict that stands in the end does
not depend on the order in which branches happened to be folded.

What a patch is told of itself goes before what its series is told in the same context, unless a person said that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from services.report.fold import BranchState, BranchVerdict, Reason
from shared.model.results import CheckState

TREE_SELECTION = "tree_selection"
APPLY = "apply"

POSTABLE = ("active", "ignored", "malformed")
"""States of a series that may be told anything. A superseded or withdrawn one hears no more."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a revision of a series is told in one context. `settled` is false for what the next branch may turn.

    `patch` is the number of the patch that is told, 0 the series as a whole; `patch_number` is which of its patches
    is at fault. One that `follows` repeats what another has settled by the same rules, or a newer attempt of it has
    turned.
    """

    series: int
    revision: int
    project: str
    context: str
    state: CheckState
    settled: bool
    text: str
    reasons: tuple[Reason, ...] = ()
    cut: int | None = None
    patch_number: int | None = None
    changes: int = 0
    by_hand: bool = False
    follows: bool = False
    patch: int = 0

    @property
    def key(self) -> "Key":
        return self.series, self.context, self.patch


Key = tuple[int, str, int]
"""Series, context, patch."""


class Step(StrEnum):
    """KEEP: as it was. REFRESH: the same state, newer words, nobody is told. CHANGE: everybody is told."""

    KEEP = "keep"
    REFRESH = "refresh"
    CHANGE = "change"


@dataclass(frozen=True, slots=True)
class Merged:
    """What stands now, and why."""

    step: Step
    verdict: Verdict
    why: str


def merge(former: Verdict | None, new: Verdict, whole: Verdict | None = None) -> Merged:
    """Put `new` beside what stands for the same series, context and patch; `whole` is what its series is told."""
    if whole is not None and whole.by_hand and whole.revision == new.revision and not new.by_hand:
        return Merged(Step.KEEP, former or whole, "set by hand for the series")
    if former is None:
        return Merged(Step.CHANGE, replace(new, changes=1), "first verdict")
    step, why = _step(former, new)
    if step is Step.KEEP:
        return Merged(step, former, why)
    return Merged(step, replace(new, changes=former.changes + (step is Step.CHANGE)), why)


def _step(former: Verdict, new: Verdict) -> tuple[Step, str]:
    same = former.state is new.state
    if new.revision != former.revision:
        return (Step.CHANGE, "a new revision") if new.revision > former.revision else (Step.KEEP, "an old revision")
    if new.by_hand:
        return (Step.REFRESH if same else Step.CHANGE, "by hand")
    if former.by_hand:
        return Step.KEEP, "set by hand"
    if new.follows:
        return _follow(former, new)
    if _worth(new) != _worth(former):
        return (Step.CHANGE, "better") if _worth(new) > _worth(former) else (Step.KEEP, "settled, and not better")
    if _worth(former) > 0 or (new.cut or 0) < (former.cut or 0):
        return Step.KEEP, "nothing newer"
    return (Step.REFRESH, "the same again") if same else (Step.CHANGE, "a newer branch")


def _follow(former: Verdict, new: Verdict) -> tuple[Step, str]:
    if former.settled and not new.settled:
        return Step.KEEP, "settled, and not pending again"
    return (Step.REFRESH if new.state is former.state else Step.CHANGE), "as its lab says"


def _worth(verdict: Verdict) -> int:
    return {CheckState.SUCCESS: 2, CheckState.WARNING: 1}.get(verdict.state, 0)


def of_branch(branch: BranchVerdict) -> tuple[CheckState, bool] | None:
    """State and settledness for the series on a branch; None while, or as, there is nothing to say.

    A red branch is `pending`: most of its series are not to blame, and the next branch may clear them.
    """
    match branch.state:
        case BranchState.SUCCESS:
            return CheckState.SUCCESS, True
        case BranchState.WARNING:
            return CheckState.WARNING, True
        case BranchState.RED:
            return CheckState.PENDING, False
        case BranchState.WAITING | BranchState.INFRA:
            return None


def changed(merged: Sequence[Merged]) -> list[Verdict]:
    return [m.verdict for m in merged if m.step is Step.CHANGE]
