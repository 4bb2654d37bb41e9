"""Who goes on a branch, and the reason of everybody who does not."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.branch.gate import Gate
from services.branch.select import Candidate, Order, Rules, select
from shared.model.ids import SeriesId
from tests.services.branch.world import T0

RULES = Rules(takes=("next", "net"), gate=("apply",), first=frozenset({"net"}), ignore_delegates=("bpf",))


def a_candidate(ident: int = 1, **how: Any) -> Candidate:
    """A series that is settled on next and pending."""
    plain: dict[str, Any] = {
        "id": SeriesId(ident),
        "revision": 1,
        "message_id": f"{ident}@example.org",
        "title": f"series {ident}",
        "posted": ident,
        "arrived": T0 + timedelta(minutes=ident),
        "trees": ("next",),
        "tree": "next",
        "settled": True,
    }
    return Candidate(**(plain | how))


def rule_of(one: Candidate, rules: Rules = RULES) -> str:
    """The rule that keeps it off, or "" if it is taken."""
    chosen = select([one], rules)
    return chosen.leave[one.id].rule if one.id in chosen.leave else ""


@pytest.mark.parametrize(
    ("how", "rule"),
    [
        ({}, ""),
        ({"state": "superseded"}, "superseded"),
        ({"state": "withdrawn", "order": Order("include", "so", "ada")}, "withdrawn"),
        ({"state": "ignored"}, "ignored"),
        ({"state": "ignored", "trees": (), "order": Order("include", "so", "ada")}, ""),
        ({"order": Order("hold", "so", "ada")}, "hold"),
        ({"order": Order("drop", "so", "ada")}, "drop"),
        ({"delegates": ("bpf",)}, "delegate"),
        ({"delegates": ("bpf",), "order": Order("include", "so", "ada")}, ""),
        ({"tree": "bpf-next"}, "tree"),
        ({"trees": ("bpf-next",), "tree": "", "settled": None}, "tree"),
        ({"trees": (), "tree": "", "settled": None}, "tree"),
        ({"tree": "", "settled": None}, "apply"),
        ({"settled": False, "settled_reason": "no"}, "apply"),
        ({"settled": False, "order": Order("include", "so", "ada")}, ""),
        ({"pull": True, "settled": None, "order": Order("include", "so", "ada")}, "apply"),
    ],
)
def test_each_rule_keeps_off_under_its_name(how: dict[str, Any], rule: str) -> None:
    assert rule_of(a_candidate(**how)) == rule


def test_a_gate_keeps_off_what_is_not_settled_or_fails() -> None:
    rules = replace(RULES, gate=("apply", "contest"))
    assert rule_of(a_candidate(), rules) == "gate:contest"
    assert rule_of(a_candidate(gates={"contest": Gate({0: ("fail", "red")})}), rules) == "gate:contest"
    assert rule_of(a_candidate(gates={"contest": Gate({0: ("success", "")})}), rules) == ""


def test_fixes_go_first_then_by_arrival() -> None:
    chosen = select([a_candidate(3), a_candidate(2), a_candidate(9, tree="net", trees=("net",))], RULES)
    assert list(chosen.take) == [9, 2, 3]


def test_named_series_alone_and_without_the_gate() -> None:
    chosen = select([a_candidate(1), a_candidate(2, settled=None, tree="")], RULES, named={SeriesId(2)})
    assert list(chosen.take) == [2]
    assert chosen.leave == {}


orders = st.none() | st.builds(Order, st.sampled_from(["hold", "include", "drop"]), st.just("why"), st.just("ada"))
candidates = st.lists(
    st.builds(
        a_candidate,
        st.integers(1, 50),
        state=st.sampled_from(["active", "superseded", "withdrawn"]),
        tree=st.sampled_from(["", "net", "next", "bpf"]),
        trees=st.lists(st.sampled_from(["net", "next", "bpf"]), unique=True).map(tuple),
        settled=st.sampled_from([None, True, False]),
        delegates=st.sampled_from([(), ("bpf",), ("ada",)]),
        order=orders,
        pull=st.booleans(),
    ),
    unique_by=lambda c: c.id,
)


@given(candidates)
def test_everybody_is_taken_or_left_with_a_reason(pending: list[Candidate]) -> None:
    chosen = select(pending, RULES)
    assert chosen.take.keys() | chosen.leave.keys() == {one.id for one in pending}
    assert not chosen.take.keys() & chosen.leave.keys()
    assert all(reason.rule and reason.text for reason in (*chosen.take.values(), *chosen.leave.values()))


@given(candidates, st.randoms(use_true_random=False))
def test_the_order_of_asking_does_not_matter(pending: list[Candidate], chance: Any) -> None:
    mixed = list(pending)
    chance.shuffle(mixed)
    assert list(select(mixed, RULES).take) == list(select(pending, RULES).take)


@given(candidates)
def test_a_dropped_series_returns_only_for_a_new_reason(pending: list[Candidate]) -> None:
    """While a person's word stands nothing else brings it back, named by hand or not."""
    off = {one.id for one in pending if one.order and one.order.verb in ("drop", "hold")}
    assert not off & select(pending, RULES).take.keys()
    assert not off & select(pending, RULES, named={one.id for one in pending}).take.keys()
    for one in pending:
        if one.id in off:
            freed = replace(one, order=None)
            assert select([freed], RULES).leave.get(one.id) != select([one], RULES).leave[one.id] or (
                one.state != "active"
            )
