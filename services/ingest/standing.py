"""The one place that says which state a series is in, from everything known of it. Pure.

Rule 1: a state is never a reaction to the last thing that happened; it is computed anew from all facts, so late,
doubled and lost news lead to the same end.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

DELETED = "Deleted at its source"


class State(StrEnum):
    INCOMPLETE = "incomplete"
    ACTIVE = "active"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"
    GIVEN_UP = "given-up"
    IGNORED = "ignored"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class PatchFact:
    """How one patch stands at the source."""

    state: str = "new"
    delegate: str = ""
    archived: bool = False


@dataclass(frozen=True, slots=True)
class Watched:
    """A patch whose state matters, and its series here and at the source."""

    series: int
    series_external_id: int
    external_id: int
    fact: PatchFact


@dataclass(frozen=True, slots=True)
class Facts:
    """All that decides: why it is no series, what replaced it, its patches, and whether triage found a tree."""

    fault: str = ""
    superseded_by: str = ""
    patches: Sequence[PatchFact] = ()
    trees: Sequence[str] = ()
    tree_reason: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """`open_states` are the source's words for patches that wait; `ignore_delegates` who has others look after them."""

    open_states: Collection[str] = ("new", "under-review")
    ignore_delegates: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    state: State
    reason: str = ""


def standing(facts: Facts, rules: Rules) -> Standing:
    """The state of a complete series and the reason for it."""
    if facts.fault:
        return Standing(State.MALFORMED, facts.fault)
    if facts.superseded_by:
        return Standing(State.SUPERSEDED, facts.superseded_by)
    if facts.patches and not any(is_open(patch, rules) for patch in facts.patches):
        return Standing(State.WITHDRAWN, closed_reason(facts.patches))
    if whose := next((p.delegate for p in facts.patches if p.delegate in rules.ignore_delegates), ""):
        return Standing(State.IGNORED, f"Delegated to {whose}")
    if not facts.trees:
        return Standing(State.IGNORED, facts.tree_reason)
    return Standing(State.ACTIVE)


def is_open(patch: PatchFact, rules: Rules) -> bool:
    return not patch.archived and patch.state in rules.open_states


def closed_reason(patches: Sequence[PatchFact]) -> str:
    """Why nothing of a series waits any more, in the source's words."""
    states = list(dict.fromkeys("archived" if p.archived else p.state for p in patches))
    if states == ["deleted"]:
        return DELETED
    return f"At Patchwork: {', '.join(states)}"
