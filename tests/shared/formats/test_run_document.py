"""Our own document: what is taken, what is told to its author, and that both are the whole truth."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.formats import run_model
from shared.formats.faults import FAULTS_KEPT, Faulty
from shared.formats.run_columns import to_cases, to_columns
from shared.formats.run_document import SLACK, cases, columns, read, read_batch
from shared.model.results import Case, Cause, CheckState, Result
from tests.shared.formats.lab import a_case, a_document, grown, key, told
from tests.shared.formats.lab import cases as some_cases

NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
SERIES = {"branch": None, "series": "<20260820.1-1-a@example.org>"}


def faults(document: Any) -> dict[str, str]:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    with pytest.raises(Faulty) as caught:
        read(data, NOW)
    return {fault.pointer: fault.detail for fault in caught.value.faults}


def with_case(**changes: Any) -> dict[str, Any]:
    return a_document(cases=[a_case(**changes)])


def spelled(text: bytes) -> bytes:
    """A document with what json.dumps would not write."""
    return b'{"branch": "a", "executor": "e", %s%s}' % (text, b"" if b'"cases"' in text else b', "cases": []')


def written(found: list[Case]) -> list[dict[str, Any]]:
    """The cases as a lab writes them: subtests in the first entry of their test, which is made up if it is missing."""
    tests: dict[tuple[str, str, int], dict[str, Any]] = {}
    for case in sorted(found, key=lambda case: bool(case.subtest)):
        row: dict[str, Any] = {"test": case.test, "result": str(case.result), "attempt": case.attempt}
        row |= {"seconds": case.seconds, "detail": case.detail}
        row |= {"cause": str(case.cause)} if case.cause else {}
        if case.subtest:
            tests[case.group, case.test, case.attempt]["cases"].append(row | {"test": case.subtest})
        else:
            row |= {"group": case.group, "crashes": list(case.crashes), "link": case.link, "cases": []}
            tests[case.group, case.test, case.attempt] = row
    return list(tests.values())


@st.composite
def families(draw: st.DrawFn) -> list[Case]:
    """Tests with subtests; a subtest has no crashes and no link of its own."""
    tests = draw(st.lists(some_cases(subtest=st.just("")), max_size=4, unique_by=key))
    found = []
    for test in tests:
        fixed = {"group": st.just(test.group), "test": st.just(test.test), "attempt": st.just(test.attempt)}
        plain = {"crashes": st.just(()), "link": st.just("")}
        below = draw(st.lists(some_cases(**fixed, **plain), max_size=4, unique_by=key))
        found += [test, *(case for case in below if case.subtest)]
    return found


@given(families())
def test_what_is_written_is_read(found: list[Case]) -> None:
    document = read(json.dumps(a_document(cases=written(found))).encode(), NOW)
    assert cases(document) == found
    assert to_columns(found) == columns(document)
    assert list(to_cases(columns(document))) == found


KEYS = st.sampled_from(["cases", "checks", "group", "test", "result", "branch", "executor", "device", "started"])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.sampled_from(["pass", "2026-08-20T10:00:00Z"])
)
TREES = st.recursive(SCALARS, lambda below: st.one_of(st.lists(below), st.dictionaries(KEYS, below)))


@given(st.one_of(st.binary(), TREES.map(lambda value: json.dumps(value).encode())))
def test_any_bytes_are_read_or_faulty(data: bytes) -> None:
    assert len(told(lambda: read(data, NOW))) <= FAULTS_KEPT
    assert len(told(lambda: read_batch(data))) <= FAULTS_KEPT


@given(st.datetimes(timezones=st.timezones()), st.datetimes(timezones=st.timezones()))
def test_any_times_are_read_or_faulty(started: datetime, ended: datetime) -> None:
    data = json.dumps(a_document(started=started.isoformat(), ended=ended.isoformat())).encode()
    if found := told(lambda: read(data, NOW)):
        assert {fault.pointer for fault in found} <= {"/started", "/ended"}
    else:
        assert started <= ended <= NOW + SLACK


def test_the_words_are_those_of_the_model() -> None:
    assert get_args(run_model.ResultWord) == tuple(Result)
    assert get_args(run_model.CauseWord) == tuple(Cause)
    assert get_args(run_model.StateWord) == tuple(CheckState)


def test_a_whole_document_is_taken() -> None:
    document = a_document(
        attempt=1, started="2026-08-20T11:00:00+02:00", ended="2026-08-20 11:59:00Z", planned=3,
        link="https://lab.example/1", device={"nic": {"ports": [1, 2]}},
        facts={"kernel_commit": "a" * 40, "suite_commit": "", "toolchain": "gcc 15"},
        cases=[a_case(cause=None, seconds=None, cases=[{"test": "sub", "result": "not-run"}])],
    )  # fmt: skip
    found = read(json.dumps(document).encode(), NOW)
    assert (found.branch, found.attempt, found.device) == (document["branch"], 1, {"nic": {"ports": [1, 2]}})
    assert found.started == NOW - timedelta(hours=3)
    assert [case.name for case in cases(found)] == ["gro", "gro.sub"]


def test_a_series_has_checks() -> None:
    checks = [{"context": "build", "state": "pending"}, {"context": "build", "state": "fail", "patch": 2}]
    found = read(json.dumps(a_document(**SERIES, checks=checks)).encode(), NOW)
    assert [check.get("patch") for check in found.checks] == [None, 2]


def test_a_subtest_has_the_attempt_of_its_test_unless_it_says_another() -> None:
    subs = [{"test": "a", "result": "pass"}, {"test": "a", "result": "fail", "attempt": 0}]
    document = read(json.dumps(with_case(attempt=1, cases=subs)).encode(), NOW)
    assert columns(document).attempt == [1, 1, 0]


@pytest.mark.parametrize(
    ("document", "pointer", "words"),
    [
        ([], "", "should be an object"),
        ({}, "/executor", "is required"),
        (a_document(executor=None), "/executor", "is required"),
        (a_document(branch=None), "/branch", "is required, or series is"),
        (a_document(series="<a@b>"), "/series", "not on both"),
        (a_document(branch=None, series="a b"), "/series", "message id"),
        (a_document(branch="a\nb"), "/branch", "without control characters"),
        (a_document(executor="é" * 257), "/executor", "at most 512 bytes"),
        (a_document(attempt=10), "/attempt", "less than 10"),
        (a_document(attempt=True), "/attempt", "an integer"),
        (a_document(attempt="1"), "/attempt", "an integer"),
        (a_document(planned=-1), "/planned", "greater than or equal to 0"),
        (a_document(link="ftp://x"), "/link", "http or https address"),
        (a_document(device=[]), "/device", "should be an object"),
        (a_document(device={"a": [10**18]}), "/device/a/0", "over 18 digits"),
        (a_document(device={"a": "x" * (64 << 10)}), "/device", "at most 65536 bytes"),
        (a_document(facts={"compiler": "x"}), "/facts/compiler", "is no key here"),
        (a_document(speed=1), "/speed", "is no key here"),
        (a_document(cases=None), "/cases", "is required"),
        (a_document(cases={}), "/cases", "should be a list"),
        (a_document(cases=[1]), "/cases/0", "should be an object"),
        (a_document(started="2026-08-20T12:05:01Z"), "/started", "is in the future"),
        (a_document(ended="2026-08-20T12:05:01Z"), "/ended", "is in the future"),
        (a_document(started="1999-08-20T12:05:01Z"), "/started", "before 2000"),
        (a_document(started="2026-08-20T10:00:01Z", ended="2026-08-20T10:00:00Z"), "/ended", "is before started"),
        (a_document(started="2026-08-20T10:00:00"), "/started", "time zone"),
        (a_document(started="2026-08-20"), "/started", "should be a time"),
        (a_document(started="1770000000"), "/started", "should be a time"),
        (a_document(started=1770000000), "/started", "should be a time"),
        (a_document(checks=[{"context": "a", "state": "fail"}]), "/checks", "only a series"),
        (a_document(**SERIES, checks=[{"context": "a", "state": "ok"}]), "/checks/0/state", "'success', 'pending'"),
        (a_document(**SERIES, checks=[{"context": "a", "state": "fail"}] * 2), "/checks/1", "a second check"),
        (a_document(**SERIES, checks=[{"context": "a", "state": "fail", "patch": 0}]), "/checks/0/patch", "equal to 1"),
        (with_case(result="PASS"), "/cases/0/result", "'pass', 'fail', 'skip'"),
        (with_case(cause="me"), "/cases/0/cause", "'patch', 'test', 'infra'"),
        (with_case(group=""), "/cases/0/group", "not empty"),
        (with_case(test="a\x7f"), "/cases/0/test", "without control characters"),
        (with_case(test="x" * 513), "/cases/0/test", "at most 512 characters"),
        (with_case(test="é" * 257), "/cases/0/test", "at most 512 bytes"),
        (with_case(seconds=-0.5), "/cases/0/seconds", "greater than or equal to 0"),
        (with_case(seconds=10**7 + 1), "/cases/0/seconds", "less than or equal to 10000000"),
        (with_case(seconds="1"), "/cases/0/seconds", "should be a number"),
        (with_case(detail="x" * 2001), "/cases/0/detail", "at most 2000 characters"),
        (with_case(detail="a\0"), "/cases/0/detail", "NUL"),
        (with_case(crashes=["x"] * 33), "/cases/0/crashes", "at most 32 entries"),
        (with_case(crashes=["x" * 501]), "/cases/0/crashes/0", "at most 500 characters"),
        (with_case(cases=[{"test": "a"}]), "/cases/0/cases/0/result", "is required"),
        (with_case(cases=[{"test": "é" * 257, "result": "pass"}]), "/cases/0/cases/0/test", "512 bytes"),
        (with_case(cases=[{"test": "a", "result": "pass"}] * 2), "/cases/0/cases/1", "stands here twice: net/gro/a"),
        (with_case(cases=[{"test": "a", "result": "pass", "cases": []}]), "/cases/0/cases/0/cases", "no key"),
        (a_document(cases=[a_case(), a_case(test="b"), a_case()]), "/cases/2", "twice: net/gro, attempt 0"),
        (b'{"branch": "a", "executor": "e", "branch": "b", "cases": []}', "/branch", "stands twice"),
        (spelled(b'"facts": {"image": "a", "image": "b"}'), "/facts/image", "stands twice"),
        (spelled(b'"device": {"a": {"b": 1, "b": 1}}'), "/device/a/b", "stands twice"),
        (spelled(b'"cases": [{"group": "g", "test": "t", "test": "u", "result": "pass"}]'), "/cases/0/test", "twice"),
        (spelled(b'"cases": [{"group": "g", "test": "t", "result": "pass", "seconds": 1e999}]'), "/cases/0/seconds",
         "too large"),
    ],
)  # fmt: skip
def test_the_fault_is_pointed_at(document: Any, pointer: str, words: str) -> None:
    assert words in faults(document).get(pointer, ""), faults(document)


def test_every_fault_is_told_at_once() -> None:
    bad = [a_case(result="ok"), a_case(test=3), a_case(cases=[{"test": "a", "result": "x", "y": 1}])]
    assert set(faults(a_document(executor=None, link="x", cases=bad))) == {
        "/executor", "/link", "/cases/0/result", "/cases/1/test", "/cases/2/cases/0/result", "/cases/2/cases/0/y",
    }  # fmt: skip


def test_the_faults_are_ready_for_an_answer_over_http() -> None:
    with pytest.raises(Faulty, match=r"^/cases/0/result: should be one of .* \(and 1 more\)$") as caught:
        read(json.dumps(a_document(cases=[a_case(result="ok")] * 2)).encode(), NOW)
    errors = caught.value.hints["errors"]
    assert errors == [{"pointer": fault.pointer, "detail": fault.detail} for fault in caught.value.faults]
    assert caught.value.status_hint == 400


def test_no_more_than_fifty_are_told() -> None:
    assert len(faults(a_document(cases=[a_case(result="ok")] * 1000))) == FAULTS_KEPT
    assert len(faults(a_document(cases=[a_case()] * 1000))) == FAULTS_KEPT


def test_fifty_thousand_cases_are_the_most() -> None:
    subs = [{"test": str(number), "result": "pass"} for number in range(4999)]
    full = [a_case(test=str(number), cases=subs) for number in range(10)]
    assert len(columns(read(json.dumps(a_document(cases=full)).encode(), NOW))) == run_model.CASES
    assert "50000 cases" in faults(a_document(cases=[*full, a_case()]))["/cases"]


def test_a_million_subtests_cost_little_to_refuse() -> None:
    subs = b",".join([b'{"test":"a","result":"pass","seconds":1}'] * 10**6)
    data = b'{"branch":"b","executor":"e","cases":[{"group":"g","test":"t","result":"pass","cases":[%s]}]}' % subs
    assert grown(lambda: faults(data)) < 200 << 20


def test_a_document_of_nothing_but_faults_costs_little_to_refuse() -> None:
    data = json.dumps(a_document(cases=[a_case(result="x", test=1, z=[])] * 45_000)).encode()
    assert grown(lambda: faults(data)) < 200 << 20


@pytest.mark.parametrize("where", ["%s", '"device":{%s}', '"cases":[{%s}]', '"facts":{%s}', '"checks":[{%s}]'])
@pytest.mark.parametrize("count", [95_000, 500_000])
def test_many_keys_of_one_object_cost_little_to_refuse(where: str, count: int) -> None:
    keys = ",".join(f'"a{number}":1' for number in range(count))
    data = f'{{"branch":"b","executor":"e",{where % keys}}}'.encode()
    assert grown(lambda: faults(data)) < 200 << 20


def test_a_key_that_nobody_knows_is_told_the_others() -> None:
    assert faults(a_document(facts={"commit": "a"}))["/facts/commit"] == (
        "is no key here; these are: config_digest, image, kernel_commit, suite_commit, toolchain"
    )


def test_a_batch_is_cases_alone() -> None:
    assert [case.test for case in cases(read_batch(json.dumps({"cases": [a_case()]}).encode()))] == ["gro"]
    with pytest.raises(Faulty, match="/branch: is no key here"):
        read_batch(json.dumps(a_document()).encode())
