"""Numbers that only rise, over restarts too: hosts refuse whoever comes with a smaller one than they have seen."""

import time
from collections.abc import Callable
from pathlib import Path

from services.executor.remote.journal import replace


class Numbers:
    """Kept in a file; should that be lost, the time of day makes up for it."""

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        self._path, self._now = path, now

    def next(self) -> int:
        number = max(self._last() + 1, int(self._now() * 100))
        replace(self._path, str(number).encode())
        return number

    def _last(self) -> int:
        try:
            return int(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return 0
