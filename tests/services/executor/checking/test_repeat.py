"""Where a command that repeats a check is to be run."""

from dataclasses import replace

import pytest

from services.executor.checking.repeat import placed
from services.executor.checks.base import Patch, Subject
from shared.model.ids import Sha
from tests.services.executor.checking.builders import series

BOTH = series("net/a.c", "net/b.c")
FIRST = replace(BOTH, patch=replace(BOTH.patches[0], commit=Sha("ab" * 20)))
WHOLE = replace(BOTH, patch=None, head=Sha("cd" * 20))


@pytest.mark.parametrize(
    ("repeat", "own", "mailed"),
    [
        ("./x -g HEAD", f"./x -g {'ab' * 6}", "# with patch 1 applied\n./x -g HEAD"),
        ("git show HEAD", f"git show {'ab' * 6}", "# with patch 1 applied\ngit show HEAD"),
        ("make a\nmake b", f"# at {'ab' * 6}\nmake a\nmake b", "# with patch 1 applied\nmake a\nmake b"),
        ("git log -1 12345", "git log -1 12345", "git log -1 12345"),
        ("patatt validate MAIL", "patatt validate MAIL", "patatt validate MAIL"),
        ("", "", ""),
    ],
)
def test_the_commit_is_named_where_the_reader_has_it_else_the_patch(repeat: str, own: str, mailed: str) -> None:
    assert placed(repeat, replace(FIRST, own=True)) == own
    assert placed(repeat, FIRST) == mailed


def test_of_a_series_it_is_the_last_commit_or_all_of_it() -> None:
    assert placed("make", replace(WHOLE, own=True)) == f"# at {'cd' * 6}\nmake"
    assert placed("make", WHOLE) == "# with the series applied\nmake"


def test_commits_to_be_pulled_are_to_be_had() -> None:
    assert placed("make", replace(FIRST, pull="git://there.example/x")) == f"# at {'ab' * 6}\nmake"


def test_before_a_series_is_applied_there_is_no_commit_to_name() -> None:
    bare: tuple[Patch, ...] = (replace(BOTH.patches[0], commit=Sha("")),)
    early: Subject = replace(BOTH, patches=bare, patch=bare[0], own=True)
    assert placed("git show HEAD", early) == "# with patch 1 applied\ngit show HEAD"
