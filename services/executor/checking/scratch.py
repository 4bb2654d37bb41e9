"""Folders that last for one question, below one folder a process: what a killed process left, the next one removes."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.executor.checking.seats import claim, make_folder


class Scratch:
    """Below `folder`. Others can go through it, but nothing in it can be guessed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._own: Path | None = None
        self._lock: int | None = None

    @contextmanager
    def make(self) -> Iterator[Path]:
        """A new folder, gone afterwards with all that is in it."""
        path = self._mine() / secrets.token_hex(8)
        path.mkdir()
        path.chmod(0o755)
        try:
            yield path
        finally:
            remove(path)

    def _mine(self) -> Path:
        while self._own is None or not self._own.is_dir():
            own = self.folder / f"{os.getpid()}-{secrets.token_hex(4)}"
            make_folder(own)
            # Whoever knows a name gets in, as the user of a cage must; nobody else is told the names.
            own.chmod(0o711)
            lock = claim(own / "lock")
            if lock is not None:
                self.close()
                self._own, self._lock = own, lock
        return self._own

    def close(self) -> None:
        """Remove what is this process's."""
        if self._own is not None and self._lock is not None:
            remove(self._own)
            os.close(self._lock)
        self._own = self._lock = None

    def sweep(self) -> None:
        """Remove what dead processes left."""
        if not self.folder.is_dir():
            return
        for own in self.folder.iterdir():
            lock = claim(own / "lock")
            if lock is not None:
                remove(own)
                os.close(lock)


def remove(folder: Path) -> None:
    """All of it, also where somebody took the right to enter away."""
    for place, names, _ in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                one = Path(place, name)
                if not one.is_symlink():
                    one.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
