"""Stability and devices: counters and facts that NIPA kept over its whole life, not only as long as its results."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from services.nipa.account import Account
from services.nipa.history import SQL
from services.report.stability.counting import rebuild_stability
from shared.db.pool import Connection
from shared.formats.bounded import read_json
from shared.formats.faults import Faulty
from shared.formats.reported import detail_of, name_of, time_of

COUNTERS = ("pass_cnt", "fail_cnt", "pass_srk", "fail_srk", "pass_cur", "fail_cur")
MOST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Steadiness:
    """One row of NIPA's table `stability`."""

    names: tuple[str, str, str, str, str]
    autoignore: bool
    counts: tuple[int, ...]
    last_update: datetime | None
    passing: datetime | None


def read_stability(row: Mapping[str, Any]) -> Steadiness | None:
    """None for a row that names no test, or whose counters are none."""
    remote, executor, group, test, subtest = (
        name_of(row.get(key)) for key in ("remote", "executor", "grp", "test", "subtest")
    )
    counts = tuple(row.get(key) for key in COUNTERS)
    if not (remote and executor and test) or not all(type(n) is int and 0 <= n <= MOST for n in counts):
        return None
    return Steadiness(
        (remote, executor, group, test, subtest), row.get("autoignore") is True,
        tuple(n for n in counts if n is not None), when(row.get("last_update")), when(row.get("passing")),
    )  # fmt: skip


def when(value: object) -> datetime | None:
    """A time of a table, or as Flask or ISO write it; without a zone it is UTC."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if (time := time_of(value)) or not isinstance(value, str):
        return time
    try:
        return parsedate_to_datetime(value)
    except ValueError:
        return None


async def take_stability(conn: Connection, rows: Iterable[Mapping[str, Any]], account: Account, dry: bool) -> None:
    """Keep rows that are not there. They are where counting begins in their labs."""
    read = {row.names: row for row in map(_said(account), rows) if row is not None}
    found = [read[names] for names in sorted(read)]
    if dry or not found:
        account.taken["stability"] += len(found)
        return
    async with conn.transaction():
        texts = sorted({text for row in found for text in row.names[2:]})
        await conn.execute(SQL["add_names"], texts)
        ids = {r["name"]: r["id"] for r in await conn.fetch(SQL["name_ids"], texts)}
        labs = [[row.names[part] for row in found] for part in (0, 1)]
        names = [[ids[row.names[part]] for row in found] for part in (2, 3, 4)]
        counts = [[row.counts[n] for row in found] for n in range(len(COUNTERS))]
        added = await conn.fetch(
            SQL["add_stability"], *labs, *names, [row.autoignore for row in found], *counts,
            [row.last_update for row in found], [row.passing for row in found],
        )  # fmt: skip
    account.taken["stability"] += len(added)
    account.there["stability"] += len(found) - len(added)
    await rebuild_stability(conn, sorted({(r["remote"], r["executor"]) for r in added}))


def _said(account: Account) -> Any:
    def read(row: Mapping[str, Any]) -> Steadiness | None:
        if (found := read_stability(row)) is None:
            account.leave("stability", "has no test or no counters", str(dict(row))[:100])
        return found

    return read


async def count_history(conn: Connection) -> int:
    """Count runs that were brought and are in no counter yet. Returns how many were counted, old ones included."""
    labs = [(r["remote"], r["executor"]) for r in await conn.fetch(SQL["labs_to_count"])]
    return await rebuild_stability(conn, labs)


async def take_devices(conn: Connection, rows: Iterable[Mapping[str, Any]], account: Account, dry: bool) -> None:
    """Keep what machines said of themselves, as it was said when."""
    found: dict[tuple[str, str, datetime], Any] = {}
    for row in rows:
        remote, executor, changed = name_of(row.get("remote")), name_of(row.get("executor")), when(row.get("changed"))
        if not (remote and executor and changed):
            account.leave("devices", "has no remote, executor or time", str(dict(row))[:100])
            continue
        found[remote, executor, changed] = _info(row.get("info"))
    if dry or not found:
        account.taken["devices"] += len(found)
        return
    keys = [list(column) for column in zip(*found, strict=True)]
    added = await conn.fetch(SQL["add_device"], *keys, list(found.values()))
    account.taken["devices"] += len(added)
    account.there["devices"] += len(found) - len(added)


def _info(value: Any) -> Mapping[str, Any]:
    """A string of JSON, as NIPA has it; what is none is kept as its text."""
    if isinstance(value, str):
        try:
            value = read_json(value.encode("utf-8", "replace"))
        except Faulty:
            return {"info": detail_of(value)}
    return value if isinstance(value, dict) else {"info": value}
