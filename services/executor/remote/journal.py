"""A file that is only appended to, each record on disk before `append` returns, and checked when it is read again.

A record is a line: its CRC-32, its number, and JSON. A line that is not whole at the end was never promised to anybody
and is cut off. One that is damaged before the end is put aside into ``<name>.damaged`` and told of; the others stand.
"""

import errno
import json
import os
import threading
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import structlog

log = structlog.get_logger(__name__)

Record = Mapping[str, Any]


class Journal:
    """One file, held in memory as well. `records` are those that stand, by number; numbers only rise."""

    def __init__(self, path: Path, mend: bool = True) -> None:
        """Without `mend` nothing is changed: another process may be writing it."""
        self.path = path
        self.records: dict[int, Record] = {}
        self._next = 0
        self._lock = threading.Lock()
        if path.exists():
            self._read(mend)

    def _read(self, mend: bool) -> None:
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        for line in data[:whole].split(b"\n")[:-1]:
            if (found := _parsed(line)) is None:
                self._next += 1
                if mend:
                    self._put_aside(line)
                continue
            number, record = found
            self.records[number] = record
            self._next = number + 1
        if mend and whole < len(data):
            with self.path.open("r+b") as file:
                file.truncate(whole)
                os.fsync(file.fileno())

    def _put_aside(self, line: bytes) -> None:
        place = self.path.with_name(self.path.name + ".damaged")
        if not place.exists() or line not in place.read_bytes().split(b"\n"):
            log.error("spool: a damaged record is put aside", file=str(self.path))
            _append(place, line + b"\n")

    def append(self, record: Record) -> int:
        """Add a record and give its number, once it is on disk."""
        with self._lock:
            number = self._next
            _append(self.path, _line(number, record))
            self._next += 1
            self.records[number] = record
            return number

    def of(self, kind: str) -> Iterator[Record]:
        """The records of one kind, in order."""
        return (record for record in list(self.records.values()) if record["kind"] == kind)

    def has(self, kind: str) -> bool:
        return next(self.of(kind), None) is not None


def _line(number: int, record: Record) -> bytes:
    text = f"{number} {json.dumps(record, separators=(',', ':'))}".encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _parsed(line: bytes) -> tuple[int, Record] | None:
    crc, _, text = line.partition(b" ")
    if crc != b"%08x" % zlib.crc32(text):
        return None
    number, _, body = text.partition(b" ")
    return int(number), json.loads(body)


def _append(path: Path, data: bytes) -> None:
    new = not path.exists()
    with path.open("ab", buffering=0) as file:
        size = file.tell()
        try:
            if file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            os.fsync(file.fileno())
        except OSError:
            # Half a line would spoil the next one, too.
            file.truncate(size)
            raise
    if new:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make what was made, renamed or removed in a folder outlast a power cut."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def replace(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{threading.get_ident()}.new")
    with new.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
    sync_folder(path.parent)
