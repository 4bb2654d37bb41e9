"""The state of a series from all facts, and what the queue says of its patches."""

import pytest

from services.ingest.sources.base import PatchState
from services.ingest.standing import Facts, PatchFact, Rules, State, Watched, standing
from services.ingest.states import compare, settled

RULES = Rules(("new", "under-review"), ("bpf",))
NEW = PatchFact()


def test_malformed_goes_before_superseded_before_closed_before_delegated() -> None:
    closed = PatchFact("accepted", "bpf")
    facts = Facts("mixed", "Superseded by v2", (closed,), ())
    assert standing(facts, RULES).state is State.MALFORMED
    assert standing(Facts("", "Superseded by v2", (closed,), ()), RULES).state is State.SUPERSEDED
    assert standing(Facts("", "", (closed,), ()), RULES).state is State.WITHDRAWN
    assert standing(Facts("", "", (PatchFact("new", "bpf"),), ("net",)), RULES).reason == "Delegated to bpf"
    assert standing(Facts("", "", (NEW,), (), "Not a local patch"), RULES).reason == "Not a local patch"
    assert standing(Facts("", "", (NEW,), ("net",)), RULES).state is State.ACTIVE


@pytest.mark.parametrize(
    ("patches", "state", "reason"),
    [
        ([PatchFact("accepted"), NEW], State.ACTIVE, ""),
        ([PatchFact("accepted"), PatchFact("rejected")], State.WITHDRAWN, "At Patchwork: accepted, rejected"),
        ([PatchFact("new", "", True)], State.WITHDRAWN, "At Patchwork: archived"),
        ([PatchFact("deleted")], State.WITHDRAWN, "Deleted at its source"),
    ],
)
def test_a_series_waits_while_one_patch_does(patches: list[PatchFact], state: State, reason: str) -> None:
    found = standing(Facts(patches=patches, trees=("net",)), RULES)
    assert (found.state, found.reason) == (state, reason)


def a_state(id_: int, series: int, state: str = "new", delegate: str = "") -> PatchState:
    return PatchState(id_, (series,), state, delegate)


def test_the_queue_is_compared_patch_by_patch() -> None:
    watched = [
        Watched(1, 10, 100, NEW),
        Watched(1, 10, 101, NEW),
        Watched(2, 20, 200, NEW),
        Watched(3, 30, 300, PatchFact("accepted")),
    ]
    queue = [a_state(100, 10, delegate="me"), a_state(101, 10), a_state(300, 30), a_state(400, 40)]
    found = compare(watched, queue, {10, 20, 30}, RULES)
    assert {series: [s.external_id for s in states] for series, states in found.changed.items()} == {1: [100], 3: [300]}
    assert found.missing == [20]
    assert list(found.unknown) == [40]


def test_a_look_up_settles_what_is_missing() -> None:
    watched = [Watched(1, 10, 100, NEW), Watched(1, 10, 101, NEW), Watched(2, 20, 200, NEW)]
    changed = settled(watched, {10: [a_state(100, 10), a_state(101, 10, "accepted")], 20: []})
    assert [(s.external_id, s.state) for s in changed[1]] == [(101, "accepted")]
    assert [(s.external_id, s.state) for s in changed[2]] == [(200, "deleted")]
    assert settled(watched, {}) == {}
