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
    index: dict[str, tuple[int, int, int]] = {}
    body = bytearray()
    for name, data in members.items():
        stored = zlib.compress(data, 6)
        index[name] = (len(body), len(stored), len(data))
        body += stored
    head = json.dumps(index).encode()
    return _HEAD + b"%08x\n" % len(head) + head + bytes(body)


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
