"""NIPA's files: read as they come, written so that they come back. Whole files are in the golden tests."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.formats.faults import FAULTS_KEPT, Faulty
from shared.formats.nipa import Branch, Entry, read_branches, read_manifest, read_run
from shared.formats.nipa_write import run_object
from shared.model.results import Case, Result
from tests.shared.formats.lab import NAMES, key, told

START = datetime(2026, 8, 20, 12, 5, 1, 100000, tzinfo=UTC)
READERS = (read_run, read_manifest, read_branches)
KEYS = st.sampled_from(["results", "test", "group", "result", "retry", "branch", "executor", "url", "date", "crashes"])
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.sampled_from(["pass", "skip", "https://x"]))
TREES = st.recursive(SCALARS, lambda below: st.one_of(st.lists(below), st.dictionaries(KEYS, below)))


def written(found: list[Case], **more: Any) -> dict[str, Any]:
    return run_object(found, branch="b", executor="e", started=START, ended=START + timedelta(hours=1), **more)


def a_run(*results: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"branch": "b", "executor": "e", "results": list(results)} | more).encode()


def a_test(**more: Any) -> dict[str, Any]:
    return {"test": "gro", "group": "net", "result": "pass"} | more


@st.composite
def runs(draw: st.DrawFn) -> list[Case]:
    """What NIPA's files can say: a test with at most one retry, and subtests of either run or of both."""
    words = st.sampled_from([Result.PASS, Result.FAIL, Result.WARN])
    found: list[Case] = []
    for group, test in draw(st.lists(st.tuples(NAMES, NAMES), max_size=3, unique=True)):
        retried = draw(st.booleans())
        link = f"https://lab.example/{len(found)}"
        found += [Case(group, test, draw(words), attempt=number, link=link) for number in range(1 + retried)]
        for subtest in draw(st.lists(NAMES, max_size=3, unique=True)):
            numbers = draw(st.sampled_from([(0,), (0, 1), (1,)] if retried else [(0,)]))
            found += [Case(group, test, draw(words), subtest, attempt=number) for number in numbers]
    return found


@given(runs())
def test_what_is_written_is_read(found: list[Case]) -> None:
    run = read_run(json.dumps(written(found, device={"a": [1]}, link="https://lab.example/")).encode())
    assert sorted(run.cases, key=key) == sorted(found, key=key)
    assert (run.branch, run.executor, run.started, run.link) == ("b", "e", START, "https://lab.example/")
    assert (run.device, run.warnings) == ({"a": [1]}, ())


@given(st.one_of(st.binary(), TREES.map(lambda value: json.dumps(value).encode())), st.sampled_from(READERS))
def test_any_bytes_are_read_or_faulty(data: bytes, read: Any) -> None:
    assert len(told(lambda: read(data))) <= FAULTS_KEPT


@given(st.lists(TREES))
def test_any_results_are_read(results: list[Any]) -> None:
    data = json.dumps({"branch": "b", "executor": "e", "results": results}).encode()
    for fault in told(lambda: read_run(data)):
        assert "18 digits" in fault.detail or "NUL" in fault.detail or "deeper" in fault.detail


def test_what_the_shapes_differ_in() -> None:
    found = [
        Case("net", "gro", Result.FAIL, seconds=2.5, crashes=("a:b",), link="https://lab.example/gro"),
        Case("net", "gro", Result.PASS, attempt=1),
        Case("net", "gro", Result.FAIL, "v4", seconds=1.0),
        Case("net", "gro", Result.XFAIL, "v6"),
        Case("net", "tls", Result.SKIP),
    ]
    gro = {"test": "gro", "group": "net", "link": "https://lab.example/gro", "result": "fail", "time": 2.5}
    gro |= {"crashes": ["a:b"], "retry": "pass"}
    tls = {"test": "tls", "group": "net", "link": "", "result": "skip"}
    subs = [{"test": "v4", "result": "fail", "time": 1.0}, {"test": "v6", "result": "pass"}]
    frame = {"group": "net", "link": "https://lab.example/gro", "crashes": ["a:b"]}
    assert written(found, shape="normal", remote="metal") == {
        "executor": "e", "branch": "b", "remote": "metal", "start": "2026-08-20 12:05:01.100000+00:00",
        "end": "2026-08-20 13:05:01.100000+00:00", "results": [gro, tls],
    }  # fmt: skip
    assert written(found, shape="full")["results"] == [gro | {"results": subs}, tls]
    assert written(found, shape="l2")["results"] == [
        frame | {"test": "gro.v4", "result": "fail", "time": 1.0}, frame | {"test": "gro.v6", "result": "pass"}, tls,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [*zip(Result, ["pass", "fail", "skip", "warn", "pass", "pass", "fail", "skip"], strict=True)],
)
def test_every_word_of_ours_is_one_of_theirs(ours: Result, theirs: str) -> None:
    (row,) = written([Case("net", "gro", ours)])["results"]
    assert row["result"] == theirs


