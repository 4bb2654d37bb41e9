"""Cursors: what they parse from, and when something is missing after one."""

import pytest

from shared.errors import Refused
from shared.web.cursor import Cursor, Log, parse_cursor

EPOCH = "6f1c9a20"


def test_a_cursor_is_what_it_was_written_as() -> None:
    assert parse_cursor("17") == Cursor(17)
    assert parse_cursor(str(Cursor(17, EPOCH))) == Cursor(17, EPOCH)


@pytest.mark.parametrize("text", ["", "x", "-1", "17-", "17-XYZ", "1" * 19, "١٧", "17-6f1c9a20 9"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        parse_cursor(text)


@pytest.mark.parametrize(
    ("cursor", "oldest", "gap"),
    [
        (Cursor(9), 10, False),
        (Cursor(8), 10, True),
        (Cursor(0), 1, False),
        (Cursor(20), 10, False),
        (Cursor(21), 10, True),
        (Cursor(20), None, False),
        (Cursor(19), None, True),
        (Cursor(15, EPOCH), 10, False),
        (Cursor(15, "00000000"), 10, True),
    ],
)
def test_a_gap_is_known(cursor: Cursor, oldest: int | None, gap: bool) -> None:
    assert Log(last=20, oldest=oldest, epoch=EPOCH).gap(cursor) is gap


def test_everything_kept_comes_after_the_beginning() -> None:
    assert Log(20, 10, EPOCH).begin == 9
    assert Log(20, None, EPOCH).begin == 20
