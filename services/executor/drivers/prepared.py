"""Folders of this machine in which suites are prepared: one for each run, whichever of its leases needs it first.

Nothing of them outlives the process that made them, and what one left that was killed is removed.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.executor.cage.folders import Folders, remove

_KEPT = 2
"""Prepared folders that stay though no lease of their run is there just now."""


class Prepared:
    """Below `state`, for one driver."""

    def __init__(self, state: Path) -> None:
        self.folders = Folders(state)
        self._opening = asyncio.Lock()
        self.all = Path()
        self._runs: Counter[str] = Counter()

    async def opened(self) -> Folders:
        """Folders of this driver alone; what is left of drivers that died is removed."""
        async with self._opening:
            if self.folders.lock < 0:
                await self.folders.open()
                self.all = self.folders.new()
                self.all.mkdir()
        return self.folders

    @asynccontextmanager
    async def folder(self, run: str) -> AsyncIterator[Path]:
        """The run's, as whoever had it left it."""
        await self.opened()
        work = self.all / run
        work.mkdir(exist_ok=True)
        self._runs[run] += 1
        try:
            await self._forget()
            yield work
        finally:
            self._runs[run] -= 1

    async def _forget(self) -> None:
        """Remove what was prepared for runs that are over. A run whose only lease is being renewed looks like one."""
        over = [path for path in self.all.iterdir() if path.is_dir() and not self._runs[path.name]]
        for path in sorted(over, key=_age)[:-_KEPT]:
            await remove(path)


def _age(path: Path) -> float:
    return path.stat().st_mtime
