"""The perf suite: figures are shown and kept, and judge nothing that no limit was set for."""

import json
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.executor.suites.base import Place, Spoken
from services.executor.suites.perf import Perf, PerfConfig
from shared.formats import metrics
from shared.model.results import Case, Cause, Result

PLACE = Place(PurePosixPath("/w"), "a" * 40, "branch", "b" * 40)
RATES = b"".join(b"metric: stream.rate %d Mbit/s higher\n" % rate for rate in (940, 900, 960))


def a_suite(**changes: object) -> Perf:
    return Perf(PerfConfig.model_validate({"command": "./bench", "test": "tcp", "repeat": 3} | changes))


def cases(stdout: bytes, code: int | None = 0, **changes: object) -> tuple[Case, ...]:
    suite = a_suite(**changes)
    (invocation,) = suite.invocations("", PLACE)
    return suite.read(invocation, Spoken(stdout, b"", code, code is None, 1.0, 0, "log"))


def test_a_metric_is_a_subtest_with_its_median_and_spread() -> None:
    first, only = cases(RATES)
    assert (first.name, first.result) == ("tcp", Result.PASS)
    assert (only.name, only.result) == ("tcp.stream.rate", Result.PASS)
    assert only.detail == "median 940 Mbit/s of 3, 900 to 960, spread 6.4%"


@pytest.mark.parametrize(
    ("limit", "result", "why"),
    [
        ({"min": 930}, Result.PASS, "spread 6.4%"),
        ({"min": 950}, Result.FAIL, "spread 6.4%: below 950"),
        ({"max": 900}, Result.FAIL, "spread 6.4%: above 900"),
        ({"spread": 0.05}, Result.WARN, "spread 6.4%: spreads more than 5.0%"),
    ],
)
def test_limits_judge(limit: dict[str, float], result: Result, why: str) -> None:
    first, only = cases(RATES, limits={"stream.rate": limit})
    assert first.result is only.result is result
    assert only.detail.endswith(why)


def test_a_limit_whose_metric_never_came_is_an_error() -> None:
    first = cases(RATES, limits={"stream.latency": {"max": 3}})[0]
    assert (first.result, first.cause, first.detail) == (Result.ERROR, Cause.TEST, "no value of stream.latency")


def test_a_benchmark_without_a_figure_is_an_error() -> None:
    assert cases(b"done\n")[0].result is Result.ERROR
    assert cases(RATES + b"metric: broken\n")[0].detail == "no metric: 'metric: broken'"


def test_a_repetition_that_fails_fails_it_and_the_figures_stand() -> None:
    first, only = cases(RATES[:80], 1)
    assert (first.result, first.detail) == (Result.FAIL, "exit=1")
    assert only.detail == "median 920 Mbit/s of 2, 900 to 940, spread 4.3%"
    assert cases(b"", 4)[0].result is Result.SKIP
    assert cases(b"", None)[0].cause is Cause.TIMEOUT


def test_subtests_in_ktap_stand_beside_the_figures() -> None:
    found = cases(b"KTAP version 1\n1..1\nok 1 connects\n" + RATES)
    assert [case.subtest for case in found] == ["", "connects", "stream.rate"]


def test_all_values_are_kept_and_can_be_read_again() -> None:
    suite = a_suite()
    (invocation,) = suite.invocations("", PLACE)
    kept = suite.keep(invocation, Spoken(RATES, b"", 0, False, 1.0, 0, "log"))
    assert json.loads(kept["metrics.json"])["metrics"]["stream.rate"] == {
        "value": [940.0, 900.0, 960.0], "unit": "Mbit/s", "better": "higher",
        "median": 940.0, "min": 900.0, "max": 960.0, "spread": 60 / 940,
    }  # fmt: skip
    assert metrics.read(kept["metrics.json"].decode()) == metrics.read(RATES.decode())
    assert suite.keep(invocation, Spoken(b"", b"", 0, False, 1.0, 0, "log")) == {}


def test_it_is_repeated_by_the_host_within_all_limits_together() -> None:
    (invocation,) = a_suite(time_limit="2m", checkout=["tools"]).invocations("", PLACE)
    assert invocation.time_limit.total_seconds() == 360
    assert invocation.command.argv[4:] == ("3", "sh", "-c", "./bench")
    assert invocation.command.cwd == PLACE.tree
    assert a_suite(command=["./bench", "a b"]).invocations("", PLACE)[0].command.argv[5:] == ("./bench", "a b")


@pytest.mark.parametrize(
    "wrong", [{"command": ""}, {"repeat": 0}, {"limits": {"a": {"mean": 1}}}, {"limits": {"a": {"min": "nan"}}}]
)
def test_a_wrong_key_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        a_suite(**wrong)


@given(st.binary(), st.one_of(st.none(), st.integers(0, 255)))
def test_any_output_is_survived(stdout: bytes, code: int | None) -> None:
    assert cases(stdout, code)[0].test == "tcp"
