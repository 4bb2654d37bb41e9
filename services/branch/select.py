"""Which series go on a branch, and for every one that does not, the rule that kept it off. Pure.

It refuses to know how a series is put on the branch: a conflict is found when the branch is composed.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.branch.gate import Gate, against
from shared.model.ids import SeriesId


@dataclass(frozen=True, slots=True)
class Order:
    """What a person said of a series: `verb` is hold, include or drop."""

    verb: str
    why: str
    by: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """One series that is thought of.

    `posted` is the source's own number, which rises as series come in there; `state` and `reason` are ingest's.
    `settled` is None until branch has settled this revision, then whether it applied; `tree` is where,
    `settled_reason` why or why not. `patches` are the numbers of its patches; `gates` is what is known of each other
    context that is a gate.
    """

    id: SeriesId
    revision: int
    message_id: str
    title: str
    arrived: datetime
    posted: int = 0
    state: str = "active"
    reason: str = ""
    superseded_by: SeriesId | None = None
    pull: bool = False
    trees: tuple[str, ...] = ()
    tree: str = ""
    settled: bool | None = None
    settled_reason: str = ""
    delegates: tuple[str, ...] = ()
    patches: tuple[int, ...] = ()
    gates: Mapping[str, Gate] = field(default_factory=dict)
    order: Order | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """What a stream takes. `first` are trees whose series go on before all others (fixes)."""

    takes: tuple[str, ...]
    gate: tuple[str, ...] = ("apply",)
    first: frozenset[str] = frozenset()
    ignore_delegates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a series was taken or left: the rule's name, and the words that the web shows."""

    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Who goes on the branch, in order, and who does not; each with the reason."""

    take: Mapping[SeriesId, Reason]
    leave: Mapping[SeriesId, Reason]


def select(pending: Sequence[Candidate], rules: Rules, named: Collection[SeriesId] | None = None) -> Selection:
    """Decide on every series of `pending`.

    With `named` (a cut by hand) only those are thought of, and the gate, delegates and trees do not matter, nor that
    ingest finds them not ours: a person asked for exactly these. What was held or dropped stays off all the same.
    """
    take: dict[SeriesId, Reason] = {}
    leave: dict[SeriesId, Reason] = {}
    for one in sorted(pending, key=lambda c: _place(c, rules)):
        if named is not None and one.id not in named:
            continue
        against = next(_against(one, rules, named is not None), None)
        if against:
            leave[one.id] = against
        else:
            take[one.id] = _for(one, named is not None)
    return Selection(take, leave)


def _place(one: Candidate, rules: Rules) -> tuple[bool, int, datetime, int]:
    """Fixes before everything else, as they are merged first; then as the source got them.

    We take in several at a time, so our own time of arrival and id may turn neighbours round.
    """
    return one.tree not in rules.first, one.posted, one.arrived, one.id


def _for(one: Candidate, named: bool) -> Reason:
    if one.order and one.order.verb == "include":
        return Reason("include", f"{one.order.by} included it: {one.order.why}")
    if named:
        return Reason("named", "asked for by name")
    return Reason("pending", f"pending for {one.tree}")


def _against(one: Candidate, rules: Rules, named: bool) -> Iterator[Reason]:
    """Every rule that speaks against it, the weightiest first."""
    wanted = named or (one.order is not None and one.order.verb == "include")
    if one.state != "active" and not (wanted and one.state == "ignored"):
        yield _gone(one)
    if one.order and one.order.verb in ("drop", "hold"):
        words = {"drop": "dropped", "hold": "held"}[one.order.verb]
        yield Reason(one.order.verb, f"{words} by {one.order.by}: {one.order.why}")
    if one.pull and not one.settled:
        yield Reason("apply", one.settled_reason or "the pull request is not fetched yet")
    if not wanted:
        yield from _not_for_us(one, rules)
        yield from _gated(one, rules)


def _gone(one: Candidate) -> Reason:
    if one.state == "superseded":
        return Reason("superseded", one.reason or "there is a newer version")
    return Reason(one.state, one.reason or f"it is {one.state}")


def _not_for_us(one: Candidate, rules: Rules) -> Iterator[Reason]:
    takes = ", ".join(rules.takes)
    for delegate in one.delegates:
        if delegate in rules.ignore_delegates:
            yield Reason("delegate", f"it is delegated to {delegate}")
    if not one.trees:
        yield Reason("tree", "it is for none of our trees")
    elif one.tree and one.tree not in rules.takes:
        yield Reason("tree", f"it is for {one.tree}; this stream takes {takes}")
    elif not set(one.trees) & set(rules.takes):
        yield Reason("tree", f"it is for {', '.join(one.trees)}; this stream takes {takes}")


def _gated(one: Candidate, rules: Rules) -> Iterator[Reason]:
    for context in rules.gate:
        if context in ("apply", "tree_selection"):
            yield from _unsettled(one)
        elif why := against(context, one.gates.get(context, Gate()), one.patches):
            yield Reason(f"gate:{context}", why)


def _unsettled(one: Candidate) -> Iterator[Reason]:
    if one.settled is None:
        yield Reason("apply", "not applied to its tree yet")
    elif not one.settled:
        yield Reason("apply", one.settled_reason or "it does not apply to its tree")
