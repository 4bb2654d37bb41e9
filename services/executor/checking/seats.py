"""The seats of a project: who needs a work tree takes a free one, best one that is on the same base already."""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.executor.checking.ground import NoTree
from services.executor.checking.seat import Seat, Tell, read_note, silent
from shared.errors import InfraError
from shared.git.objects import Objects
from shared.model.ids import Sha

UNUSED = 7 * 86400.0
"""Seconds after which a seat that nobody took is given up: each is as large as the tree."""


class Seats:
    """Seats of commits of `store` below `folder`, which may be deleted at any time while none is taken.

    A seat is held by a lock that ends with its process, so that no two processes ever have the same.
    """

    def __init__(self, folder: Path, store: Objects) -> None:
        self.folder, self.store = folder, store
        self.tell: Tell = silent
        """Is told when a whole tree has to be written, which takes a minute for a large one."""

    @asynccontextmanager
    async def take(self, base: Sha) -> AsyncIterator[Seat]:
        """A seat, settled on `base`, that is nobody else's meanwhile."""
        folder, lock = self._claim(base)
        try:
            seat = Seat(folder, self.store, self.tell)
            try:
                await seat.settle(base)
            except NoTree as exc:
                # The base is a tree's, not the series'.
                raise InfraError(str(exc)) from exc
            yield seat
        finally:
            os.close(lock)

    def _claim(self, base: Sha) -> tuple[Path, int]:
        """One that is on this base, else the one used last, else a new one."""
        make_folder(self.folder)
        free = sorted(self._all(), key=lambda one: (read_note(one).base != base, -_used(one)))
        numbers = (self.folder / str(number) for number in range(len(free) + 64))
        for folder in (*free, *(one for one in numbers if one not in free)):
            make_folder(folder)
            lock = claim(folder / "lock")
            if lock is not None:
                os.utime(folder / "lock")
                return folder, lock
        raise AssertionError("sixty-four new seats and none is free")

    def _all(self) -> list[Path]:
        return [one for one in self.folder.iterdir() if one.name.isdigit()]

    def sweep(self, unused: float = UNUSED) -> None:
        """Remove what nobody has used for long, and what dead processes left half removed."""
        if not self.folder.is_dir():
            return
        for folder in self._all():
            lock = claim(folder / "lock")
            if lock is None:
                continue
            try:
                if _used(folder) < time.time() - unused:
                    shutil.rmtree(folder, ignore_errors=True)
                for rubbish in folder.glob("gone-*"):
                    shutil.rmtree(rubbish, ignore_errors=True)
            finally:
                os.close(lock)


def _used(folder: Path) -> float:
    try:
        return (folder / "lock").stat().st_mtime
    except OSError:
        return 0.0


def make_folder(folder: Path) -> None:
    """With all above it, such that the user of a cage can go through."""
    for one in (*reversed(folder.parents), folder):
        if not one.is_dir():
            with contextlib.suppress(FileExistsError):
                one.mkdir()
                one.chmod(0o755)


def claim(path: Path, kind: int = fcntl.LOCK_EX) -> int | None:
    """The lock of that file, to be closed by whoever gets it; None if another has it, or it was removed meanwhile."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
        if os.fstat(lock).st_ino == path.stat().st_ino:
            return lock
    except OSError:
        pass
    os.close(lock)
    return None
