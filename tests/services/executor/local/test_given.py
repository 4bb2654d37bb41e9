"""Mailboxes as archives give them out, packed or not, and never without end."""

import gzip

import pytest

from services.executor.local import given
from services.executor.local.given import unpacked
from shared.errors import Refused


def test_packed_or_not() -> None:
    assert unpacked(b"From x") == b"From x"
    assert unpacked(gzip.compress(b"From x")) == b"From x"


def test_what_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(given, "_MOST", 1 << 16)
    with pytest.raises(Refused, match="more than"):
        unpacked(gzip.compress(b"\0" * (1 << 20)))


def test_what_only_looks_packed_is_refused() -> None:
    with pytest.raises(Refused, match="gzip"):
        unpacked(b"\x1f\x8b and so on")
