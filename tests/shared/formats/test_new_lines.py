"""Lines that a tool did not print before: counted, without positions."""

from hypothesis import given
from hypothesis import strategies as st

from shared.formats.new_lines import counted, new_lines


def test_positions_are_no_news() -> None:
    assert new_lines(["a.c:1:2: bad", "b.rst:7: title, line 9"], ["a.c:3:4: bad", "b.rst:8: title, line 10"]) == []


def test_one_more_of_the_same_is_new_and_the_last_is_shown() -> None:
    assert new_lines(["a.c:1: bad"], ["a.c:1: bad", "a.c:5: bad", "b.c:1: bad"]) == ["a.c:5: bad", "b.c:1: bad"]


def test_numbers_that_are_no_positions_stay() -> None:
    assert new_lines(["x: 3 errors"], ["x: 4 errors"]) == ["x: 4 errors"]
    assert new_lines(["v1.2.3:4x"], ["v1.2.3:5x"]) == ["v1.2.3:5x"]


def test_empty_lines_are_nothing() -> None:
    assert new_lines([], ["", "  "]) == []


def test_globs_choose_what_counts() -> None:
    lines = ["a: warning: x", "a: error: y", "make: done"]
    assert counted(lines, ("*warning:*", "*error:*"), ("* y",)) == ["a: warning: x"]


@given(st.lists(st.text()), st.lists(st.text()))
def test_nothing_is_new_twice_and_what_was_there_is_not(before: list[str], after: list[str]) -> None:
    new = new_lines(before, after)
    assert len(new) <= len(after)
    assert all(line in after for line in new)
    assert new_lines(after, after) == []
    assert new_lines([*before, *new], after) == []
