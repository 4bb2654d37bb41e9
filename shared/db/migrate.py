"""Migrations: numbered SQL files, each in one transaction, under an advisory lock, remembered with its hash.

A database newer than the code is refused, and so is one whose past was edited. There is no way back: a mistake
is mended by the next number.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from shared.db.pool import connect
from shared.errors import Refused

_LOCK = 7301
_APPLIED = "select number, name, digest from public.netci_migrations order by number"


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    sql: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> tuple[Migration, ...]:
    """All that this code knows, in order."""
    folder = resources.files("shared.db").joinpath("migrations")
    found = sorted((f.name, f.read_text("utf-8")) for f in folder.iterdir() if f.name.endswith(".sql"))
    made = tuple(Migration(int(name[:4]), name.removesuffix(".sql"), sql) for name, sql in found)
    if [m.number for m in made] != list(range(1, len(made) + 1)):
        raise AssertionError(f"migrations are numbered from 1 without a gap: {[m.name for m in made]}")
    return made


async def migrate(dsn: str) -> list[str]:
    """Bring the database up to this code; returns the names applied. The login must own the database.

    Raises Refused if the database is newer than the code or an applied migration has changed since.
    """
    conn = await connect(dsn)
    try:
        await conn.execute("select pg_advisory_lock($1)", _LOCK)
        await conn.execute(
            "create table if not exists public.netci_migrations "
            "(number integer primary key, name text not null, digest text not null, "
            "applied timestamptz not null default now())"
        )
        return await _apply_missing(conn)
    finally:
        await conn.close()


async def _apply_missing(conn: Any) -> list[str]:
    applied = []
    for migration in _missing(await conn.fetch(_APPLIED)):
        async with conn.transaction():
            await conn.execute(migration.sql)
            await conn.execute(
                "insert into public.netci_migrations (number, name, digest) values ($1, $2, $3)",
                migration.number, migration.name, migration.digest,
            )  # fmt: skip
        applied.append(migration.name)
    return applied


def _missing(rows: Sequence[Any]) -> list[Migration]:
    """The migrations that a database with `rows` lacks. Raises Refused if its past is not ours."""
    known = {m.number: m for m in migrations()}
    for row in rows:
        mine = known.get(row["number"])
        if mine is None:
            raise Refused(f"the database is newer than this netci: it has migration {row['name']}")
        if mine.digest != row["digest"]:
            raise Refused(f"migration {row['name']} was changed after it was applied here")
    done = {row["number"] for row in rows}
    return [m for m in known.values() if m.number not in done]


async def pending(dsn: str) -> list[str]:
    """The names of migrations that the database lacks; Refused as in `migrate`."""
    conn = await connect(dsn)
    try:
        if await conn.fetchval("select to_regclass('public.netci_migrations')") is None:
            return [m.name for m in migrations()]
        return [m.name for m in _missing(await conn.fetch(_APPLIED))]
    finally:
        await conn.close()
