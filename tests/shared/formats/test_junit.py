"""JUnit XML there and back, and what is refused of it. Whole files are in the golden tests."""

from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.formats.bounded import UNPACKED
from shared.formats.faults import Faulty
from shared.formats.junit import read
from shared.formats.junit_write import render
from shared.formats.run_model import CASES
from shared.model.results import Case, Cause, Result
from tests.shared.formats.lab import cases, grown, key, told

NOISE = st.lists(
    st.sampled_from(
        ["<testsuites>", "<testsuite name='a'>", "<testcase name='b'>", "<failure>", "<rerunFailure message='x'>",
         "</failure>", "<skipped/>", "</testcase>", "</testsuite>", "</testsuites>", "&#27;", "&amp;", "&x;", "\x1b[0m",
         "é", "<!-- -->", "<![CDATA[", "]]>", "<?xml version='1.0'?>", "<!DOCTYPE a>",
         "<property name='netci.attempt' value='9'/>"]
    )
).map("".join)  # fmt: skip


def suite(inside: str) -> bytes:
    return f"<testsuite name='s'>{inside}</testsuite>".encode()


@given(st.lists(cases(), max_size=6, unique_by=key))
def test_what_is_written_is_read(found: list[Case]) -> None:
    """But for the order, which is by group, and a blame on what passed with nothing to carry it."""
    assert sorted(read(render(found).encode()).cases, key=key) == sorted(found, key=key)


@given(st.one_of(st.binary(), NOISE.map(str.encode), NOISE.map(suite)))
def test_any_bytes_are_read_or_faulty(data: bytes) -> None:
    assert len(told(lambda: read(data))) <= 1


@given(st.text(), st.text())
def test_any_text_is_written_well_formed(name: str, detail: str) -> None:
    text = render([Case(name, name, Result.FAIL, detail=detail, crashes=(detail,))], name=name)
    assert ElementTree.fromstring(text.encode()).tag == "testsuites"


def test_what_other_readers_see() -> None:
    found = [
        Case("net", "gro", Result.FAIL, cause=Cause.CRASH, seconds=1.5, detail="exit=1"),
        Case("net", "gro", Result.XFAIL, "sub"),
        Case("net", "tls", Result.ERROR),
        Case("mptcp", "join", Result.NOT_RUN),
        Case("mptcp", "warns", Result.WARN),
    ]
    root = ElementTree.fromstring(render(found, name="vm", started=datetime(2026, 8, 20, tzinfo=UTC)).encode())
    counts = [root.attrib[name] for name in ("name", "tests", "failures", "errors", "skipped", "time")]
    assert counts == ["vm", "5", "1", "1", "2", "1.5"]
    assert [suite.attrib["name"] for suite in root] == ["net", "mptcp"]
    assert [suite.attrib["timestamp"] for suite in root] == ["2026-08-20T00:00:00+00:00"] * 2
    names = [case.attrib["name"] for case in root.iter("testcase")]
    assert names == ["gro", "gro.sub", "tls", "join", "warns"]
    (failure,) = root.iter("failure")
    assert failure.attrib == {"message": "exit=1", "type": "crash"}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<!DOCTYPE testsuite><testsuite/>", "document type"),
        (b"<!DOCTYPE t [<!ENTITY a 'aa'><!ENTITY b '&a;&a;'>]><testsuite name='&b;'/>", "document type"),
        (b"<!DOCTYPE t SYSTEM 'file:///etc/passwd'><testsuite/>", "document type"),
        ("<!DOCTYPE t []><testsuite/>".encode("utf-16"), "document type"),
        (suite("&a;"), "undefined entity"),
        (b"", "not XML"),
        (b"<html/>", "no testsuite"),
        (b"<testsuite>", "not XML"),
        (b"<?xml version='1.0' encoding='utf-7'?><testsuite/>", "not XML"),
        (b"<?xml version='1.0' encoding='no-such'?><testsuite/>", "not XML"),
        (b"<testsuite name='\xff'/>", "not XML"),
        (suite("<a>" * 16 + "</a>" * 16), "deeper than 16"),
        (suite("<testcase name='a'/>" * (CASES + 1)), f"more than {CASES} cases"),
        (suite("<a/>" * 1_000_000), "elements"),
    ],
)
def test_what_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(Faulty, match=words):
        read(data)


@pytest.mark.parametrize(
    ("start", "piece", "end"),
    [
        (b"<testsuite ", b"a='' ", b"/>"),
        (b"<testsuite>", b"<a>", b""),
        (b"<testsuite>", b"<a/>", b"</testsuite>"),
        (b"<testsuite><!--", b"x", b"--></testsuite>"),
        (b"<testsuite><testcase name='a'><failure>", b"&lt;", b"</failure></testcase></testsuite>"),
        (b"<testsuite><testcase name='a'><failure message='", b"x", b"'/></testcase></testsuite>"),
        (b"<testsuite><testcase name='a'><system-out><![CDATA[", b"\n", b"]]></system-out></testcase></testsuite>"),
    ],
    ids=["attributes", "deep", "elements", "comment", "text", "message", "log"],
)
def test_the_largest_documents_cost_little(start: bytes, piece: bytes, end: bytes) -> None:
    data = start + piece * ((UNPACKED - len(start) - len(end)) // len(piece)) + end
    assert grown(lambda: told(lambda: read(data))) < 200 << 20


def test_many_attributes_of_different_names_cost_little() -> None:
    data = b"<testsuite " + b"".join(b"a%d='' " % number for number in range(4_000_000)) + b"/>"
    assert grown(lambda: told(lambda: read(data))) < 200 << 20


def test_a_long_log_is_no_fault() -> None:
    (case,) = read(suite(f"<testcase name='a'><failure>boo{' x' * (2 << 20)}</failure></testcase>")).cases
    assert case.detail.startswith("boo x x")
    assert len(case.detail) == 2000


def test_more_than_ten_runs_of_a_test_keep_the_last() -> None:
    flaky = "".join(f"<flakyFailure message='{number}'/>" for number in range(12))
    run = read(suite(f"<testcase name='a'>{flaky}</testcase>"))
    assert [case.attempt for case in run.cases] == list(range(10))
    assert run.cases[-1].result is Result.PASS
    assert run.warnings == ("s/a: 13 runs, of which 10 are kept",)


@pytest.mark.parametrize(
    ("name", "value"),
    [("result", "great"), ("cause", "me"), ("attempt", "-1"), ("link", "javascript:x"), ("attempt", "³")],
)
def test_our_properties_are_not_believed_blindly(name: str, value: str) -> None:
    plain = Case("s", "a", Result.PASS)
    text = f"<testcase name='a'><properties><property name='netci.{name}' value='{value}'/></properties></testcase>"
    assert read(suite(text)).cases == (plain,)


def test_a_subtest_whose_name_is_no_end_of_its_own_is_kept() -> None:
    text = "<testcase name='a'><property name='netci.subtest' value='b'/></testcase>"
    assert read(suite(text)).cases == (replace(Case("s", "a", Result.PASS), subtest="b"),)
