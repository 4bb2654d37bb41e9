"""Lines for a person: what is shown of an answer, plain whatever was in it, and what came of all."""

import io
import json

import pytest

from services.executor.checking.sink import Task
from services.executor.checks.base import Finding, Said, fail, success, warning
from services.executor.local.account import account, sentence
from services.executor.local.printed import FINDINGS, Look, lines, looked_at
from services.executor.local.screen import Document, Lines, Screen
from services.executor.local.tree import settled
from shared.formats.check_report import load
from shared.model.results import Cause, CheckState
from tests.services.executor.checking.builders import mail, series

BAD = fail(
    "2 errors", repeat="# at 12\nmake x", notes=("a note",), log="l1\nl2\n",
    findings=(
        Finding("wrong", "net/a.c", 2, context=((1, "one"), (2, "two"))), Finding("old one", "net/a.c", 9, new=False),
    ),
)  # fmt: skip
INFRA = Said(CheckState.WARNING, "not installed: x", cause=Cause.INFRA)


PLAIN = Look(width=10)


def shown(said: Said, look: Look = PLAIN) -> list[str]:
    return list(lines(Task("style", 2), said, 1.25, look))


def test_what_is_bad_comes_with_what_is_new_in_its_source() -> None:
    assert shown(BAD) == [
        "FAIL  style       patch 2    2 errors  (1.2 s)",
        "      note: a note",
        "      net/a.c:2: warning: wrong",
        "            1 | one",
        "      >     2 | two",
        "      repeat: # at 12",
        "              make x",
    ]


def test_what_is_good_is_one_line() -> None:
    assert shown(success("fine", log="much\n", repeat="make x")) == ["ok    style       patch 2    fine  (1.2 s)"]


def test_without_findings_the_end_of_the_log_and_all_of_it_on_demand() -> None:
    said = warning("odd", log="".join(f"line {n}\n" for n in range(30)))
    assert shown(said)[1:3] == ["      … 18 lines before, shown with --verbose", "      | line 18"]
    assert len(shown(said, Look(logs=True))) == 31


def test_many_findings_are_counted() -> None:
    said = fail("many", findings=tuple(Finding(f"f{n}") for n in range(FINDINGS + 7)))
    assert shown(said)[-1] == "      and 7 more"


def test_no_word_of_a_stranger_reaches_the_terminal_as_it_is() -> None:
    evil = "\x1b[2J\x1b]0;x\x07a\rb\u202ec\x00"
    said = fail(evil, findings=(Finding(evil, evil, 1, context=((1, evil),)),), log=evil, notes=(evil,), repeat=evil)
    for line in shown(said, Look(logs=True)):
        assert line.isprintable(), line


def test_colours_are_for_those_who_asked() -> None:
    assert "\x1b[" in shown(BAD, Look(colour=True))[0]
    assert not any("\x1b" in line for line in shown(BAD))


@pytest.mark.parametrize(
    ("answers", "code", "words"),
    [
        ([success("")], 0, "1 success (1.0 s)"),
        ([success(""), warning("")], 0, "1 warning, 1 success (1.0 s)"),
        ([warning(""), fail(""), INFRA], 1, "1 failed, 1 warning; 1 could not be told (1.0 s)"),
        ([success(""), INFRA], 2, "1 success; 1 could not be told (1.0 s)"),
        ([Said(CheckState.PENDING, "")], 0, "1 pending (1.0 s)"),
        ([], 0, "nothing was asked (1.0 s)"),
    ],
)
def test_what_came_of_it(answers: list[Said], code: int, words: str) -> None:
    assert account(answers).exit_code == code
    assert sentence(account(answers), 1.0) == words


async def test_a_terminal_shows_what_is_asked_until_it_is_answered() -> None:
    out = io.StringIO()
    screen = Screen(out, 4, Look(width=5), live=60)
    await screen.began(Task("style", 1))
    await screen.described(Task("style", 1), "half")
    assert out.getvalue().endswith("\r\x1b[2K0/4  style of patch 1 (half)")
    await screen.answered(Task("style", 1), success("fine"), 0.0)
    await screen.unasked(Task("other"), "why not")
    await screen.unasked(Task("more"), "why not")
    await screen.answered(Task("whole"), success("fine"), 0.0)
    await screen.answered(Task("size", 1), success("fine"), 0.0)
    await screen.answered(Task("style", 2), fail("bad"), 0.0)
    assert screen.end().success == 3
    assert "FAIL  style  patch 2    bad\n" in out.getvalue()
    assert "fine" not in out.getvalue()
    assert "ok    series     1 check\nok    patch 1    2 checks\n" in out.getvalue()
    assert "failed: style of patch 2\n1 failed, 3 success (" in out.getvalue()
    assert "not asked: other, more (why not)\n" in out.getvalue()


