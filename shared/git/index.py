"""The index file of git, version 2, as a table of paths: written and read without a process.

A series touches a handful of files; an index that holds only those costs nothing, and starting a command to fill
it and another to read it would cost more than applying the patch (gitformat-index(5)). Stat data are zero: these
indexes never meet a work tree. Pure.
"""

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass

_HEADER = struct.Struct(">4sLL")
_ENTRY = struct.Struct(">40x20sH")
_MODE = struct.Struct(">L")
_MODE_AT = 24
_EXTENDED = 0x4000
_LONG = 0xFFF


@dataclass(frozen=True, slots=True, order=True)
class IndexEntry:
    """One path. `stage` is 0 when settled; 1 base, 2 ours, 3 theirs of a conflict. `mode` is git's, a number."""

    path: bytes
    stage: int
    mode: int
    sha: str


def pack_index(entries: Iterable[IndexEntry]) -> bytes:
    """The index file that holds `entries`."""
    rows = sorted(entries)
    body = b"".join([_HEADER.pack(b"DIRC", 2, len(rows)), *map(_pack_entry, rows)])
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def _pack_entry(entry: IndexEntry) -> bytes:
    flags = entry.stage << 12 | min(len(entry.path), _LONG)
    row = bytearray(_ENTRY.pack(bytes.fromhex(entry.sha), flags))
    _MODE.pack_into(row, _MODE_AT, entry.mode)
    row += entry.path
    return bytes(row) + b"\0" * (8 - len(row) % 8)


def unpack_index(data: bytes) -> list[IndexEntry]:
    """The entries of an index file of version 2 or 3; extensions are passed over. ValueError for anything else."""
    signature, version, count = _HEADER.unpack_from(data)
    if signature != b"DIRC" or version not in (2, 3):
        raise ValueError(f"not an index of version 2 or 3: {signature!r}, {version}")
    entries, at = [], _HEADER.size
    for _ in range(count):
        sha, flags = _ENTRY.unpack_from(data, at)
        (mode,) = _MODE.unpack_from(data, at + _MODE_AT)
        start = at + _ENTRY.size + (2 if flags & _EXTENDED else 0)
        end = data.index(b"\0", start)
        entries.append(IndexEntry(data[start:end], flags >> 12 & 3, mode, sha.hex()))
        at += (end - at + 8) // 8 * 8
    return entries
