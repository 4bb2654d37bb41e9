"""Attempts of a test folded into one entry."""

from typing import Any

from services.report.web.runs import fold_attempts


def a_case(test: str, result: str, attempt: int = 0, **more: Any) -> dict[str, Any]:
    return {"grp": "g", "test": test, "attempt": attempt, "result": result, "cause": "", "crashes": [], **more}


def test_a_retry_is_the_final_word() -> None:
    (one,) = fold_attempts([a_case("t", "pass", 1), a_case("t", "fail", 0)], [])
    assert [a["result"] for a in one["attempts"]] == ["fail", "pass"]
    assert (one["final"]["result"], one["flaky"]) == ("pass", True)


def test_a_crash_is_no_flake() -> None:
    (one,) = fold_attempts([a_case("t", "fail", crashes=["BUG"]), a_case("t", "pass", 1)], [])
    assert (one["flaky"], one["crashes"]) == (False, ["BUG"])


def test_a_retry_that_the_machines_broke_is_no_attempt() -> None:
    (one,) = fold_attempts([a_case("t", "fail"), a_case("t", "not-run", 1, cause="infra")], [])
    assert (one["standing"], one["flaky"]) == ("fail", False)


def test_subtests_of_the_last_attempt_are_shown() -> None:
    subs = [
        a_case("t", "fail", 0, subtest="a"),
        a_case("t", "pass", 1, subtest="a"),
        a_case("t", "fail", 1, subtest="b"),
    ]
    (one,) = fold_attempts([a_case("t", "fail", 0), a_case("t", "fail", 1)], subs)
    assert [s["subtest"] for s in one["subtests"]] == ["a", "b"]
    assert one["bad_subtests"] == 1
