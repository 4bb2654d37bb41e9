"""What decides in a lab, and what reads and writes its documents."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.remote.backlog import Choice, Waiting, choose
from services.executor.remote.branch import Branch, of_event, of_list
from services.executor.remote.documents import as_text, batch, fit_for_path, with_link
from services.executor.remote.numbers import Numbers
from services.executor.remote.post import What, meaning, run_named
from services.executor.remote.sse import Heard, Parser
from shared.formats import run_document
from shared.formats.clean import plain
from shared.model.results import Case, Cause, Result
from tests.services.executor.remote.build import NOW, a_branch

DAY = timedelta(hours=24)


# Which branch comes next


def waiting(key: str, minutes_ago: int, *, begun: bool = False, stream: str = "net-next") -> Waiting:
    return Waiting(key, stream, NOW - timedelta(minutes=minutes_ago), begun)


def test_nothing_waits() -> None:
    assert choose([], "newest", DAY, NOW) == Choice()


def test_newest_drops_what_was_not_begun_and_says_why() -> None:
    choice = choose([waiting("old", 200), waiting("new", 10)], "newest", DAY, NOW)
    assert (choice.take, list(choice.drop)) == ("new", ["old"])
    assert "newer branch" in choice.drop["old"]


def test_newest_is_newest_of_its_stream() -> None:
    choice = choose([waiting("a", 20), waiting("b", 10, stream="bpf")], "newest", DAY, NOW)
    assert (choice.take, choice.drop) == ("a", {})


def test_all_begins_with_the_oldest() -> None:
    assert choose([waiting("new", 10), waiting("old", 200)], "all", DAY, NOW) == Choice("old")


def test_what_was_begun_is_ended_first_however_old() -> None:
    choice = choose([waiting("new", 10), waiting("begun", 60 * 40, begun=True)], "newest", DAY, NOW)
    assert choice == Choice("begun")


@pytest.mark.parametrize("policy", ["newest", "all"])
def test_what_is_too_old_is_not_begun(policy: str) -> None:
    choice = choose([waiting("old", 60 * 25)], policy, DAY, NOW)  # type: ignore[arg-type]
    assert (choice.take, choice.drop) == ("", {"old": "announced over 24 h ago"})


# Branches


def an_event(**more: str) -> dict[str, object]:
    data = {
        "branch": "net-next-2026-11-23--09-00", "stream": "net-next", "commit": "9" * 40, "base": "b" * 40,
        "public_url": "https://git.example.org/t.git", "purpose": "scheduled",
    }  # fmt: skip
    return {"time": "2026-11-23T09:01:00Z", "data": data | more}


def test_a_branch_from_an_event_and_back_from_the_spool() -> None:
    branch = of_event(an_event())
    assert branch == a_branch(9, url="https://git.example.org/t.git")
    assert branch is not None
    assert Branch.of(branch.plain()) == branch


def test_a_try_is_not_for_labs() -> None:
    assert of_event(an_event(purpose="try")) is None


@pytest.mark.parametrize("commit", ["main", "--upload-pack=x", "9" * 39, ""])
def test_what_is_no_commit_is_no_branch(commit: str) -> None:
    with pytest.raises(ValueError, match="no commit id"):
        of_event(an_event(commit=commit))


def test_branches_json_as_nipa_writes_it() -> None:
    [entry] = of_list([{
        "branch": "net-next-hw-2026-08-20--12-00", "date": "2026-08-20T12:03:04.1+00:00", "base": "b" * 40,
        "url": "https://git.example.org/t.git net-next-hw-2026-08-20--12-00",
    }])  # fmt: skip
    assert (entry.stream, entry.url) == ("net-next-hw", "https://git.example.org/t.git")
    assert entry.at("c" * 40).commit == "c" * 40


@pytest.mark.parametrize("entries", [{}, [1], [{}], [{"branch": "b", "date": "yesterday", "url": "u b"}]])
def test_branches_json_that_is_none(entries: object) -> None:
    with pytest.raises(ValueError, match=r"branches\.json|isoformat"):
        of_list(entries)


# Documents

NAMES = st.text(max_size=700)
CASES = st.builds(
    Case, NAMES, NAMES, st.sampled_from(Result), NAMES, st.none() | st.sampled_from(Cause), st.integers(0, 3),
    st.none() | st.floats(), st.text(max_size=2500), st.just(""),
    st.lists(st.text(max_size=600), max_size=40).map(tuple),
)  # fmt: skip


@given(st.lists(CASES, max_size=6))
def test_whatever_a_test_says_the_server_takes_the_document(cases: list[Case]) -> None:
    document = batch(cases)
    data = json.dumps(document).encode()
    for case in document["cases"]:
        assert case["group"]
    # Two tests whose names become one when they are made fit are a fault of the whole; all else is taken.
    names = [(case["group"], case["test"], case["attempt"]) for case in document["cases"]]
    if len(set(names)) == len(names):
        run_document.read_batch(data)


def test_subtests_stand_below_their_test() -> None:
    cases = [Case("g", "t", Result.FAIL, cause=Cause.TEST, seconds=1.5), Case("g", "t", Result.PASS, "a.b", detail="d")]
    assert batch(cases) == {
        "cases": [{
            "group": "g", "test": "t", "result": "fail", "cause": "test", "seconds": 1.5, "attempt": 0,
            "cases": [{"test": "a.b", "result": "pass", "detail": "d"}],
        }]
    }  # fmt: skip


def test_a_batch_leads_to_what_its_test_printed() -> None:
    body = batch([Case("g", "t", Result.FAIL), Case("g", "t", Result.FAIL, "sub")])
    linked = with_link(body, ("g", "t", 0), "https://ci.example.org/run/7/log/g/t/0.log")
    assert linked["cases"][0]["link"].endswith("/run/7/log/g/t/0.log")
    assert "link" not in linked["cases"][0]["cases"][0]
    assert with_link(body, ("g", "t", 1), "https://x") == body


@pytest.mark.parametrize("name", ["g/t/0.log", "selftests-net/gro-sh/1.log"])
def test_names_that_the_server_takes(name: str) -> None:
    assert fit_for_path(name)


@pytest.mark.parametrize("name", ["../t", "/t", "g//t", "g/ä", "g/a b", "g/" + "x" * 200])
def test_names_that_go_into_the_pack(name: str) -> None:
    assert not fit_for_path(name)


def test_the_output_of_an_attempt_is_one_text() -> None:
    assert as_text({"g/t/0/stdout": b"out\n", "g/t/0/dmesg": b"kernel\n"}) == b"out\n\n--- dmesg ---\nkernel\n"


# Answers


def said(kind: str, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> tuple[What, float | None]:
    found = meaning(kind, status, headers or {}, body, NOW)
    return found.what, found.wait


@pytest.mark.parametrize(
    ("kind", "status", "what"),
    [
        ("cases", 200, What.TAKEN),
        ("open", 201, What.TAKEN),
        ("cases", 400, What.REJECTED),
        ("cases", 422, What.REJECTED),
        ("artifact", 413, What.REJECTED),
        ("open", 404, What.REJECTED),
        ("expect", 422, What.TAKEN),
        ("cases", 404, What.CLOSED),
        ("cases", 409, What.CLOSED),
        ("open", 409, What.CLOSED),
        ("cases", 401, What.DENIED),
        ("cases", 403, What.DENIED),
        ("cases", 408, What.LATER),
        ("cases", 429, What.LATER),
        ("cases", 502, What.LATER),
        ("cases", 302, What.LATER),
    ],
)
def test_what_an_answer_means(kind: str, status: int, what: What) -> None:
    assert said(kind, status)[0] is what


def test_a_key_that_is_in_use_is_waited_for() -> None:
    assert said("cases", 409, {"retry-after": "2"}) == (What.LATER, 2.0)


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("7", 7.0),
        ("99999999999", 3600.0),
        ("Mon, 23 Nov 2026 09:06:00 GMT", 60.0),
        ("soon", None),
        ("", None),
        (f"Mon, 23 Nov {'9' * 20} 09:06:00 GMT", None),
    ],
)
def test_retry_after(text: str, wait: float | None) -> None:
    assert said("cases", 503, {"retry-after": text}) == (What.LATER, wait)


def test_the_words_of_a_problem_are_kept_with_its_pointers() -> None:
    body = b'{"title":"x","detail":"no","errors":[{"pointer":"/cases/0/result","detail":"should be pass"}]}'
    assert meaning("cases", 422, {}, body, NOW).why == "422: no (/cases/0/result should be pass)"
    assert meaning("cases", 502, {}, b"<html>bad</html>", NOW).why == "502: <html>bad</html>"


@given(st.binary(max_size=60))
def test_any_answer_means_something(body: bytes) -> None:
    assert meaning("cases", 400, {}, body, NOW).what is What.REJECTED
    try:
        assert run_named(body)
    except ValueError:
        pass


# The stream


def test_events_however_they_are_cut_into_pieces() -> None:
    wire = b"retry: 3000\nid: 4-ab\n\n:\n\nid: 5-ab\r\nevent: x\r\ndata: {\r\ndata: }\r\n\r\ndata: \xc3\xa4\n\n"
    for size in range(1, len(wire)):
        parser = Parser()
        heard = [h for at in range(0, len(wire), size) for h in parser.feed(wire[at : at + size])]
        assert heard == [Heard("5-ab", "x", "{\n}"), Heard("5-ab", "message", "ä")]
    assert Parser().feed(b"id: 4-ab\n\n") == []


def test_an_id_without_an_event_is_kept() -> None:
    parser = Parser("3-ab")
    parser.feed(b"id: 4-ab\n\n")
    assert parser.last_id == "4-ab"


def test_a_line_without_an_end_is_refused() -> None:
    with pytest.raises(ValueError, match="over"):
        Parser().feed(b"data: " + b"x" * (2 << 20))


@given(st.lists(st.binary(max_size=40)))
def test_any_bytes_are_read(pieces: list[bytes]) -> None:
    parser = Parser()
    for piece in pieces:
        parser.feed(piece)


# Numbers


def test_numbers_rise_over_restarts_and_a_clock_that_goes_back(tmp_path: Path) -> None:
    file = tmp_path / "n"
    first = Numbers(file, lambda: 1000.0).next()
    second = Numbers(file, lambda: 10.0).next()
    assert second == first + 1
    file.write_text("rubbish")
    assert Numbers(file, lambda: 2000.0).next() > second


def test_a_plain_name_stays_as_it_is() -> None:
    assert batch([Case("g", "a b/c", Result.PASS)])["cases"][0]["test"] == plain("a b/c")
