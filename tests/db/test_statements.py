"""Every named statement stands on the migrated schema, and each room that uses it has the rights for it.

Explaining a statement checks rights as running it does, and changes nothing.
"""

from pathlib import Path

import asyncpg
import pytest

from shared.db.pool import Pool
from shared.db.statements import Statements, parse
from tests.conftest import Database

ROOT = Path(__file__).parents[2]
FILES = sorted(str(p.relative_to(ROOT)) for top in ("services", "shared") for p in (ROOT / top).rglob("queries.sql"))
ROOMS = ("ingest", "branch", "executor", "report")

# Which rooms run the statements of a file of shared/; a room's own file is run by that room.
RUN_BY = {
    "shared/db/queries.sql": ROOMS,
    "shared/ledger/queries.sql": ("ingest", "executor"),
    "shared/web/queries.sql": ("report",),
    "services/nipa/queries.sql": ("",),
}

# Run by one room only, or by a person through the command line, who is the owner of the database ("").
EXCEPTIONS: dict[tuple[str, str], tuple[str, ...]] = {
    ("shared/db/queries.sql", "pause"): ("report", ""),
    ("shared/db/queries.sql", "resume"): ("report", ""),
    **{("shared/db/queries.sql", name): ("ingest", "report") for name in ("find_token", "used_token")},
    **{
        ("shared/db/queries.sql", name): ("",)
        for name in ("add_token", "lock_token", "token_successor", "shorten_token", "revoke_token", "list_tokens")
    },
    **{
        ("services/branch/queries.sql", name): ("",)
        for name in ("give_order", "take_back_order", "request_cut", "requested_cut", "list_series")
    },
}


def statements(file: str) -> Statements:
    return parse((ROOT / file).read_text("utf-8"), file)


def rooms_of(file: str) -> tuple[str, ...]:
    return RUN_BY.get(file) or (file.split("/")[1],)


def fault(file: str, name: str, exc: asyncpg.PostgresError) -> str:
    """Where the statement is, what the server says and, if it has one, its hint."""
    more = [str(part) for part in (getattr(exc, "detail", None), getattr(exc, "hint", None)) if part]
    return " — ".join([f"{file}: {name}: {exc}", *more])


async def faults(pool: Pool, file: str, names: list[str]) -> list[str]:
    """What is wrong with the statements `names` of `file`, under the rights of `pool`."""
    found, known = [], statements(file)
    async with pool.acquire() as conn:
        for name in names:
            try:
                parameters = (await conn.prepare(known[name])).get_parameters()
                await conn.fetch("explain " + known[name], *[None] * len(parameters))
            except asyncpg.PostgresError as exc:
                found.append(fault(file, name, exc))
    return found


def test_there_are_statements() -> None:
    assert len(FILES) >= 8
    assert all(len(statements(file)) for file in FILES)


@pytest.mark.parametrize("file", FILES)
async def test_statements_stand_within_the_rights_of_those_who_run_them(database: Database, file: str) -> None:
    wrong: list[str] = []
    for room in (*ROOMS, ""):
        names = [n for n in statements(file) if room in EXCEPTIONS.get((file, n), rooms_of(file))]
        if names:
            pool = await database.pool(room, size=1)
            wrong += [f"as {room or 'owner'}: {line}" for line in await faults(pool, file, names)]
    assert wrong == []


async def test_a_typo_is_told_with_the_servers_hint(database: Database) -> None:
    pool = await database.pool("report", size=1)
    async with pool.acquire() as conn:
        with pytest.raises(asyncpg.PostgresError) as raised:
            await conn.prepare("select statee from floor.work")
    told = fault("some/queries.sql", "broken", raised.value)
    assert told.startswith('some/queries.sql: broken: column "statee" does not exist')
    assert "Perhaps you meant to reference the column" in told
