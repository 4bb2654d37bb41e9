"""A log as lines: any bytes become harmless text."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from services.report.web.logs import HELD, LINE, kind_of_line, window, window_of


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ok 1 tls", "ok"),
        ("# # not ok 3 x", "not-ok"),
        ("ok 2 x # skip no device", "skip"),
        ("[  1.0] BUG: KASAN: x", "not-ok"),
        ("okay", ""),
    ],
)
def test_kinds(text: str, kind: str) -> None:
    assert kind_of_line(text) == kind


def test_a_window_is_numbered_from_one() -> None:
    part = window(b"a\nb\nc\nd\n", 2, 2)
    assert part.lines == ((2, "", "b"), (3, "", "c"))
    assert (part.first, part.last, part.total) == (2, 3, 4)
    assert window(b"a\n", 99).first == 1
    assert window(b"", 1).total == 0


def test_a_long_line_is_cut() -> None:
    assert window(b"x" * 10**6, 1).lines[0][2] == "x" * LINE + " […]"


@given(some.binary(max_size=400))
def test_nothing_that_moves_a_terminal_is_left(data: bytes) -> None:
    for _, _, text in window(data, 1).lines:
        assert all(c.isprintable() or c in "\ufffd" or ord(c) > 0x9F for c in text)
        assert "\x1b" not in text


@given(
    some.lists(some.sampled_from([b"", b"a", b"\n", b"b\n", b"\n\nc", b"d\ne\n"]), max_size=12),
    some.integers(1, 20),
    some.integers(1, 6),
)
def test_it_makes_no_difference_how_a_log_comes_in_pieces(pieces: list[bytes], first: int, most: int) -> None:
    lines = b"".join(pieces).split(b"\n")
    lines = lines[:-1] if not lines[-1] else lines
    part = window_of(lambda: iter(pieces), first, most)
    first = max(1, min(first, len(lines)))
    shown = [(first + n, "", line.decode()) for n, line in enumerate(lines[first - 1 : first - 1 + most])]
    assert (list(part.lines), part.first, part.total) == (shown, first, len(lines))


def test_a_page_holds_only_so_much() -> None:
    line = b"x" * (LINE * 4) + b"\n"
    part = window_of(lambda: (line for _ in range(2000)), 1)
    assert part.last == HELD // (LINE * 4) + 1
    assert part.total == 2000
