"""Reading for the pages: rows by the name of their statement, as plain mappings that both twins are made of."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from shared.db.pool import Pool
from shared.db.statements import Statements, load

SQL = load("services.report.web")
TIMEOUT = 10
"""Seconds that one statement of a page may take."""

Row = dict[str, Any]


class Reading:
    """Statements on report's pool, of this package unless others are given; nothing here writes."""

    def __init__(self, pool: Pool, statements: Statements = SQL) -> None:
        self._pool = pool
        self._sql = statements

    async def rows(self, name: str, *args: object) -> list[Row]:
        return [dict(row) for row in await self._pool.fetch(self._sql[name], *args, timeout=TIMEOUT)]

    async def rows_planned(self, name: str, *args: object) -> list[Row]:
        """The same, planned anew for these parameters: a plan for any would hold every day's partition there is."""
        async with self._pool.acquire() as conn, conn.transaction(readonly=True):
            await conn.execute(SQL["plan_anew"], timeout=TIMEOUT)
            return [dict(row) for row in await conn.fetch(self._sql[name], *args, timeout=TIMEOUT)]

    async def one(self, name: str, *args: object) -> Row | None:
        row = await self._pool.fetchrow(self._sql[name], *args, timeout=TIMEOUT)
        return None if row is None else dict(row)

    async def value(self, name: str, *args: object) -> Any:
        return await self._pool.fetchval(self._sql[name], *args, timeout=TIMEOUT)

    async def series_numbers(self, mails: Collection[str]) -> Mapping[str, Sequence[int]]:
        """The series that have these mails, by message id without brackets; unknown ones are left out."""
        found: dict[str, list[int]] = defaultdict(list)
        names = [name for mail in mails for name in (mail, f"<{mail}>")]
        for row in await self.rows("series_numbers", names):
            found[row["mail"].strip("<>")].append(row["id"])
        return found

    async def floor(self, statements: Mapping[str, Any], name: str) -> list[Row]:
        """A statement of the floor's own, which takes no parameters."""
        return [dict(row) for row in await self._pool.fetch(statements[name], timeout=TIMEOUT)]
