"""Benchmarks' figures: lines and JSON, medians and spread, and nothing that makes the reader fail."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.formats.metrics import Measured, Metric, read


def the_only(text: str) -> Metric:
    measured = read(text)
    assert measured.faults == ()
    (metric,) = measured.metrics
    return metric


@pytest.mark.parametrize(
    ("line", "metric"),
    [
        ("metric: a 1", Metric("a", (1.0,))),
        ("metric: a.b/c -1.5e3 ms", Metric("a.b/c", (-1500.0,), "ms")),
        ("metric: a 2 Gbit/s higher", Metric("a", (2.0,), "Gbit/s", "higher")),
        ("metric: a 2 lower\r", Metric("a", (2.0,), "", "lower")),
        ('{"metrics": {"a": 3}}', Metric("a", (3.0,))),
        ('{"metrics": {"a": [1, 2.5]}}', Metric("a", (1.0, 2.5))),
        (
            '{"metrics": {"a": {"value": [1, 2], "unit": "s", "better": "lower"}}}',
            Metric("a", (1.0, 2.0), "s", "lower"),
        ),
        ('{\n "metrics": {\n  "a": {"value": 1}\n }\n}\n', Metric("a", (1.0,))),
        ('noise\n{"metrics": {"a": 1}}\n{"other": 1}\nmetric: a 2\n', Metric("a", (1.0, 2.0))),
    ],
)
def test_what_is_a_figure(line: str, metric: Metric) -> None:
    assert the_only(line) == metric


@pytest.mark.parametrize(
    "text", ["", "metrics: a 1\n", " metric: a 1\n", '{"metrics": 1}', "{broken", '{"metric": {"a": 1}}']
)
def test_what_is_none(text: str) -> None:
    assert read(text) == Measured()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("metric: a nan", "no metric: 'metric: a nan'"),
        ("metric: a 1 s\nmetric: a 1000 ms", "a is given in ms and in s"),
        ('{"metrics": {"a": "1"}}', "metric 'a' is no number and no list of numbers"),
        ('{"metrics": {"a": true}}', "metric 'a' is no number and no list of numbers"),
        ('{"metrics": {"a": []}}', "metric 'a' is no number and no list of numbers"),
        ('{"metrics": {"a": 1e200}}', "metric 'a' is no number and no list of numbers"),
        ("".join(f"metric: m{n} 1\n" for n in range(1001)),
         "more than 1000 metrics or 10000 values, the rest was not read"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(text: str, fault: str) -> None:
    assert read(text).faults == (fault,)


def test_median_and_spread() -> None:
    metric = Metric("a", (3.0, 1.0, 2.0, 2.0), "s")
    assert (metric.median, metric.spread) == (2.0, 1.0)
    assert str(metric) == "median 2 s of 4, 1 to 3, spread 100.0%"
    assert str(Metric("a", (0.0, 0.0))) == "median 0 of 2, 0 to 0, spread 0.0%"


@given(st.text() | st.text().map(lambda text: f"metric: a {text}"))
def test_any_text_is_survived(text: str) -> None:
    for metric in read(text).metrics:
        assert math.isfinite(metric.median)
        assert str(metric)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_json_is_survived(value: object) -> None:
    import json

    for metric in read(json.dumps({"metrics": {"a": value}})).metrics:
        assert math.isfinite(metric.median)
        assert math.isfinite(metric.spread)
