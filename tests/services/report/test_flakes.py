"""Attempts of one test, folded."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.report.flakes import Attempt, Outcome, Standing, judge
from shared.model.results import Cause, Result


def attempts(*results: str, infra: tuple[int, ...] = (), crashed: tuple[int, ...] = ()) -> list[Attempt]:
    return [Attempt(n, Result(r), Cause.INFRA if n in infra else None, n in crashed) for n, r in enumerate(results)]


@pytest.mark.parametrize(
    ("tries", "standing", "flaky"),
    [
        (attempts("pass"), "pass", False),
        (attempts("xfail"), "pass", False),
        (attempts("fail"), "fail", False),
        (attempts("error"), "fail", False),
        (attempts("skip"), "skip", False),
        (attempts("warn"), "warn", False),
        (attempts("xpass"), "warn", False),
        (attempts("not-run"), "infra", False),
        (attempts("fail", "pass"), "pass", True),
        (attempts("fail", "pass", crashed=(0,)), "fail", False),
        (attempts("pass", crashed=(0,)), "fail", False),
        (attempts("fail", "fail"), "fail", False),
        (attempts("fail", infra=(0,)), "infra", False),
        (attempts("fail", "pass", infra=(0,)), "pass", False),
        (attempts("fail", "fail", infra=(1,)), "fail", False),
        (attempts("pass", "not-run"), "pass", False),
        ([], "infra", False),
    ],
)
def test_what_attempts_come_to(tries: list[Attempt], standing: str, flaky: bool) -> None:
    assert judge(tries) == Outcome(Standing(standing), flaky)


@given(st.lists(st.tuples(st.sampled_from(Result), st.sampled_from([None, *Cause]), st.booleans()), max_size=4))
def test_the_order_in_which_attempts_are_told_does_not_matter(tries: list[tuple[Result, Cause | None, bool]]) -> None:
    told = [Attempt(n, *facts) for n, facts in enumerate(tries)]
    assert {judge(order) for order in itertools.permutations(told)} == {judge(told)}
