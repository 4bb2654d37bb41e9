"""Cases on their way into the table: made storable, their names as ids, inserted as a batch or copied as a whole."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from shared.db.pool import Connection
from shared.db.statements import load
from shared.formats.run_columns import Columns
from shared.ledger.values import OpenRun
from shared.model.results import Case, Cause, Result

SQL = load("shared.ledger")

NAME_LIMIT = 512
"""Bytes of a group's, test's or subtest's name in UTF-8."""
DETAIL_LIMIT = 2000

Admit = Callable[[int], Awaitable[None]]
"""Told how many names nobody has used before; raises if they are too many. In the caller's transaction."""

_OPTIONAL = ("cause", "seconds", "detail", "log", "link", "crashes")
"""Columns that have what is empty by themselves."""


def names_of(columns: Columns) -> list[str]:
    """All names that the rows use, each once. Raises ValueError on one over the limit."""
    names = {*columns.group, *columns.test, *columns.subtest}
    for name in names:
        if len(name) * 4 > NAME_LIMIT and len(name.encode()) > NAME_LIMIT:
            raise ValueError(f"a name of over {NAME_LIMIT} bytes: {name[:60]!r}…")
    return list(names)


async def ids_of(conn: Connection, columns: Columns, admit: Admit | None = None) -> dict[str, int]:
    """The ids of all names, new ones added. Raises ValueError on a name over the limit, and what `admit` raises."""
    names = names_of(columns)
    found = {r["name"]: r["id"] for r in await conn.fetch(SQL["name_ids"], names)}
    return await completed(conn, dict.fromkeys(names) | found, admit)


async def completed(conn: Connection, found: dict[str, int | None], admit: Admit | None) -> dict[str, int]:
    """The ids of names, `found` having None for those that nobody used before; they are added."""
    missing = sorted(name for name, id in found.items() if id is None)
    ids = {name: id for name, id in found.items() if id is not None}
    if missing:
        if admit is not None:
            await admit(len(missing))
        await conn.execute(SQL["add_names"], missing)
        ids |= {r["name"]: r["id"] for r in await conn.fetch(SQL["name_ids"], missing)}
    return ids


async def insert(conn: Connection, run: OpenRun, columns: Columns, ids: dict[str, int]) -> int:
    """Add a batch; a case that stands already is left as it is. Gives how many were new."""
    c = columns
    said = await conn.execute(
        SQL["add_cases"], run.day, run.id, [ids[n] for n in c.group], [ids[n] for n in c.test],
        [ids[n] for n in c.subtest], c.attempt, c.result, c.cause, c.seconds, c.detail, c.log,
        ["\n".join(line.replace("\n", " ") for line in titles) for titles in c.crashes], c.link,
    )  # fmt: skip
    return int(said.rpartition(" ")[2])


async def copy(conn: Connection, run: OpenRun, columns: Columns, ids: dict[str, int]) -> None:
    """Copy the cases of a run that is new in this transaction: nothing can stand there yet, so nothing is asked."""
    c, size = columns, len(columns)
    said = {name: values for name in _OPTIONAL if _says(values := getattr(c, name))}
    await conn.copy_records_to_table(
        "cases", schema_name="ledger",
        columns=("day", "run_id", "grp", "test", "subtest", "attempt", "result", *said),
        records=zip(
            [run.day] * size, [run.id] * size, map(ids.__getitem__, c.group), map(ids.__getitem__, c.test),
            map(ids.__getitem__, c.subtest), c.attempt, c.result, *said.values(), strict=True,
        ),
    )  # fmt: skip


def _says(values: Sequence[object]) -> bool:
    """Whether there is one that is not empty; a number of seconds that is 0 is not."""
    return any(values) or 0 in values


def clean(case: Case) -> Case:
    """The same with text that the database can hold: names and details come from test machines."""
    text = [_text(t) for t in (case.group, case.test, case.subtest, case.detail, case.log, case.link)]
    group, test, subtest, detail, log, link = text
    crashes = tuple(_text(title) for title in case.crashes)
    return replace(
        case, group=group, test=test, subtest=subtest, detail=detail[:DETAIL_LIMIT], log=log, crashes=crashes, link=link
    )


def _text(text: str) -> str:
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def counts_of(columns: Columns) -> dict[str, int]:
    """What `final_counts` gives of the same rows: tests by the result of their last attempt, and how many are flaky."""
    tries: dict[tuple[str, str], list[tuple[int, str, bool]]] = {}
    c = columns
    for group, test, subtest, attempt, result, crashes in zip(
        c.group, c.test, c.subtest, c.attempt, c.result, c.crashes, strict=True
    ):
        if not subtest:
            tries.setdefault((group, test), []).append((attempt, result, bool(crashes)))
    counts: dict[str, int] = {}
    for one in tries.values():
        last = max(one)[1]
        counts[last] = counts.get(last, 0) + 1
    return counts | {"flaky": sum(map(_flaky, tries.values()))} if tries else {"flaky": 0}


def _flaky(tries: Sequence[tuple[int, str, bool]]) -> bool:
    """Passed after a failure without a crash."""
    failed = any(result in ("fail", "error") for _, result, _ in tries)
    return failed and max(tries)[1] == "pass" and not any(crashed for _, _, crashed in tries)


def stored(row: Any) -> Case:
    """A case as it is read back."""
    return Case(
        group=row["grp"], test=row["test"], result=Result(row["result"]),
        cause=Cause(row["cause"]) if row["cause"] else None, attempt=row["attempt"], seconds=row["seconds"],
        detail=row["detail"], log=row["log"], crashes=tuple(row["crashes"]), link=row["link"],
    )  # fmt: skip
