"""What a command left in its results folder, taken back: plain files, of decent names, within limits; nothing else.

Whoever wrote the folder may have meant us harm. No link is followed and nothing is opened that could be anything but
a file; what a name may not hold is replaced; how much there is to walk through is limited like all else.
"""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from services.executor.cage.base import MIB

_INDECENT = re.compile(r"[^\w.+@=, ~-]")
_NAME = 200
_DEPTH = 16
_TOO_MANY = "there are more than may be taken"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class TakeLimits:
    """`each` and `total` are bytes. `seen` is how many names are looked at, folders included."""

    files: int = 200
    each: int = 4 * MIB
    total: int = 16 * MIB
    seen: int = 10_000


class Taken(dict[str, bytes]):
    """Contents by relative path. `left` says in words what was not taken, and why; no more than `MOST_LEFT` of it."""

    MOST_LEFT = 50

    def __init__(self) -> None:
        super().__init__()
        self.left: list[str] = []

    def leave(self, path: str, why: str) -> None:
        if len(self.left) < self.MOST_LEFT:
            self.left.append(f"{path}: {why}")


def take(folder: Path, limits: TakeLimits = TakeLimits()) -> Taken:
    """All that may be taken. Raises OSError only for `folder` itself. No process may be writing there any more."""
    taken = Taken()
    root = os.open(folder, _FOLDER)
    try:
        for path, parent, entry in _Walk(taken, limits.seen).below(root, ""):
            if len(taken) >= limits.files:
                taken.leave(path, _TOO_MANY)
                break
            data = _read(parent, entry, path, min(limits.each, limits.total - sum(map(len, taken.values()))), taken)
            if data is not None and path in taken:
                taken.leave(path, "there is one of that name")
            elif data is not None:
                taken[path] = data
    finally:
        os.close(root)
    return taken


class _Walk:
    """Through folders, never by a link, until `left` names have been seen."""

    def __init__(self, taken: Taken, left: int) -> None:
        self._taken, self._left = taken, left

    def below(self, folder: int, prefix: str) -> Iterator[tuple[str, int, "os.DirEntry[str]"]]:
        """Everything but folders: its clean path, its folder's descriptor, the entry."""
        with os.scandir(folder) as entries:
            # One more than may be seen shows that there are more; a million are not even listed.
            found = sorted(islice(entries, self._left + 1), key=lambda entry: entry.name)
        for entry in found:
            path = prefix + clean(entry.name)
            if self._left == 0:
                self._taken.leave(path, _TOO_MANY)
                return
            self._left -= 1
            if not entry.is_dir(follow_symlinks=False):
                yield path, folder, entry
            elif path.count("/") >= _DEPTH:
                self._taken.leave(path, "too deep")
            else:
                yield from self._inside(folder, entry.name, path)

    def _inside(self, folder: int, name: str, path: str) -> Iterator[tuple[str, int, "os.DirEntry[str]"]]:
        try:
            inner = os.open(name, _FOLDER, dir_fd=folder)
        except OSError as exc:
            self._taken.leave(path, exc.strerror or "can't be opened")
            return
        try:
            yield from self.below(inner, f"{path}/")
        finally:
            os.close(inner)


def clean(name: str) -> str:
    """A name that can be shown and be a path's part; never ".", ".." or hidden behind control characters."""
    decent = _INDECENT.sub("_", name)[:_NAME]
    return decent if decent.strip(". ") else "_" * len(decent)


def _read(folder: int, entry: "os.DirEntry[str]", path: str, most: int, taken: Taken) -> bytes | None:
    if not entry.is_file(follow_symlinks=False):
        taken.leave(path, "not a plain file")
        return None
    try:
        fd = os.open(
            entry.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=folder
        )
    except OSError as exc:
        taken.leave(path, exc.strerror or "can't be opened")
        return None
    with os.fdopen(fd, "rb") as file:
        held = os.fstat(fd)
        if not stat.S_ISREG(held.st_mode):
            taken.leave(path, "not a plain file")
            return None
        if held.st_size > most:
            taken.leave(path, f"{held.st_size} bytes are more than may be taken")
            return None
        return file.read(most)