def test_subtests_without_their_test_give_it_the_worst() -> None:
    found = [Case("net", "gro", result, str(result)) for result in (Result.PASS, Result.FAIL, Result.SKIP)]
    (row,) = written(found, shape="normal")["results"]
    assert row["result"] == "fail"


@pytest.mark.parametrize(
    ("row", "cases"),
    [
        (a_test(result="FAIL", retry="Pass"), [("fail", 0), ("pass", 1)]),
        (a_test(result=None, retry="pass"), [("pass", 1)]),
        (a_test(result="skip", retry="pass"), [("skip", 0), ("pass", 1)]),
        (a_test(retry=None), [("pass", 0)]),
        (a_test(result=None), [("error", 0)]),
        (a_test(result={"a": 1}), [("error", 0)]),
    ],
)
def test_a_retry_is_attempt_one(row: dict[str, Any], cases: list[tuple[str, int]]) -> None:
    assert [(case.result, case.attempt) for case in read_run(a_run(row)).cases] == cases


@pytest.mark.parametrize("said", ["2026-08-20 12:05:01.1+00:00", "2026-08-20T14:05:01.1+02:00",
                                  "2026-08-20T12:05:01.100Z", "2026-08-20 12:05:01.1"])  # fmt: skip
def test_times_are_read_in_every_spelling(said: str) -> None:
    assert read_run(a_run(start=said)).started == START


def test_an_end_before_the_start_is_left_out() -> None:
    run = read_run(a_run(start="2026-08-20 12:05:01", end="2026-08-20 12:05:00"))
    assert (run.ended, len(run.warnings)) == (None, 1)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"[]", "should be an object"),
        (b"{}", "/branch: is required"),
        (b'{"branch": "b"}', "/executor: is required"),
        (b'{"branch": "b", "executor": "e"}', "/results: should be a list"),
        (a_run(a_test(time=10**20)), "/results/0/time: an integer of over 18 digits"),
        (b"{", "not JSON"),
    ],
)
def test_what_is_no_run_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(Faulty, match=words):
        read_run(data)


def test_a_manifest_lists_runs_and_says_what_it_left_out() -> None:
    rows = [
        {"branch": "b", "executor": "vm", "url": None},
        {"branch": "b", "executor": "vm2", "url": "https://lab.example/results-1.json", "more": 1},
        {"branch": "b", "executor": "vm3"},
        {"branch": "b", "executor": "vm4", "url": "file:///etc/passwd"},
        {"branch": "", "executor": "vm5", "url": None},
        7,
    ]
    manifest = read_manifest(json.dumps(rows).encode())
    assert manifest.entries == (
        Entry("b", "vm", None), Entry("b", "vm2", "https://lab.example/results-1.json"), Entry("b", "vm3", None),
    )  # fmt: skip
    assert len(manifest.warnings) == 3
    with pytest.raises(Faulty, match="should be a list"):
        read_manifest(b"{}")


def test_branches_say_where_they_are() -> None:
    name, base = "net-next-2026-08-20--12-00", "a" * 40
    row = {"branch": name, "date": START.isoformat(), "base": base, "url": f"https://git.example/t.git {name}"}
    listed = read_branches(json.dumps([row, row | {"date": "now"}, row | {"url": name}, row | {"base": 7}]).encode())
    whole = Branch(name, START, base, "https://git.example/t.git", name)
    assert listed.entries == (whole, replace(whole, base=""))
    assert len(listed.warnings) == 2
