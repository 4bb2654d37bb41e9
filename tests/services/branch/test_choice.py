"""In which order trees are tried."""

import pytest

from services.branch.choice import Attempt, choices, settled_reason
from services.branch.letters import letters, named_commits, pull_address
from shared.errors import Refused

KINDS = {"net": "fixes", "next": "next", "bpf": "next"}


def order(*trees: str, marked: bool = False, fixes: dict[str, frozenset[str]] | None = None) -> list[tuple[str, str]]:
    return [(c.tree, c.rule) for c in choices(trees, marked=marked, kinds=KINDS, fixes=fixes or {})]


def test_a_mark_settles_it() -> None:
    assert order("next", marked=True, fixes={"abc1234": frozenset({"net"})}) == [("next", "marked")]


def test_without_fixes_the_order_of_triage_stands() -> None:
    assert order("net", "next") == [("net", "applies"), ("next", "applies")]


def test_fixes_that_the_fixes_tree_has_put_it_first() -> None:
    assert order("next", "net", fixes={"abc1234": frozenset({"net", "next"})}) == [
        ("net", "fixes"),
        ("next", "applies"),
    ]


def test_fixes_that_the_fixes_tree_lacks_put_it_last() -> None:
    found = choices(("net", "next"), marked=False, kinds=KINDS, fixes={"abc1234": frozenset({"next"})})
    assert [c.tree for c in found] == ["next", "net"]
    assert "net does not have abc1234, which it fixes" in found[1].why


def test_the_reason_names_where_it_did_not_apply() -> None:
    (first, second) = choices(("next", "bpf"), marked=False, kinds=KINDS, fixes={})
    assert settled_reason(second, [Attempt("next", first.rule, False, "no")]).endswith("applies there, not to next")


def test_commits_named_by_fixes() -> None:
    assert named_commits(['ABCDEF1234 ("x")', "abcdef1234", "not one", "abc"]) == ("abcdef1234",)


def test_a_pull_address_has_a_ref() -> None:
    assert pull_address("https://git.example/x.git tags/y") == ("https://git.example/x.git", "tags/y")
    assert pull_address("git://git.example/x.git") == ("git://git.example/x.git", "HEAD")


def a_mail(ident: str, diff: bool = True) -> bytes:
    body = b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n" if diff else b"words\n"
    return b"From x Mon Sep 17 00:00:00 2001\nMessage-Id: <" + ident.encode() + b">\nSubject: s\n\n" + body + b"\n"


def test_letters_come_in_the_order_asked_for_or_as_they_lie_without_the_cover() -> None:
    mbox = a_mail("cover", diff=False) + a_mail("two") + a_mail("one")
    assert [b"<one>" in letter for letter in letters(mbox, ["one", "two"])] == [True, False]
    assert len(letters(mbox, ["one", "lost"])) == 2
    with pytest.raises(Refused):
        letters(a_mail("cover", diff=False), [])
