"""A log as lines: any bytes become harmless text."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from services.report.web.log_text import HELD, LINE, kind_of_line, outline, parts, search, window, window_of


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ok 1 tls", "ok"),
        ("# # not ok 3 x", "not-ok"),
        ("ok 2 x # skip no device", "skip"),
        ("[  1.0] BUG: KASAN: x", "crash"),
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


LOG = b"""TAP version 13
1..3
# timeout set to 300
# first
# second
# third
ok 1 selftests: net: tls
# one
not ok 2 selftests: net: gro # exit=1
# # ok 1 deep
# a
# b
# c
ok 3 selftests: net: psp # SKIP no device
[   12.3] ------------[ cut here ]------------
"""


def test_an_outline_has_all_that_failed_by_its_line() -> None:
    found = outline([LOG])
    assert found.counts == {"ok": 2, "not-ok": 1, "skip": 1}
    assert found.failures == (
        (9, "not ok 2 selftests: net: gro # exit=1"), (15, "[   12.3] ------------[ cut here ]------------"),
    )  # fmt: skip


def test_what_passed_is_folded_under_its_point_and_what_failed_is_not() -> None:
    made = parts(window(LOG, 1).lines)
    assert [(p.folded, p.title, p.lines[0][0], p.lines[-1][0]) for p in made] == [
        (True, "ok 1 selftests: net: tls", 1, 6), (False, "", 7, 7), (False, "", 8, 9),
        (True, "ok 3 selftests: net: psp # SKIP no device", 10, 13), (False, "", 14, 14), (False, "", 15, 15),
    ]  # fmt: skip


@given(some.lists(some.sampled_from(["ok 1 a", "# ok 1 b", "not ok 2 c", "# text", "    ok 1 d", "x"]), max_size=40))
def test_folding_loses_no_line_and_keeps_their_order(texts: list[str]) -> None:
    lines = window("\n".join(texts).encode(), 1).lines
    assert [line for part in parts(lines) for line in part.lines] == list(lines)
    assert all(line[1] not in ("not-ok", "crash") for part in parts(lines) if part.folded for line in part.lines)


@given(
    some.lists(
        some.sampled_from([b"", b"not ok 1 a", b"\n", b"b not\n", b"\n\nnot ok 2", b" x\nBUG: y\n"]), max_size=12
    ),
    some.integers(1, 30),
)
def test_outlines_and_searches_do_not_depend_on_pieces(pieces: list[bytes], size: int) -> None:
    whole = b"".join(pieces)
    cut = [whole[n : n + size] for n in range(0, len(whole), size)]
    assert outline(cut) == outline([whole])
    lines = whole.split(b"\n")
    expected = [n for n, line in enumerate(lines, 1) if b"not" in line]
    assert [line[0] for line in search(cut, "NOT").lines] == expected == [n for n, *_ in search([whole], "not").lines]


def test_a_line_without_end_is_looked_at_as_far_as_it_is_shown() -> None:
    found = search((b"x" * (1 << 20) for _ in range(40)), "x")
    assert (found.total, found.all_of_it) == (1, True)
    assert not search((b"y\n" * (1 << 20) for _ in range(40)), "x").all_of_it
