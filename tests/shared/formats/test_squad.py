"""SQUAD's three fields: names with slashes and variants, words, metrics, and what is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.formats.faults import FAULTS_KEPT, Faulty
from shared.formats.squad import read, split
from shared.model.results import Case, Result
from tests.shared.formats.lab import told


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("suite/test", ("suite", "test")),
        ("suite/sub/test", ("suite/sub", "test")),
        ("suite/test[variant/one]", ("suite", "test[variant/one]")),
        ("test[a/b]", ("", "test[a/b]")),
        ("test", ("", "test")),
        ("/test", ("", "test")),
        ("suite/", ("suite", "")),
    ],
)
def test_the_last_slash_outside_of_brackets_parts_suite_and_test(name: str, parts: tuple[str, str]) -> None:
    assert split(name) == parts


def test_a_whole_submission() -> None:
    tests = {"net/gro": "pass", "net/tls[v4/gcm]": {"result": "fail", "log": "boo\nat line 3"}, "boot": "maybe"}
    metrics = {"net/speed": [1, 2, 6], "size": 7, "time": {"value": 1.5, "unit": "s"}, "bad": "x", "worse": []}
    metadata = {
        "job_id": 17, "job_url": "https://lab.example/17", "datetime": "2026-08-20T12:05:01+00:00",
        "suite_versions": {"ltp": "20260530"}, "job_status": "Complete", "more": {"a": 1},
    }  # fmt: skip
    run = read(dumped(tests), dumped(metrics), dumped(metadata))
    assert run.cases == (
        Case("net", "gro", Result.PASS),
        Case("net", "tls[v4/gcm]", Result.FAIL, detail="boo\ufffdat line 3"),
        Case("tests", "boot", Result.SKIP),
    )
    assert run.metrics == {"net/speed": 3.0, "size": 7.0, "time": 1.5}
    assert (run.job, run.link, str(run.started)) == ("17", "https://lab.example/17", "2026-08-20 12:05:01+00:00")
    assert run.facts == {"suite/ltp": "20260530", "job_status": "Complete"}
    assert len(run.warnings) == 3


def test_nothing_is_an_empty_run() -> None:
    assert read().cases == ()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ((b"[]", b"", b""), "/tests: should be an object"),
        ((b"", b"{", b""), "/metrics: not JSON"),
        ((b"", b"", b'{"a": {"b": 1e999}}'), "/metadata/a/b: a number too large"),
        ((b"", b"", b'{"job_id": "a/b"}'), "/metadata/job_id: should be a name"),
        ((b"", b"", b'{"job_id": ""}'), "/metadata/job_id: should be a name"),
        ((b"", b"", b'{"job_id": true}'), "/metadata/job_id: should be a name"),
    ],
)
def test_the_fault_is_pointed_at(fields: tuple[bytes, bytes, bytes], words: str) -> None:
    with pytest.raises(Faulty, match=words):
        read(*fields)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda below: st.one_of(
        st.lists(below),
        st.dictionaries(st.sampled_from(["job_id", "a/b", "result", "value", "suite_versions", "datetime"]), below),
    ),
).map(dumped)


@given(st.one_of(st.binary(), JSON), st.one_of(st.binary(), JSON), st.one_of(st.binary(), JSON))
def test_any_bytes_are_read_or_faulty(tests: bytes, metrics: bytes, metadata: bytes) -> None:
    assert len(told(lambda: read(tests))) <= FAULTS_KEPT
    assert len(told(lambda: read(metrics=metrics))) <= FAULTS_KEPT
    assert len(told(lambda: read(metadata=metadata))) <= FAULTS_KEPT
