"""A NIPA installation by its database, read only. Tables that an older one lacks are empty."""

import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, LiteralString

import asyncpg

from services.nipa.found import FoundBranch, FoundRun
from shared.db.pool import AWAY, Connection, Record
from shared.errors import Refused, Transient

# Results were kept twice only where the two differ.
_RUNS: LiteralString = """
select remote, t_start, t_end, case when length(json_full) > 50 then json_full else json_normal end as data
from public.results where branch = $1 order by t_start"""
TABLES: Mapping[str, LiteralString] = {
    "branches": "select branch, t_date, base, url, info from public.branches",
    "stability": "select * from public.stability",
    "devices_info": "select remote, executor, changed, info from public.devices_info",
    "results_pending": "select branch from public.results_pending",
}


class Database:
    """See `Source`."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    async def branches(self) -> Mapping[str, FoundBranch]:
        return {
            row["branch"]: FoundBranch(
                row["branch"], utc(row["t_date"]), row["base"] or "", row["url"] or "", _info(row["info"])
            )
            for row in await self._rows("branches")
        }

    async def names(self) -> list[str]:
        rows = await self._fetch("select distinct branch from public.results where branch is not null")
        return [row["branch"] for row in rows]

    async def runs(self, branch: str) -> AsyncIterator[FoundRun]:
        for row in await self._fetch(_RUNS, branch):
            data = (row["data"] or "").encode("utf-8", "surrogatepass")
            where = f"results of {branch} by {row['remote']}"
            yield FoundRun(branch, row["remote"] or "", data, where, utc(row["t_start"]), utc(row["t_end"]))

    async def stability(self) -> list[Mapping[str, Any]]:
        return [dict(row) for row in await self._rows("stability")]

    async def devices(self) -> list[Mapping[str, Any]]:
        return [dict(row) for row in await self._rows("devices_info")]

    async def pending(self) -> int:
        return len(await self._rows("results_pending"))

    async def _rows(self, table: str) -> list[Record]:
        there = await self._fetch("select to_regclass($1) is not null as there", f"public.{table}")
        return await self._fetch(TABLES[table]) if there[0]["there"] else []

    async def _fetch(self, query: LiteralString, *args: object) -> list[Record]:
        """Raises Refused where this is another's database, Transient where it went away."""
        try:
            return list(await self._conn.fetch(query, *args))
        except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.InsufficientPrivilegeError) as exc:
            raise Refused(f"--dsn: not a database of NIPA's that may be read: {exc}") from exc
        except AWAY as exc:
            raise Transient(f"--dsn: NIPA's database went away ({exc}); run it again, it goes on") from exc


def utc(time: datetime | None) -> datetime | None:
    """NIPA keeps times of UTC without saying so."""
    return time.replace(tzinfo=UTC) if time and not time.tzinfo else time


def _info(text: str | None) -> Mapping[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
