"""The logs of a closed run in one blob: members compressed one by one, behind an index that names them.

Layout: ``netci-pack-1\\n``, the index's length as 8 hex digits and a newline, the index as JSON (name -> offset
from the end of the index, stored length, length), then the members. One member is read without the others.
"""

import json
import zlib
from collections.abc import Mapping

from shared.errors import InfraError, Missing

_HEAD = b"netci-pack-1\n"


def pack(members: Mapping[str, bytes]) -> bytes:
    """Pack `members`, in their order."""
    made = Gathering()
    for name, data in members.items():
        made.put(name, data)
    return made.packed()


class Gathering:
    """A pack in the making. Other packs go into it as they are stored, and never more than `limit` bytes of them:
    a member that would go over is there by name, with `instead` for content.
    """

    def __init__(self, limit: int | None = None, instead: bytes = b"") -> None:
        self._index: dict[str, tuple[int, int, int]] = {}
        self._body = bytearray()
        self._limit, self._instead = limit, instead

    def put(self, name: str, data: bytes) -> None:
        """Add one member."""
        self._add(name, zlib.compress(data, 6), len(data))

    def take(self, packed: bytes) -> None:
        """Add all members of another pack. Raises InfraError if it is none."""
        index, start = _index(packed)
        for name, (offset, stored, length) in index.items():
            self._add(name, packed[start + offset : start + offset + stored], length)

    def _add(self, name: str, stored: bytes, length: int) -> None:
        if self._limit is not None and len(self._body) + len(stored) > self._limit:
            stored, length = zlib.compress(self._instead), len(self._instead)
        self._index[name] = (len(self._body), len(stored), length)
        self._body += stored

    def packed(self) -> bytes:
        """The pack as it is now."""
        head = json.dumps(self._index).encode()
        return b"".join((_HEAD, b"%08x\n" % len(head), head, self._body))


def _index(packed: bytes) -> tuple[dict[str, tuple[int, int, int]], int]:
    start = len(_HEAD) + 9
    if not packed.startswith(_HEAD):
        raise InfraError("not a pack of logs")
    try:
        length = int(packed[len(_HEAD) : start - 1], 16)
        return json.loads(packed[start : start + length]), start + length
    except ValueError as exc:
        raise InfraError(f"the pack's index is damaged: {exc}") from exc


def names(packed: bytes) -> dict[str, int]:
    """The members and their lengths in bytes."""
    return {name: entry[2] for name, entry in _index(packed)[0].items()}


def member(packed: bytes, name: str) -> bytes:
    """One member's bytes. Raises Missing, or InfraError if the pack is damaged."""
    index, start = _index(packed)
    if name not in index:
        raise Missing(f"no log {name!r} in this run")
    offset, stored, length = index[name]
    try:
        data = zlib.decompress(packed[start + offset : start + offset + stored])
    except zlib.error as exc:
        raise InfraError(f"log {name!r} of the pack is damaged: {exc}") from exc
    if len(data) != length:
        raise InfraError(f"log {name!r} of the pack has {len(data)} bytes where the index says {length}")
    return data
