"""What answers mean."""

import pytest

from services.ingest.sources.patchwork import answers
from services.ingest.waits import wait_after
from shared.errors import Missing, NetciError, Refused, Transient
from shared.http import Answer


def answer(status: int, kind: str, body: bytes, **headers: str) -> Answer:
    return Answer(status, {"content-type": kind} | {name.replace("_", "-"): v for name, v in headers.items()}, body)


def judge(status: int, kind: str = "application/json", **headers: str) -> NetciError | None:
    try:
        answers.judge(answer(status, kind, b'{"detail":"Words."}', **headers), "x")
    except NetciError as exc:
        return exc
    return None


@pytest.mark.parametrize(
    ("status", "kind", "meaning"),
    [
        (404, "application/json", Missing),
        (404, "text/html", Transient),
        (400, "application/json", Refused),
        (403, "application/json", Refused),
        (403, "text/html", Transient),
        (301, "text/html", Refused),
        (429, "application/json", Transient),
        (500, "text/html", Transient),
        (502, "text/html", Transient),
        (503, "application/json", Transient),
        (204, "", Transient),
    ],
)
def test_each_status_has_one_meaning(status: int, kind: str, meaning: type[NetciError]) -> None:
    assert type(judge(status, kind)) is meaning


def test_200_is_fine() -> None:
    assert judge(200) is None


def test_the_asked_wait_is_a_hint() -> None:
    asked = {"7": 7.0, "99999": answers.LONGEST_ASKED, "Mon, 23 Nov 2026 09:00:00 GMT": None}
    for text, seconds in asked.items():
        fault = judge(503, retry_after=text)
        assert fault is not None
        assert fault.hints["retry_after"] == seconds


@pytest.mark.parametrize(
    ("kind", "body"), [("text/html", b"[]"), ("application/json", b'[{"id": 1'), ("application/json", b"[" * 100_000)]
)
def test_a_page_or_torn_json_is_tried_again(kind: str, body: bytes) -> None:
    with pytest.raises(Transient):
        answers.document(answer(200, kind, body), "x")


def test_a_page_instead_of_mails() -> None:
    with pytest.raises(Transient):
        answers.mails(answer(200, "text/plain", b"\n<!DOCTYPE html>"), "x")
    assert answers.mails(answer(200, "text/plain", b"From patchwork"), "x") == b"From patchwork"


@pytest.mark.parametrize(
    ("link", "query"),
    [
        ('<http://h/api/1.4/events/?page=2&project=x>; rel="next"', "page=2&project=x"),
        ('<http://h/?page=1>; rel="prev", <https://other/?page=3>; rel="next"', "page=3"),
        ('<http://h/?page=1>; rel="first", <http://h/?page=9>; rel="last"', ""),
        ("", ""),
    ],
)
def test_of_a_link_only_the_query_is_taken(link: str, query: str) -> None:
    assert answers.next_query(link) == query


def test_waits_grow_and_end() -> None:
    assert [answers.wait_before(n, None) for n in (1, 2, 3)] == [0.25, 1.0, None]
    assert answers.wait_before(1, 2.0) == 2.0
    assert answers.wait_before(1, 60.0) is None
    assert answers.wait_before(1, None, spent=60.0) is None
    assert [wait_after(1, n) for n in (1, 2, 3, 9)] == [1, 2, 4, 30]
    assert wait_after(600, 1) == 60
    assert wait_after(1, 1, 120.0) == 120
