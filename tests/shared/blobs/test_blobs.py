"""Blobs by what is in them, whole or not at all; packs of logs; damage is told."""

import asyncio
import hashlib
import os
import stat
import zlib
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.blobs import pack as packs
from shared.blobs.disk import PIECE, DiskBlobs
from shared.clock import wall
from shared.errors import InfraError, Missing


async def test_what_was_put_is_got_by_its_sha256(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path / "blobs")
    sha = await blobs.put(b"data\0\xff")
    assert sha == hashlib.sha256(b"data\0\xff").hexdigest()
    assert await blobs.get(sha) == b"data\0\xff"
    assert await blobs.has(sha)
    await blobs.delete(sha)
    await blobs.delete(sha)
    assert not await blobs.has(sha)
    with pytest.raises(Missing):
        await blobs.get(sha)


async def test_a_blob_comes_in_pieces_however_well_it_was_packed(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path)
    data = b"\0" * (5 * PIECE + 1) + os.urandom(PIECE)
    sha = await blobs.put(data)
    pieces = list(blobs.pieces(sha))
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= PIECE
    blobs.path(sha).write_bytes(zlib.compress(b"something else"))
    with pytest.raises(InfraError, match="does not hold"):
        list(blobs.pieces(sha))
    with pytest.raises(Missing):
        next(blobs.pieces("0" * 64))


async def test_the_same_put_at_once_is_one_file(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path)
    names = set(await asyncio.gather(*(blobs.put(b"x" * 100_000) for _ in range(8))))
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert len(names) == len(files) == 1
    assert blobs.stored_size(names.pop()) < 1000


async def test_a_name_is_never_a_path(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path)
    for name in ("", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 63 + "/"):
        with pytest.raises(Missing):
            await blobs.get(name)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda data: data[:-5], "damaged"),
        (lambda data: b"", "damaged"),
        (lambda data: data[:8] + zlib.compress(b"other"), "does not hold what it is named for"),
    ],
)
async def test_damage_is_told(tmp_path: Path, damage: object, told: str) -> None:
    blobs = DiskBlobs(tmp_path)
    sha = await blobs.put(b"some data that is long enough")
    path = blobs.path(sha)
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(InfraError, match=told):
        await blobs.get(sha)


async def test_a_put_that_breaks_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        await DiskBlobs(tmp_path).put(b"x")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


async def test_the_group_may_read_and_others_may_not(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path)
    assert stat.S_IMODE(blobs.path(await blobs.put(b"x")).stat().st_mode) == 0o640


@given(st.dictionaries(st.text(max_size=20), st.binary(max_size=200), max_size=6))
def test_a_pack_gives_back_its_members(members: dict[str, bytes]) -> None:
    packed = packs.pack(members)
    assert packs.names(packed) == {name: len(data) for name, data in members.items()}
    assert {name: packs.member(packed, name) for name in members} == members


def test_a_member_that_is_not_there_is_missing() -> None:
    with pytest.raises(Missing, match="no log 'b'"):
        packs.member(packs.pack({"a": b""}), "b")


@pytest.mark.parametrize(
    "spoil", [lambda p: b"nope" + p, lambda p: p[:20], lambda p: p[:-3], lambda p: p[:13] + b"zz" + p[15:]]
)
def test_a_damaged_pack_is_told(spoil: object) -> None:
    packed = packs.pack({"a": b"some log that is long enough"})
    with pytest.raises(InfraError):
        packs.member(spoil(packed), "a")  # type: ignore[operator]


async def test_what_a_kill_left_is_swept_once_it_is_old(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path)
    left, coming = blobs.incoming(), blobs.incoming()
    for incoming in (left, coming):
        incoming.write(b"x")
    sha = await blobs.put(b"y")
    old = wall() - timedelta(days=2)
    for file in tmp_path.rglob("*"):
        os.utime(file, (old.timestamp(), old.timestamp()))
    os.utime(coming._file.name)
    assert await blobs.sweep(wall() - timedelta(days=1)) == 1
    assert await blobs.take(coming) != sha
    assert await blobs.get(sha) == b"y"
