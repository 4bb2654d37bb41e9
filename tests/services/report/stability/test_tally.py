"""What counts for the stability of a test, and when it may be reported."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.report.stability.tally import BROKEN, STEADY, Tally, Try, Turn, count, count_run, turns

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
PLAIN = 1
TEST, SUB = (7, 8, PLAIN), (7, 8, 9)
UNSEEN = Tally()


def after(said: Iterable[Turn], tally: Tally = UNSEEN) -> Tally:
    for n, turn in enumerate(said):
        tally = count(tally, turn, NOW + timedelta(hours=n))
    return tally


@pytest.mark.parametrize(
    ("tries", "wanted"),
    [
        ([("pass", 0)], Turn.PASS),
        ([("xfail", 0)], Turn.PASS),
        ([("fail", 0)], Turn.FAIL),
        ([("error", 0)], Turn.FAIL),
        ([("warn", 0)], Turn.FAIL),
        ([("skip", 0)], None),
        ([("not-run", 0)], None),
        ([("fail", 0), ("pass", 1)], Turn.FLAKE),
        ([("fail", 0), ("fail", 1)], Turn.FAIL),
        ([("fail", 0), ("skip", 1)], Turn.FAIL),
        ([("skip", 0), ("pass", 1)], None),
        ([("pass", 1), ("fail", 0)], Turn.FLAKE),
    ],
)
def test_the_first_run_of_a_test_counts_and_a_skip_says_nothing(
    tries: list[tuple[str, int]], wanted: Turn | None
) -> None:
    said = turns([Try(TEST, attempt, result) for result, attempt in tries], PLAIN)
    assert said == ({TEST: wanted} if wanted else {})


def test_what_the_machines_broke_is_no_attempt() -> None:
    assert turns([Try(TEST, 0, "fail", infra=True), Try(TEST, 1, "pass")], PLAIN) == {TEST: Turn.PASS}
    assert turns([Try(TEST, 0, "fail"), Try(TEST, 1, "pass", infra=True)], PLAIN) == {TEST: Turn.FAIL}


def test_a_crash_is_healed_by_no_retry() -> None:
    assert turns([Try(TEST, 0, "fail", crashed=True), Try(TEST, 1, "pass")], PLAIN) == {TEST: Turn.FAIL}


def test_a_subtest_that_only_the_retry_came_to_says_nothing() -> None:
    tries = [Try(TEST, 0, "fail"), Try(TEST, 1, "pass"), Try(SUB, 1, "pass")]
    assert turns(tries, PLAIN) == {TEST: Turn.FLAKE}
    assert turns([*tries, Try(SUB, 0, "fail")], PLAIN) == {TEST: Turn.FLAKE, SUB: Turn.FLAKE}


def test_subtests_without_their_test_count_by_themselves() -> None:
    assert turns([Try(SUB, 0, "pass")], PLAIN) == {SUB: Turn.PASS}


def test_steady_after_more_than_fifteen_passes_in_a_row() -> None:
    assert after([Turn.PASS] * STEADY).passing is None
    steady = after([Turn.PASS] * (STEADY + 1))
    assert steady.passing == NOW + timedelta(hours=STEADY)
    assert after([Turn.PASS], steady).passing == steady.passing
    assert after([Turn.PASS] * STEADY + [Turn.FLAKE] + [Turn.PASS] * STEADY).passing is None


def test_a_test_that_breaks_again_has_to_earn_its_way_back() -> None:
    steady = after([Turn.PASS] * (STEADY + 1))
    assert after([Turn.FAIL] * (BROKEN - 1), steady).passing is not None
    broken = after([Turn.FAIL] * BROKEN, steady)
    assert (broken.passing, broken.fail_cur) == (None, BROKEN)
    assert after([Turn.PASS] * STEADY, broken).passing is None
    assert after([Turn.PASS] * (STEADY + 1), broken).passing is not None


def test_flakes_are_failures_but_break_nothing() -> None:
    steady = after([Turn.PASS] * (STEADY + 1))
    flaky = after([Turn.FAIL, Turn.FAIL, Turn.FLAKE, Turn.FAIL, Turn.FLAKE], steady)
    assert (flaky.fail_cnt, flaky.fail_cur, flaky.broken_cur) == (5, 5, 0)
    assert flaky.passing is not None


def test_whether_a_test_is_ignored_is_settled_when_it_is_first_seen() -> None:
    first = count_run({}, {TEST: Turn.PASS}, NOW, device=True)
    later = count_run(first, {TEST: Turn.PASS, SUB: Turn.PASS}, NOW, device=False)
    assert later[TEST].ignored
    assert not later[SUB].ignored


@given(st.lists(st.sampled_from(Turn)))
def test_counts_and_streaks_are_those_of_the_whole_history(said: list[Turn]) -> None:
    tally, good = after(said), [turn is Turn.PASS for turn in said]
    streaks = {True: [0], False: [0]}
    for one in good:
        streaks[one].append(streaks[one][-1] + 1)
        streaks[not one].append(0)
    assert (tally.pass_cnt, tally.fail_cnt) == (sum(good), len(good) - sum(good))
    assert (tally.pass_srk, tally.fail_srk) == (max(streaks[True]), max(streaks[False]))
    assert (tally.pass_cur, tally.fail_cur) == (streaks[True][-1], streaks[False][-1])
