"""Text made fit to store and show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.formats.clean import cut, plain, plain_lines


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("café – x", "café – x"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("a\x00b\rc\nd", "a\ufffdb\ufffdc\ufffdd"),
        ("a\tb", "a b"),
        ("a\u202eb\udcff", "a\ufffdb\ufffd"),
    ],
)
def test_plain(text: str, wanted: str) -> None:
    assert plain(text) == wanted


@given(st.text())
def test_plain_can_be_stored_and_is_one_line(text: str) -> None:
    safe = plain(text)
    safe.encode()
    assert plain(safe) == safe
    assert not set("\0\n\r\x1b") & set(safe)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 40))
def test_cut_is_the_longest_beginning_that_fits(text: str, size: int) -> None:
    short = cut(text, size)
    assert text.startswith(short)
    assert len(short.encode()) <= size
    assert short == text or len(text[: len(short) + 1].encode()) > size


def test_text_of_several_lines_keeps_its_lines() -> None:
    assert plain_lines("a\r\nb\n\tc\x0bd\x1b[31me\u202ef") == "a\nb\n\tc\ufffdde\ufffdf"


@given(st.text())
def test_nothing_that_moves_a_terminal_or_turns_a_line_is_left_in_lines(text: str) -> None:
    left = set(plain_lines(text)) - {"\n", "\t"}
    assert plain("".join(sorted(left))) == "".join(sorted(left))
