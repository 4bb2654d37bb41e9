"""What replaces what."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.report.verdicts import Merged, Step, Verdict, merge
from shared.model.results import CheckState

PENDING, SUCCESS, WARNING, FAIL = CheckState.PENDING, CheckState.SUCCESS, CheckState.WARNING, CheckState.FAIL


def said(state: CheckState, cut: int | None = 1, revision: int = 1, by_hand: bool = False) -> Verdict:
    settled = state is not PENDING
    return Verdict(7, revision, "netdev", "contest", state, settled, f"{state} of {cut}", cut=cut, by_hand=by_hand)


@pytest.mark.parametrize(
    ("former", "new", "step"),
    [
        (said(SUCCESS), said(PENDING, 2), Step.KEEP),
        (said(SUCCESS), said(FAIL, 2), Step.KEEP),
        (said(SUCCESS), said(WARNING, 2), Step.KEEP),
        (said(SUCCESS), said(SUCCESS, 2), Step.KEEP),
        (said(WARNING), said(SUCCESS, 2), Step.CHANGE),
        (said(WARNING), said(PENDING, 2), Step.KEEP),
        (said(WARNING), said(FAIL, 2), Step.KEEP),
        (said(PENDING), said(SUCCESS, 2), Step.CHANGE),
        (said(PENDING), said(FAIL, 2), Step.CHANGE),
        (said(PENDING), said(PENDING, 2), Step.REFRESH),
        (said(FAIL), said(PENDING, 2), Step.CHANGE),
        (said(FAIL), said(WARNING, 2), Step.CHANGE),
        (said(PENDING, 2), said(FAIL, 1), Step.KEEP),
        (said(PENDING, 2), said(SUCCESS, 1), Step.CHANGE),
        (said(SUCCESS), said(PENDING, 2, revision=2), Step.CHANGE),
        (said(PENDING, revision=2), said(SUCCESS, 2, revision=1), Step.KEEP),
        (said(SUCCESS), said(FAIL, None, by_hand=True), Step.CHANGE),
        (said(FAIL, None, by_hand=True), said(SUCCESS, 3), Step.KEEP),
        (said(FAIL, None, by_hand=True), said(FAIL, None, by_hand=True), Step.REFRESH),
    ],
)
def test_what_replaces_what(former: Verdict, new: Verdict, step: Step) -> None:
    merged = merge(former, new)
    assert merged.step is step
    assert merged.verdict.state is (former if step is Step.KEEP else new).state


def test_a_persons_word_on_the_series_holds_for_its_patches() -> None:
    whole, of_patch = said(SUCCESS, by_hand=True), replace(said(FAIL, None), patch=2)
    assert merge(None, of_patch, whole).step is Step.KEEP
    assert merge(replace(said(PENDING), patch=2), of_patch, whole).verdict.state is PENDING
    assert merge(None, replace(of_patch, revision=2), whole).step is Step.CHANGE
    assert merge(None, replace(of_patch, by_hand=True), whole).step is Step.CHANGE
    assert merge(None, of_patch, replace(whole, by_hand=False)).step is Step.CHANGE


def test_changes_are_counted_and_the_first_is_one() -> None:
    first = merge(None, said(PENDING)).verdict
    assert first.changes == 1
    assert merge(first, said(PENDING, 2)).verdict.changes == 1
    assert merge(first, said(SUCCESS, 2)).verdict.changes == 2


@given(st.lists(st.sampled_from(CheckState), min_size=1, max_size=5))
def test_where_it_ends_does_not_depend_on_the_order_of_branches(states: list[CheckState]) -> None:
    verdicts = [said(state, cut) for cut, state in enumerate(states, 1)]
    ends = set()
    for order in itertools.permutations(verdicts):
        stands: Merged | None = None
        for verdict in order:
            stands = merge(stands.verdict if stands else None, verdict)
        assert stands is not None
        ends.add(stands.verdict.state)
    assert len(ends) == 1


@given(st.lists(st.sampled_from(CheckState), min_size=2, max_size=6))
def test_a_success_is_never_lost(states: list[CheckState]) -> None:
    stands = said(SUCCESS, 1)
    for cut, state in enumerate(states, 2):
        stands = merge(stands, said(state, cut)).verdict
    assert stands == replace(said(SUCCESS, 1), changes=stands.changes)
