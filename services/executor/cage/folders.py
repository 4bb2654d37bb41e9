"""Where wardens make what they need: a folder for each process of ours, a folder in it for each command.

Each process holds a lock in its folder, and so do its wardens. What nobody holds is left over from one that was
killed, and is removed.
"""

import asyncio
import contextlib
import fcntl
import itertools
import os
import shutil
import time
from pathlib import Path

from shared.errors import InfraError

_LOCK = "lock"
_YOUNG = 60
"""Seconds in which a folder without a lock may be one that is being made."""


class Folders:
    """Folders below `state`, of this process. `lock` is a descriptor for wardens to hold."""

    def __init__(self, state: Path) -> None:
        self._all = state / "cages"
        self._own = self._all / f"{os.getpid()}-{time.time_ns():x}"
        self._numbers = itertools.count(1)
        self.lock = -1

    async def open(self) -> None:
        """Make ours, remove what is left over. Raises InfraError."""
        try:
            self._own.mkdir(parents=True, mode=0o700)
            self._all.chmod(0o700)
            self.lock = os.open(self._own / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left_over = [folder for folder in self._all.iterdir() if folder != self._own and _is_left_over(folder)]
        except OSError as exc:
            raise InfraError(f"no place for cages: {exc}") from exc
        for folder in left_over:
            await remove(folder)

    def new(self) -> Path:
        """For one command; not made yet."""
        return self._own / str(next(self._numbers))

    def close(self) -> None:
        """Remove our own, if no command is left."""
        if self.lock >= 0:
            os.close(self.lock)
            self.lock = -1
            with contextlib.suppress(OSError):
                (self._own / _LOCK).unlink()
                self._own.rmdir()


def _is_left_over(folder: Path) -> bool:
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return time.time() - folder.stat().st_mtime > _YOUNG
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


async def remove(folder: Path) -> None:
    """With all that is in it, whatever modes a command gave it, and however deep it is. Raises InfraError.

    As an ordinary user, that is done as root of a user namespace, where there are such: there, a folder of mode 000
    is no obstacle, and neither is one that is our user's by another name.
    """
    words = ["rm", "-rf", "--one-file-system", "--", str(folder)]
    attempts = [words]
    if os.geteuid() and shutil.which("unshare"):
        attempts.insert(0, ["unshare", "--user", "--map-root-user", "--", *words])
    said = b""
    for attempt in attempts:
        process = await asyncio.create_subprocess_exec(
            *attempt,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
        if process.returncode == 0:
            return
    raise InfraError(f"{folder} can't be removed: {said.decode(errors='replace').strip()[-300:]}")
