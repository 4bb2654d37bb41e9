"""Packed bodies: what they hold, and what is refused of them before it is large."""

import gzip
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.formats.faults import Faulty
from shared.formats.unpack import UNPACKED, Unpacker, unpack
from tests.shared.formats.lab import grown, told

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "": bytes,
    "Identity": bytes,
}


def a_bomb(size: int) -> bytes:
    """Zeros by the MiB, packed without ever being in one place."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)), packer.flush()])


@given(st.binary(max_size=300), st.sampled_from(sorted(PACKERS)), st.integers(1, 40))
def test_any_pieces_give_the_whole(data: bytes, encoding: str, step: int) -> None:
    unpacker, packed = Unpacker(encoding), PACKERS[encoding](data)
    pieces = [unpacker.feed(packed[at : at + step]) for at in range(0, len(packed), step)]
    unpacker.finish()
    assert b"".join(pieces) == data


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate"]))
def test_any_bytes_are_unpacked_or_faulty(data: bytes, encoding: str) -> None:
    assert len(told(lambda: unpack(data, encoding))) <= 1


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_body_cut_off_is_refused(encoding: str) -> None:
    packed = PACKERS[encoding](b"all of it, and no less than that")
    for size in range(len(packed)):
        with pytest.raises(Faulty, match="cut off"):
            unpack(packed[:size], encoding)


@pytest.mark.parametrize("step", [1, 1000])
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_bytes_after_the_end_are_refused(encoding: str, step: int) -> None:
    packed = PACKERS[encoding](b"all") + b"x"
    unpacker = Unpacker(encoding)
    (fault,) = told(lambda: [unpacker.feed(packed[at : at + step]) for at in range(0, len(packed), step)])
    assert "after the end" in fault.detail


def test_an_unknown_encoding_is_refused_by_name() -> None:
    with pytest.raises(Faulty, match="'br' is not read") as caught:
        Unpacker("br")
    assert caught.value.status_hint == 415


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_the_limit_is_the_last_size_that_passes(encoding: str) -> None:
    assert unpack(PACKERS[encoding](bytes(100)), encoding, 100) == bytes(100)
    with pytest.raises(Faulty, match="more than 100 bytes") as caught:
        unpack(PACKERS[encoding](bytes(101)), encoding, 100)
    assert caught.value.status_hint == 413


def test_a_bomb_is_refused_at_the_cap() -> None:
    bomb = a_bomb(512 << 20)
    assert len(bomb) < 1 << 20

    def explode() -> None:
        with pytest.raises(Faulty, match=f"more than {UNPACKED} bytes"):
            unpack(bomb, "gzip")

    # A buffer that grows while it fills is there twice for a moment; the bomb itself is four times this.
    assert grown(explode) < 150 << 20
