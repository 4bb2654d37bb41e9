"""Whether a series passes a gate: what stands in one context of each of its patches. Pure.

A fail keeps the series off; success and warning let it pass. A gate is there to keep from a shared branch what would
break it for all the others, and a warning does not: nobody's tests should wait until a reviewer has decided whether it
matters. What a patch is told of itself goes before what its series is told. What is not asked of a patch is no
objection, else it would be waited for without end; a check of ours that gives no answer says so in the reason.

A script may answer `pending`: somebody else will know. That is waited for, as a maintainer who names the check expects,
but no longer than a day from the answer. Who promised to speak and did not has raised no objection, and nothing here
would ever ask him again; asked again by hand, the day begins anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

PASSES = ("success", "warning")
SILENT = ("unasked", "overdue")
HOPELESS = {"infra": "got no answer, by a fault of ours", "cancelled": "was cancelled"}


@dataclass(frozen=True, slots=True)
class Gate:
    """What is known of one context, by number of the patch, 0 the series as a whole.

    `said` is what is settled: state and text. `asked` is what a check of ours is doing (planned, running, answered,
    unasked, cancelled, infra), and why; `pending` and, a day later, `overdue` if it answered just that.
    """

    said: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    asked: Mapping[int, tuple[str, str]] = field(default_factory=dict)


def against(context: str, gate: Gate, patches: Sequence[int]) -> str:
    """Why a series of these patches does not pass; "" if it does."""
    words = [_place(gate.said, patch) for patch in patches or (0,)]
    for place in words:
        state, text = gate.said.get(place, ("success", ""))
        if state not in PASSES:
            return f"{context}{_of([place])} is {state}: {text}"
    return _waits(context, gate, [place for place in words if place not in gate.said])


def _place(known: Mapping[int, tuple[str, str]], patch: int) -> int:
    """Where something is known of a patch: with itself or with its series."""
    return 0 if patch not in known and 0 in known else patch


def _waits(context: str, gate: Gate, patches: Sequence[int]) -> str:
    doing = {place: gate.asked.get(place, ("", "")) for place in (_place(gate.asked, patch) for patch in patches)}
    doing = {place: (state, why) for place, (state, why) in doing.items() if state not in SILENT}
    for place, (state, why) in doing.items():
        if state in HOPELESS:
            return f"{context}{_of([place])} {HOPELESS[state]}{': ' + why if why else ''}"
    if not doing:
        return ""
    if not any(state for state, _ in doing.values()):
        return f"{context} is not settled yet{_of([*doing]) if gate.said else ''}"
    why = next((why for _, why in doing.values() if why), "")
    if all(state == "pending" for state, _ in doing.values()):
        return f"{context}{_of([*doing])} is pending{': ' + why if why else ''}"
    return f"waits for {context}{_of([*doing])}{': ' + why if why else ''}"


def _of(patches: Sequence[int]) -> str:
    if not any(patches):
        return ""
    numbers = ", ".join(str(patch) for patch in patches[:20])
    more = f" and {len(patches) - 20} more" if len(patches) > 20 else ""
    return f" of patch {numbers}" if len(patches) == 1 else f" of patches {numbers}{more}"