async def test_broken_off_the_live_line_goes_and_it_says_how_far_it_came() -> None:
    out = io.StringIO()
    screen = Screen(out, 7, Look(width=5), live=60)
    await screen.answered(Task("style", 1), success("fine"), 0.0)
    await screen.began(Task("style", 2))
    screen.broken_off()
    assert out.getvalue().endswith("1/7  style of patch 2\r\x1b[2Kbroken off, 1 of 7 answered\n")


async def test_all_is_shown_on_a_terminal_to_those_who_ask() -> None:
    out = io.StringIO()
    screen = Screen(out, 1, Look(width=5, logs=True), live=60)
    await screen.answered(Task("style", 1), success("fine"), 0.0)
    screen.end()
    assert "ok    style  patch 1    fine\n" in out.getvalue()
    assert "1 check" not in out.getvalue()


def test_the_worst_comes_first_and_says_how_bad_it_is() -> None:
    found = tuple(Finding(level, level=level) for level in ("note", "check", "warning", "odd", "error"))
    assert [line.strip() for line in shown(fail("x", findings=found))[1:]] == [
        "error: error", "warning: warning", "check: check", "note: note", "odd: odd",
    ]  # fmt: skip


def test_blanks_that_matter_can_be_seen() -> None:
    said = fail("x", findings=(Finding("t", "a.c", 1, context=((1, "\tif (x)  \t "), (2, "ab\tc d"), (3, "   "))),))
    assert [line.partition("| ")[2] for line in shown(said)[2:]] == [
        "→       if (x)  →       ·", "ab→     c d", "···",
    ]  # fmt: skip


def test_what_is_looked_at_is_said_first() -> None:
    subject = series("net/a.c", "b.c")
    first, *patches, last = looked_at(subject, "origin/main")
    assert first == f"2 patches on {subject.base[:12]} (origin/main)"
    assert patches == [f"  {one.number}  {one.commit[:12]}  {one.mail.subject.title}" for one in subject.patches]
    assert last == ""
    assert next(looked_at(series("net/a.c"), "")).startswith("1 patch on ")


async def test_a_pipe_gets_lines_alone() -> None:
    out = io.StringIO()
    screen = Screen(out, 1, Look(width=5))
    await screen.began(Task("style", 1))
    await screen.answered(Task("style", 1), success("fine"), 0.0)
    screen.end()
    assert out.getvalue().startswith("ok    style  patch 1    fine\n\n1 success (")


async def test_lines_for_a_program_hold_whole_answers() -> None:
    out = io.StringIO()
    sink = Lines(out, series("net/a.c", "b.c"))
    await sink.began(Task("style", 2))
    await sink.described(Task("style", 2), "half")
    await sink.answered(Task("style", 2), Said(CheckState.FAIL, "bad", log="log", files={"f": b"\x00\xff"}), 1.0)
    await sink.unasked(Task("whole"), "why")
    sink.end()
    told = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [one["what"] for one in told] == ["began", "described", "answered", "unasked", "done"]
    assert (told[2]["log"], told[2]["files"]) == ("log", {"f": "AP8="})
    report = load(json.dumps(told[2]["report"]).encode())
    assert (report.state, report.patch, report.commit) == ("fail", 2, f"{2:040x}")
    assert told[4] == {"what": "done", "success": 0, "pending": 0, "warning": 0, "fail": 1, "untold": 0}


async def test_one_document_holds_all() -> None:
    out = io.StringIO()
    sink = Document(out, series("net/a.c"))
    await sink.answered(Task("style", 1), BAD, 1.0)
    await sink.unasked(Task("whole"), "why")
    assert sink.end().exit_code == 1
    document = json.loads(out.getvalue())
    assert document["exit"] == 1
    assert document["summary"]["fail"] == 1
    assert document["answers"][0]["findings"][0]["path"] == "net/a.c"
    assert document["answers"][0]["log"] == "l1\nl2\n"
    assert document["unasked"] == [{"check": "whole", "patch": 0, "why": "why"}]


def test_the_tree_as_told_or_by_the_subjects_tags() -> None:
    marked = [mail(1)]
    assert settled(marked, None, {}) == settled(marked, "next", {"net-next": "next"})
    assert (settled(marked, None, {}).tree, settled(marked, None, {}).marked) == ("net-next", True)
    assert settled(marked, "fixes", {}).kind == "fixes"
    assert settled(marked, None, {"net-next": "fixes"}).kind == "fixes"
    assert settled([], None, {}).kind == "next"
