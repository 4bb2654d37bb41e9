"""What the checks of a series should be doing, from everything that is known of it. Pure.

A plan is one lane of the checks of one revision of a series, asked once. No event decides anything here: it only says
that somebody should look. So what comes late, twice or never leads to the same end.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Lane = Literal["mail", "tree", "build"]
LANES: tuple[Lane, ...] = ("mail", "tree", "build")

State = Literal["waiting", "planned", "running", "done", "cancelled", "unasked"]
OPEN: tuple[State, ...] = ("waiting", "planned", "running")

NOT_APPLIED = "waits until the series is applied"
NOT_SETTLED = "waits until the tree that the series is for is settled"
MOVED = "its base moved"


@dataclass(frozen=True, slots=True)
class Applied:
    """What the branch room made of the revision: on which tree, or why on none."""

    ok: bool
    tree: str = ""
    base: str = ""
    head: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """A series as it is now. `wanted` is false once nobody waits for it; then `why` says so.

    `sure`: its mails alone say whether it is for a tree of fixes, which some checks of mails ask about.
    """

    revision: int
    wanted: bool
    why: str = ""
    applied: Applied | None = None
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan that there is, of these `checks`. `open_checks` of them have a question without an answer."""

    id: int
    revision: int
    lane: Lane
    attempt: int
    state: State
    base: str = ""
    head: str = ""
    open_checks: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drop:
    """Nobody wants its answers any more: whatever runs, ends."""

    plan: int
    why: str


@dataclass(frozen=True, slots=True)
class Make:
    """A new attempt: of these `checks`."""

    lane: Lane
    attempt: int
    state: State
    why: str
    checks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """What it waited for is there."""

    plan: int


@dataclass(frozen=True, slots=True)
class Leave:
    """What it waited for will not come."""

    plan: int
    why: str


Act = Drop | Make | Start | Leave


def decide(now: Standing, plans: Sequence[Planned], checks: Mapping[Lane, tuple[str, ...]]) -> tuple[Act, ...]:
    """What to do. `plans` are all of the series, `checks` the configured ones of each lane."""
    if not now.wanted:
        return tuple(Drop(plan.id, now.why) for plan in plans if plan.state in OPEN)
    acts: list[Act] = [
        Drop(plan.id, f"revision {now.revision} of the series came")
        for plan in plans
        if plan.state in OPEN and plan.revision != now.revision
    ]
    for lane in LANES:
        if checks.get(lane):
            acts += _of_lane(now, [plan for plan in plans if plan.lane == lane], lane, checks[lane])
    return tuple(acts)


def _of_lane(now: Standing, plans: Sequence[Planned], lane: Lane, checks: tuple[str, ...]) -> Sequence[Act]:
    mine = [plan for plan in plans if plan.revision == now.revision]
    newest = _newest(mine)
    moved = {plan.id for plan in mine if _moved(now, plan, lane)}
    state, why = _readiness(now, lane)
    acts: list[Act] = [Drop(plan.id, MOVED) for plan in mine if plan.id in moved and plan.state in OPEN]
    for plan in mine:
        if plan.id not in moved and any(newest[name] is plan for name in plan.checks):
            acts += _awaited(plan, state, why)
    left = tuple(name for name in checks if _lacks(newest.get(name), name, moved))
    if left:
        again = any(name in newest and newest[name].id in moved for name in left)
        acts.append(Make(lane, next_attempt(plans), state, MOVED if again else why, left))
    return acts


def _newest(plans: Sequence[Planned]) -> dict[str, Planned]:
    """By check, the last plan that asks it: what an earlier one made of it is overtaken."""
    return {name: plan for plan in sorted(plans, key=lambda plan: plan.attempt) for name in plan.checks}


def _lacks(plan: Planned | None, name: str, moved: Collection[int]) -> bool:
    """Whether the check is to be asked, which `plan` was the last to ask.

    It was never: it is configured since. It was on another base. Or the series was withdrawn, and is back: what was
    answered by then, is.
    """
    return plan is None or plan.id in moved or (plan.state == "cancelled" and name in plan.open_checks)


def next_attempt(plans: Sequence[Planned]) -> int:
    """Of a lane's plans of all revisions: the ledger knows a run of a series by executor and attempt."""
    return max((plan.attempt for plan in plans), default=-1) + 1


def _readiness(now: Standing, lane: Lane) -> tuple[State, str]:
    if lane == "mail" and (now.sure or now.applied is not None):
        return "planned", ""
    if now.applied is None:
        return "waiting", NOT_SETTLED if lane == "mail" else NOT_APPLIED
    return ("planned", "") if now.applied.ok else ("unasked", _refused(now.applied))


def _refused(applied: Applied) -> str:
    return f"the series is not applied: {applied.reason}" if applied.reason else "the series is not applied"


def _awaited(plan: Planned, state: State, why: str) -> Sequence[Act]:
    if state == "planned" and plan.state in ("waiting", "unasked"):
        return [Start(plan.id)]
    return [Leave(plan.id, why)] if state == "unasked" and plan.state == "waiting" else []


def _moved(now: Standing, plan: Planned, lane: Lane) -> bool:
    """Whether it is of other commits than there are now. One that waits is of none yet."""
    if lane == "mail" or now.applied is None or not now.applied.ok:
        return False
    return plan.head not in ("", now.applied.head)


def again(
    now: Standing, plans: Sequence[Planned], checks: Mapping[Lane, tuple[str, ...]], wanted: Collection[str], why: str
) -> tuple[Make, ...]:
    """New attempts, asked for by hand: of the `wanted` checks, of all if none is named.

    What has not been answered yet is asked anyhow, once. What needs the tree of a series that is not applied is
    remembered, and asked when it is.
    """
    if not now.wanted:
        return ()
    made = []
    for lane in LANES:
        mine = [plan for plan in plans if plan.lane == lane]
        coming = _coming([plan for plan in mine if plan.revision == now.revision])
        state, lacking = _readiness(now, lane)
        named = tuple(n for n in checks.get(lane, ()) if (not wanted or n in wanted) and n not in coming)
        if named:
            made.append(Make(lane, next_attempt(mine), state, lacking or why, named))
    return tuple(made)


def _coming(plans: Sequence[Planned]) -> set[str]:
    """The checks that are asked anyhow, now or when the series is applied."""
    left = {name for name, plan in _newest(plans).items() if plan.state == "unasked"}
    return left | {name for plan in plans if plan.state in OPEN for name in plan.open_checks}
