"""Closed runs as JSON that was made before. A run that is done does not change, and making it anew out of its cases
costs a hundred times what reading it costs.

What is kept is dropped when the run is summed anew, and after two weeks anyhow (`services.report.reconcile`).
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.report.web.nipa.reading import SQL
from services.report.web.store import TIMEOUT
from shared.db.pool import Pool

FAST = 1
"""zlib's level: a third larger than its best, in a fifth of the time."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """The JSON of one run, and how many cases it was made of."""

    run: int
    text: bytes
    cases: int


class Renderings:
    """What is kept for one shape (normal, l2) under our present address."""

    def __init__(self, pool: Pool, shape: str, base: str) -> None:
        self._pool = pool
        self._shape = shape
        self._base = base

    async def sizes(self, runs: Sequence[int]) -> Mapping[int, int]:
        """Which of these runs are kept, and of how many cases."""
        rows = await self._pool.fetch(SQL["kept_sizes"], runs, self._shape, self._base, timeout=TIMEOUT)
        return {row["run_id"]: row["cases"] for row in rows}

    async def load(self, runs: Sequence[int]) -> Mapping[int, bytes]:
        """Their JSON; one that was dropped meanwhile is left out."""
        if not runs:
            return {}
        rows = await self._pool.fetch(SQL["kept"], runs, self._shape, self._base, timeout=TIMEOUT)
        return {row["run_id"]: zlib.decompress(row["body"]) for row in rows}

    async def keep(self, made: Sequence[Rendered]) -> None:
        columns = [one.run for one in made], [zlib.compress(one.text, FAST) for one in made], [o.cases for o in made]
        await self._pool.execute(SQL["keep"], self._shape, self._base, *columns, timeout=TIMEOUT)
