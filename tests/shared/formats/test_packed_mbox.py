"""Mailboxes as archives give them out, packed or not, and never without end."""

import gzip

import pytest

from shared.errors import Refused
from shared.formats.mbox import unpacked

MOST = 1 << 16


def test_packed_or_not() -> None:
    assert unpacked(b"From x", MOST) == b"From x"
    assert unpacked(gzip.compress(b"From x"), MOST) == b"From x"


def test_what_unpacks_to_too_much_is_refused() -> None:
    with pytest.raises(Refused, match="more than"):
        unpacked(gzip.compress(b"\0" * (1 << 20)), MOST)


def test_what_only_looks_packed_is_refused() -> None:
    with pytest.raises(Refused, match="gzip"):
        unpacked(b"\x1f\x8b and so on", MOST)


def test_what_ends_early_is_refused() -> None:
    with pytest.raises(Refused, match="ends early"):
        unpacked(gzip.compress(bytes(range(256)))[:60], MOST)
