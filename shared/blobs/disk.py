"""Blobs as files under the data folder, zlib-compressed, written beside and renamed: never half there."""

import asyncio
import contextlib
import hashlib
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from shared.blobs.incoming import MAGIC, Incoming
from shared.errors import InfraError, Missing

PIECE = 1 << 18


class DiskBlobs:
    """Two hex digits a folder. Safe to share between processes and machines that share the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, sha256: str) -> Path:
        if len(sha256) != 64 or not all(c in "0123456789abcdef" for c in sha256):
            raise Missing(f"no blob {sha256[:80]!r}")
        return self._folder / sha256[:2] / sha256

    async def put(self, data: bytes) -> str:
        return await asyncio.to_thread(self._put, data)

    def _put(self, data: bytes) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        path = self.path(sha256)
        if path.exists():
            return sha256
        self._make_room(path.parent)
        incoming = Incoming(path.parent)
        try:
            incoming.write(data)
            incoming.place(path)
        finally:
            incoming.drop()
        return sha256

    def incoming(self) -> Incoming:
        """Where a blob may come in that is not held in memory."""
        self._make_room(self._folder / "incoming")
        return Incoming(self._folder / "incoming")

    async def take(self, incoming: Incoming) -> str:
        """Put what has come in its place; returns its sha256."""
        return await asyncio.to_thread(self._take, incoming)

    def _take(self, incoming: Incoming) -> str:
        path = self.path(incoming.sha256)
        if not path.exists():
            self._make_room(path.parent)
            incoming.place(path)
        return incoming.sha256

    def _make_room(self, folder: Path) -> None:
        """As open as the blobs' own folder, whatever the umask: rooms run as different users of one group."""
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(PermissionError):
                folder.chmod(self._folder.stat().st_mode & 0o7777)

    async def get(self, sha256: str) -> bytes:
        return await asyncio.to_thread(self._get, sha256)

    def _get(self, sha256: str) -> bytes:
        try:
            packed = self.path(sha256).read_bytes()
        except FileNotFoundError:
            raise Missing(f"no blob {sha256}") from None
        try:
            data = zlib.decompress(packed.removeprefix(MAGIC))
        except zlib.error as exc:
            raise InfraError(f"blob {sha256} is damaged: {exc}") from exc
        if hashlib.sha256(data).hexdigest() != sha256:
            raise InfraError(f"blob {sha256} does not hold what it is named for")
        return data

    def pieces(self, sha256: str) -> Iterator[bytes]:
        """What `get` gives, piece by piece; what is damaged may be told of only at its end."""
        try:
            file = self.path(sha256).open("rb")
        except FileNotFoundError:
            raise Missing(f"no blob {sha256}") from None
        with file:
            digest = hashlib.sha256()
            try:
                for piece in _unpacked(file):
                    digest.update(piece)
                    yield piece
            except zlib.error as exc:
                raise InfraError(f"blob {sha256} is damaged: {exc}") from exc
        if digest.hexdigest() != sha256:
            raise InfraError(f"blob {sha256} does not hold what it is named for")

    async def has(self, sha256: str) -> bool:
        return await asyncio.to_thread(self.path(sha256).exists)

    async def delete(self, sha256: str) -> None:
        await asyncio.to_thread(self.path(sha256).unlink, True)

    async def sweep(self, before: datetime) -> int:
        """Remove what came before then and never became a blob, as whoever brought it was killed; gives how many."""
        return await asyncio.to_thread(self._sweep, before.timestamp())

    def _sweep(self, before: float) -> int:
        gone = 0
        for file in self._folder.glob("*/.new-*"):
            with contextlib.suppress(FileNotFoundError):
                if file.stat().st_mtime < before:
                    file.unlink()
                    gone += 1
        return gone

    def stored_size(self, sha256: str) -> int:
        return self.path(sha256).stat().st_size


def _unpacked(file: BinaryIO) -> Iterator[bytes]:
    """The file unpacked, `PIECE` bytes at most at a time however well it was packed."""
    if file.read(len(MAGIC)) != MAGIC:
        file.seek(0)
    unpacker = zlib.decompressobj()
    while data := file.read(PIECE):
        while data:
            if piece := unpacker.decompress(data, PIECE):
                yield piece
            data = unpacker.unconsumed_tail
    if piece := unpacker.flush():
        yield piece
