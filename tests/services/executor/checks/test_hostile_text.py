"""Text made to be slow to read: whatever a line says, what it costs grows as its length does.

Counted is the processor's time of this thread, which other work on the machine does not add to. Four times the text
takes four times as long; where each place in it is gone over from each other one it is sixteen times, and where stars
of a glob are tried in all ways there is no end. Between is room for a machine's moods, and what takes no time at
all even for the larger text is not measured.
"""

import re
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from services.executor.builds import diagnostics
from services.executor.checks import cc_maintainers, checkpatch, header_inline, kdoc, verify_signedoff
from services.executor.checks.signed import said as signed
from services.executor.lint import devicetree, selftests
from services.executor.lint.code import code_of
from services.executor.lint.compare import Remark
from shared.formats.diff_lines import changed_lines
from shared.formats.fixes_tag import fixes_tags
from shared.formats.mailmap import mailmap
from shared.formats.maintainers import Section, sections
from shared.formats.mbox import parse_person
from shared.formats.trailers import message_of
from shared.model.mails import Person
from tests.services.executor.checks.subjects import a_mail

N = 20_000
WORTH_LOOKING = 0.15
MOST = 10
TOTAL = "total: 1 errors, 0 warnings, 0 checks, 9 lines checked\n"
LINE = 1900


