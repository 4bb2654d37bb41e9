"""The tables of manifests in typed verbs. Decides nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any

from services.ingest.api.rejected import ERRORS, KEPT
from services.ingest.api.store import SQL as LABS
from services.ingest.remotes.book import Run, State
from services.ingest.remotes.fetch import Marks
from shared.db.pool import Connection, Pool
from shared.db.statements import load
from shared.formats.clean import plain
from shared.formats.faults import Fault

SQL = load("services.ingest.remotes")

FORGET = timedelta(days=30)
_COLUMNS = [one.name for one in fields(Run) if one.name != "overdue"]


@dataclass(frozen=True, slots=True)
class Seen:
    """What is remembered of the manifest itself."""

    url: str = ""
    marks: Marks = field(default_factory=Marks)
    polled: datetime | None = None
    trouble: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """The branch of ours that a run is on."""

    cut: int
    project: str
    stream: str
    commit: str
    announced: datetime


@dataclass(frozen=True, slots=True)
class Rejection:
    """What was not taken, and why."""

    path: str
    detail: str
    executor: str = ""
    faults: tuple[Fault, ...] = ()
    size: int = 0


@dataclass(frozen=True, slots=True)
class BookStore:
    """Verbs over queries.sql for one remote."""

    remote: str

    async def manifest(self, pool: Pool) -> Seen:
        row = await pool.fetchrow(SQL["manifest"], self.remote)
        if row is None:
            return Seen()
        return Seen(
            row["url"], Marks(row["etag"], row["modified"]), row["polled"], row["trouble"], tuple(row["warnings"])
        )

    async def seen(self, conn: Connection, seen: Seen, entries: int) -> None:
        await conn.execute(
            SQL["seen_manifest"], self.remote, seen.url, seen.marks.etag, seen.marks.modified, entries,
            list(seen.warnings), seen.polled,
        )  # fmt: skip

    async def same(self, pool: Pool, now: datetime) -> None:
        await pool.execute(SQL["same_manifest"], self.remote, now)

    async def bad(self, conn: Connection, url: str, trouble: str, now: datetime) -> None:
        await conn.execute(SQL["bad_manifest"], self.remote, url, trouble, now)

    async def runs(self, conn: Connection) -> dict[tuple[str, str], Run]:
        found = [_run(row) for row in await conn.fetch(SQL["runs"], self.remote)]
        return {run.key: run for run in found}

    async def save(self, conn: Connection, runs: Iterable[Run]) -> None:
        rows = [(self.remote, *(_plain(getattr(run, name)) for name in _COLUMNS)) for run in runs]
        await conn.executemany(SQL["save_run"], rows)

    async def forget(self, conn: Connection, now: datetime) -> None:
        await conn.execute(SQL["forget_runs"], self.remote, now - FORGET)

    async def due(self, pool: Pool, now: datetime, most: int) -> Sequence[tuple[Run, Place]]:
        rows = await pool.fetch(SQL["due_runs"], self.remote, now, most)
        return [(_run(row, row["overdue"]), _place(row)) for row in rows]

    async def heard(self, conn: Connection | Pool, executor: str = "", branch: str = "") -> None:
        await conn.execute(LABS["heard_of"], self.remote, executor, branch)

    async def watch_over(self, conn: Connection, run: int, deadline: datetime) -> None:
        """Let the reaper close the run where nobody polls its manifest any more."""
        await conn.execute(LABS["add_lab_run"], run, "", self.remote, deadline, None, "", 0)

    async def reject(self, conn: Connection, what: Rejection) -> None:
        errors = [{"pointer": fault.pointer, "detail": fault.detail} for fault in what.faults[:ERRORS]]
        await conn.execute(
            LABS["reject"], self.remote, what.executor, plain(what.path)[:300], 422, plain(what.detail)[:1000], errors,
            what.size,
        )  # fmt: skip
        await conn.execute(LABS["forget_rejections"], self.remote, KEPT)


def _run(row: Any, overdue: bool = False) -> Run:
    values = {name: row[name] for name in _COLUMNS}
    return Run(**values | {"state": State(row["state"])}, overdue=overdue)


def _place(row: Any) -> Place:
    return Place(row["cut_id"], row["project"], row["stream"], row["commit"], row["announced"])


def _plain(value: object) -> object:
    return str(value) if isinstance(value, State) else value
