"""Which tests of a run are told, and as what."""

from typing import Any

import pytest

from services.report.web.nipa.stable import Name, judged, reported
from shared.model.results import Case, Cause, Result

G = "selftests-drivers-net"


def a_test(name: str = "ping.py", result: str = "fail", **more: Any) -> dict[str, Any]:
    return {"group": G, "test": name, "result": result, **more}


def subs(*results: str, retry: str = "") -> list[dict[str, Any]]:
    return [{"test": f"s{n}", "result": r} | ({"retry": retry} if retry else {}) for n, r in enumerate(results)]


def unsteady(*subtests: str, test: str = "ping.py") -> set[Name]:
    return {(G, test, sub) for sub in subtests}


def test_a_test_that_is_not_steady_is_left_out_unless_it_crashed() -> None:
    crashed = a_test("tls", crashes=["fib6_walk:dst_release"])
    told = reported([a_test(), crashed, a_test("udp")], unsteady("") | unsteady("", test="tls"))
    assert told == [crashed, a_test("udp")]


def test_unsteady_subtests_are_left_out_and_the_rest_decides() -> None:
    row = a_test(results=subs("pass", "fail"))
    assert reported([row], unsteady("s1")) == [a_test(result="pass", results=subs("pass"))]
    assert reported([row], unsteady("s0")) == [a_test(results=[{"test": "s1", "result": "fail"}])]
    assert reported([row], unsteady("s0", "s1")) == []
    assert reported([row], unsteady("")) == [row]


def test_a_skip_among_what_is_left_keeps_the_result() -> None:
    assert reported([a_test(results=subs("pass", "skip", "fail"))], unsteady("s2"))[0]["result"] == "fail"


@pytest.mark.parametrize(("retry", "wanted"), [("pass", "pass"), ("", "fail")])
def test_a_retry_passes_only_where_every_subtest_was_retried(retry: str, wanted: str) -> None:
    row = a_test(retry="fail", results=subs("pass", "fail", retry=retry))
    assert reported([row], unsteady("s1"))[0]["retry"] == wanted


def test_a_crash_stays_when_all_subtests_are_left_out() -> None:
    row = a_test(crashes=["x"], results=subs("fail"))
    assert reported([row], unsteady("s0")) == [a_test(crashes=["x"])]


def test_attempts_that_machines_broke_are_no_attempts() -> None:
    broken = Case(G, "tls", Result.ERROR, cause=Cause.INFRA)
    passed = Case(G, "tls", Result.PASS, attempt=1)
    assert judged([broken, passed]) == [Case(G, "tls", Result.PASS)]
    assert judged([Case(G, "tls", Result.FAIL), Case(G, "tls", Result.ERROR, attempt=1, cause=Cause.INFRA)]) == [
        Case(G, "tls", Result.FAIL)
    ]
    assert [case.result for case in judged([broken])] == [Result.NOT_RUN]
