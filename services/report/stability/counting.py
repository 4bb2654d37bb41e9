"""Counting runs into the tables of stability and devices, each run once, in the transaction that sums it."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from services.report.stability.tally import Name, Tally, Try, count_run, turns
from shared.db.pool import Connection, Record
from shared.db.statements import load

SQL = load("services.report.stability")
_COLUMNS = tuple(Tally.__dataclass_fields__)


async def count_once(conn: Connection, run: int) -> bool:
    """Count a closed run that has its sum, unless it was counted. Trials and tries count for nothing."""
    await alone_with_lab(conn, run)
    row = await conn.fetchrow(SQL["mark_counted"], run)
    if row is None:
        return False
    tallies = await _tallies(conn, "stability", dict(row))
    changed = await _changed(conn, dict(row), tallies, await conn.fetchval(SQL["plain"]))
    await _save(conn, dict(row), changed)
    await note_device(conn, dict(row))
    return True


async def alone_with_lab(conn: Connection, run: int) -> None:
    """Until the end of the transaction nobody else counts a run of the same lab."""
    await conn.execute(SQL["alone_with_lab_of"], run)


async def note_device(conn: Connection, run: Mapping[str, Any]) -> None:
    """Keep what a run says of its machine, if that is new."""
    if run["device"]:
        await conn.execute(SQL["note_device"], run["remote"], run["executor"], run["at"], run["device"])


async def rebuild_stability(
    conn: Connection, labs: Iterable[tuple[str, str]] | None = None, told: Callable[[int], None] = lambda run: None
) -> int:
    """Count all summed runs of `labs` (default: of all) anew, in the order of their time. Returns how many."""
    if labs is None:
        labs = [(r["remote"], r["executor"]) for r in await conn.fetch(SQL["labs"])]
    made = 0
    for remote, executor in labs:
        async with conn.transaction():
            made += await _rebuild_lab(conn, {"remote": remote, "executor": executor}, told)
    return made


async def _rebuild_lab(conn: Connection, lab: Mapping[str, str], told: Callable[[int], None]) -> int:
    remote, executor, made = lab["remote"], lab["executor"], 0
    await conn.execute(SQL["alone_with_lab"], remote, executor)
    plain = await conn.fetchval(SQL["plain"])
    tallies = await _tallies(conn, "stability_brought", lab)
    for run in await conn.fetch(SQL["lab_runs"], remote, executor, bool(tallies)):
        tallies |= await _changed(conn, dict(run), tallies, plain)
        told(run["id"])
        made += 1
    await conn.execute(SQL["forget_lab"], remote, executor)
    await _save(conn, lab, tallies)
    await conn.execute(SQL["all_counted"], remote, executor)
    return made


async def _changed(
    conn: Connection, run: Mapping[str, Any], tallies: Mapping[Name, Tally], plain: int
) -> dict[Name, Tally]:
    rows = await conn.fetch(SQL["run_tries"], run["day"], run["id"])
    return count_run(tallies, turns(map(_try, rows), plain), run["at"], bool(run["device"]))


def _try(row: Record) -> Try:
    return Try((row["grp"], row["test"], row["subtest"]), row["attempt"], row["result"], row["infra"], row["crashed"])


async def _tallies(conn: Connection, table: str, lab: Mapping[str, Any]) -> dict[Name, Tally]:
    rows = await conn.fetch(SQL[f"tallies_of_{table}"], lab["remote"], lab["executor"])
    return {(r["grp"], r["test"], r["subtest"]): Tally(*(r[column] for column in _COLUMNS)) for r in rows}


async def _save(conn: Connection, lab: Mapping[str, Any], tallies: Mapping[Name, Tally]) -> None:
    names = sorted(tallies)
    columns = [[getattr(tallies[name], column) for name in names] for column in _COLUMNS]
    keys = [[name[part] for name in names] for part in range(3)]
    await conn.execute(SQL["save_tallies"], lab["remote"], lab["executor"], *keys, *columns)
