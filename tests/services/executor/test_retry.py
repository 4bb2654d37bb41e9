"""Which attempts deserve another."""

import pytest

from services.executor.retry import BREAKS, given_up, wants_retry
from shared.model.results import Case, Cause, Result


def a_case(result: Result, cause: Cause | None = None, subtest: str = "") -> Case:
    return Case("g", "t", result, subtest, cause)


@pytest.mark.parametrize("result", list(Result))
def test_only_failures_are_tried_again(result: Result) -> None:
    assert wants_retry([a_case(result)], 0, 1) is (result in (Result.FAIL, Result.ERROR))


@pytest.mark.parametrize(("number", "retries", "again"), [(0, 0, False), (0, 1, True), (1, 1, False), (1, 2, True)])
def test_as_often_as_is_allowed(number: int, retries: int, again: bool) -> None:
    assert wants_retry([a_case(Result.FAIL)], number, retries) is again


def test_a_broken_machine_is_no_failure_of_the_test() -> None:
    assert not wants_retry([a_case(Result.FAIL, Cause.INFRA)], 0, 1)
    assert wants_retry([a_case(Result.FAIL, Cause.CRASH)], 0, 1)


def test_the_test_itself_counts_not_its_subtests() -> None:
    assert not wants_retry([a_case(Result.FAIL, subtest="a"), a_case(Result.PASS)], 0, 1)
    assert not wants_retry([], 0, 1)


def test_given_up_after_so_many_breaks() -> None:
    assert [given_up(n) for n in range(BREAKS + 1)] == [False] * BREAKS + [True]


def test_what_fails_in_every_run_is_not_tried_again() -> None:
    bad = {("g", "t", "a"), ("g", "u", "")}
    inner, other, test = (a_case(Result.FAIL, subtest=name) for name in ("a", "b", ""))
    assert not wants_retry([test, inner], 0, 1, bad)
    assert wants_retry([test, inner, other], 0, 1, bad)
    # The test itself is known by its own name, where it has no failed subtest.
    assert wants_retry([test], 0, 1, bad)
    assert not wants_retry([Case("g", "u", Result.FAIL)], 0, 1, bad)
    assert wants_retry([Case("g", "u", Result.FAIL, cause=Cause.CRASH, crashes=("BUG: x",))], 0, 1, bad)