def lines(head: str, piece: str, tail: str = "") -> Callable[[int], str]:
    """Lines just as long as they are read."""
    return lambda n: f"{head}{piece * ((LINE - len(head) - len(tail)) // len(piece))}{tail}\n" * (n // LINE + 1)


def line(head: str, piece: str, tail: str = "") -> Callable[[int], str]:
    """One line of about that length."""
    return lambda n: head + piece * (n // len(piece)) + tail


def sent_to(text: str) -> object:
    return cc_maintainers.recipients(replace(a_mail(), raw=f"Cc: {text}\n\n".encode()))


def asked(output: str) -> object:
    mail = a_mail(to="list@example.org")
    return cc_maintainers.said(
        mail, cc_maintainers.named(output), mailmap(""), cc_maintainers.CcMaintainersConfig(), None
    )


CASES: list[tuple[str, Callable[[str], object], Callable[[int], str]]] = [
    ("header: blanks", header_inline._lacks_inline, line("static", " ", "x")),
    ("header: types", header_inline._lacks_inline, line("", "long ", "x")),
    ("header: parentheses", header_inline._lacks_inline, line("int f(", ") ")),
    ("code: quotes", code_of, line('"', '\\"')),
    ("code: both quotes", code_of, line("\"'", "\\'\\\"")),
    ("code: comments", code_of, line("", "/*")),
    ("sign-offs: empty lines", verify_signedoff._SIGNED.findall, line("x\n", "\n", "y")),
    ("sign-offs: blanks", verify_signedoff._SIGNED.findall, line("", " ", "y")),
    ("sign-offs: nobody", verify_signedoff._SIGNED.findall, line("Signed-off-by:", " ")),
    ("addresses: one word", sent_to, line("", "a")),
    ("addresses: @", sent_to, line("", "@")),
    ("roles: blanks", cc_maintainers.named, line("A", " ", "B <a@b.c> (x)")),
    ("roles: open", cc_maintainers.named, line("A <a@b.c> ", "(", ")")),
    ("roles: closed", cc_maintainers.named, line("A <a@b.c> ", ")")),
    ("roles: many", asked, line("", "A <a@b.c> (x)\n")),
    ("person: <", parse_person, line("A", "<", "x")),
    ("person: <>", parse_person, line("A", "<>", "<x")),
    ("person: ( )", parse_person, line("A (", ") ", "x")),
    ("message: dashes", message_of, line("x", "\n-")),
    ("device tree: ..", lambda text: devicetree.remarks(text.encode()), lines("", "../")),
    ("device tree: one line", lambda text: devicetree.remarks(text.encode()), line("", "../")),
    ("device tree: names", lambda text: devicetree.remarks(text.encode()), lines("a", ".dts", "x")),
    ("device tree: more of it", lambda text: devicetree.remarks(text.encode()), line("x\n", " a\n")),
    ("remark: numbers", lambda text: Remark("a", 1, "warning", "", text).sort, line(":", "1", "a")),
    ("remark: lines", lambda text: Remark("a", 1, "warning", "", text).sort, line("line 1", " ", "a")),
    ("makefile: lists", lambda text: selftests.makefile_remarks("Makefile", text), line("A_B := \\\n", "\ta \\\n")),
    ("makefile: words", lambda text: selftests.listed(text, "aaaa"), line("", "a")),
    ("build: recipe", diagnostics.read, lines("make: *** [", ": ")),
    ("build: recipes", diagnostics.read, lines("make: *** [", "a: ]")),
    ("build: columns", diagnostics.read, lines("a.c:1:", "1", "x")),
    ("build: dots", diagnostics.read, lines("a.c:1:1", "-.", "x")),
    ("build: Kconfig", diagnostics.read, lines("", "Kconfig")),
    ("build: Kconfig, numbered", diagnostics.read, lines("", "Kconfig:1")),
    ("build: numbered names", diagnostics.read, lines("warning: ", "__UNIQUE_ID_")),
    ("build: places", diagnostics.read, lines("warning: ", "a.c:")),
    ("build: undefined", diagnostics.read, lines("undefined reference ", "(.a")),
    ("build: commands", diagnostics.read, line("gcc ", " -o")),
    ("build: dashes", diagnostics.read, line("", "a-")),
    ("build: one line", diagnostics.read, line("a: ", "In function ")),
    ("kdoc: colons", kdoc.complaints, line("", "a:1:")),
    ("kdoc: lines", kdoc.complaints, line("", "a:\n")),
    ("checkpatch: places", checkpatch.findings, line("ERROR: x\n#1: FILE: ", ":1")),
    ("checkpatch: messages", lambda text: checkpatch.said(text + TOTAL), line("\n", "ERROR: x\n#1: \n\n")),
    ("checkpatch: totals", lambda text: checkpatch.said(text + TOTAL), line("\n", TOTAL)),
    ("signed: lines", lambda text: signed(text, 0), line("", " ", "PASS")),
    ("tags: blanks", fixes_tags, lines("Fixes: a", " ", "b")),
    ("tags: many", fixes_tags, line("", 'Fixes: 012345678 ("x")\n')),
    ("mailmap: blanks", mailmap, line("A <a@b> ", " ", "x")),
    ("mailmap: names", mailmap, line("A <a@b> ", "a ", "<x")),
    ("MAINTAINERS: blanks", sections, line("F:", " ")),
    ("MAINTAINERS: lines", sections, line("X\n", "F:\ta/*\n")),
    ("MAINTAINERS: stars", lambda text: Section("", ("*a" * 19 + "b",)).covers(text), line("", "a")),
    ("MAINTAINERS: any", lambda text: Section("", ("*a?a?a?a?a?a?ab",)).covers(text), line("", "a")),
    ("diff: hunks", lambda text: list(changed_lines(text)), line("", "@@ -1,9 +1,9 @@\n")),
]  # fmt: skip


def took(function: Callable[[str], object], text: str) -> float:
    """Seconds of this thread: the least of two, for the first may have something to prepare."""
    found = []
    for _ in range(2):
        start = time.thread_time()
        function(text)
        found.append(time.thread_time() - start)
    return min(found)


@pytest.mark.parametrize(("function", "text"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_it_costs_grows_as_the_text(function: Callable[[str], object], text: Callable[[int], str]) -> None:
    more = took(function, text(4 * N))
    assert more < WORTH_LOOKING or more < MOST * took(function, text(N))


def test_growth_would_be_seen() -> None:
    slow = re.compile(r"a+b")
    assert took(slow.findall, "a" * 4 * N) > WORTH_LOOKING
    assert took(slow.findall, "a" * 4 * N) > MOST * took(slow.findall, "a" * N)


def test_stars_are_not_tried_in_all_ways() -> None:
    assert not selftests.ignored("*a" * 400 + "*b\n", "a" * 250 + ".c")
    assert not selftests.ignored("*a?" * 80 + "*b\n", "a" * 250)
    assert selftests.ignored("*a" * 100 + "*?\n", "a" * 250)


def test_recipients_are_not_compared_one_by_one() -> None:
    mail = a_mail(to=", ".join(f"{n}@x.example" for n in range(N // 4)))
    wanted = [cc_maintainers.Wanted(Person("", f"{n}@y.example"), "reviewer") for n in range(N // 4)]
    answer = cc_maintainers.said(mail, wanted, mailmap(""), cc_maintainers.CcMaintainersConfig(), None)
    assert answer.text.startswith(f"{N // 4} maintainers not CCed")
