"""What a run that is taken over begins with."""

from services.executor.resume import History, past
from shared.model.results import Case, Result


def a_case(test: str, result: Result, attempt: int = 0) -> Case:
    return Case("g", test, result, attempt=attempt)


def test_the_last_attempt_of_a_test_is_what_counts_whatever_came_in_between() -> None:
    history = History(
        finished=[a_case("a", Result.FAIL), a_case("b", Result.PASS), a_case("a", Result.PASS, 1)],
        hosts={("g", "a"): "h1"},
    )
    made = past(history, 2)
    assert made.ended == {("g", "a"): (1, False, "h1"), ("g", "b"): (0, False, "")}


def test_a_failure_that_stands_is_tried_again_as_often_as_allowed() -> None:
    history = History(finished=[a_case("a", Result.FAIL)])
    assert past(history, 1).ended == {("g", "a"): (0, True, "")}
    assert past(history, 0).ended == {("g", "a"): (0, False, "")}


def test_what_was_interrupted_and_how_long_tests_take_is_handed_on() -> None:
    made = past(History(interrupted={("g", "a", 0): 2}, seconds={("g", "a"): 3.0}), 1)
    assert (made.interrupted, made.seconds) == ({("g", "a", 0): 2}, {("g", "a"): 3.0})
