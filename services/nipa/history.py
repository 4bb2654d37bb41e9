"""Writing history: one branch with its runs in one transaction, so that what was interrupted goes on where it was."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import asyncpg

from services.nipa.account import Account
from services.nipa.found import FoundBranch, FoundRun
from services.nipa.naming import Dated, branch_numbers, first_free, run_numbers
from services.nipa.runs import COLUMNS, Left, Run, counts_of, names_in, read, records
from services.report.rollup import Rollup, outcomes, roll_up
from shared.db.pool import Connection
from shared.db.statements import load
from shared.errors import Transient
from shared.formats.reported import name_of

SQL = load("services.nipa")
WHY = "history, from NIPA"
TRIES = 30
_PULLS = {"okay": "merged", "resolved": "resolved", "fail": "conflict"}


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between which times a run is history that is kept."""

    oldest: datetime
    now: datetime


class History:
    """Takes branches of one project. `dry`: everything is read and nothing written."""

    def __init__(self, conn: Connection, project: str, account: Account, bounds: Bounds, dry: bool = False) -> None:
        self._conn = conn
        self._project = project
        self._account = account
        self._bounds = bounds
        self._dry = dry
        self._names: dict[str, int] = {}
        self._days: set[date] = set()

    async def take(self, branch: FoundBranch, dated: Dated, found: Sequence[FoundRun]) -> None:
        """Take a branch and those of its runs that are not there yet."""
        there = await self._conn.fetchrow(SQL["branch"], self._project, branch.name)
        if there is not None and there["state"] != "history":
            self._account.leave("branches", "was cut here under the same name", branch.name)
            self._account.leave("runs", "is on a branch that was cut here", branch.name, len(found))
            return
        runs = self._read(found, dated)
        rows = await self._conn.fetch(SQL["runs"], there["id"]) if there else []
        fresh = self._fresh(runs, {(r["remote"], r["executor"], r["started"]) for r in rows})
        self._account.there["branches"] += there is not None
        if self._dry or (there and not fresh):
            self._count(fresh, not there)
            return
        await self._prepare(fresh)
        async with self._conn.transaction():
            number = there["id"] if there else await self._cut(branch, dated)
            if number is None:
                self._account.leave("branches", "is one too many of its minute", branch.name)
                return
            await self._write(number, branch.name, dated.stream, fresh, [dict(r) for r in rows])
        self._count(fresh, not there)

    def _read(self, found: Sequence[FoundRun], dated: Dated) -> list[Run]:
        runs = []
        for one in found:
            run = read(one, dated.slot, self._bounds.oldest, self._bounds.now)
            if isinstance(run, Left):
                self._account.leave("runs", run.why, run.example)
                continue
            runs.append(run)
            for warning in run.told.warnings:
                self._account.note(warning.rpartition(": ")[2])
        return sorted(runs, key=lambda run: (run.started, run.remote, run.executor))

    def _fresh(self, runs: Sequence[Run], there: set[tuple[str, str, datetime]]) -> list[Run]:
        """Those that are not there; a run that is told twice is one run."""
        fresh = []
        for run in runs:
            if (key := (run.remote, run.executor, run.started)) in there:
                self._account.there["runs"] += 1
                continue
            there.add(key)
            fresh.append(run)
        return fresh

    def _count(self, runs: Sequence[Run], new_branch: bool) -> None:
        self._account.taken["branches"] += new_branch
        self._account.taken["runs"] += len(runs)
        self._account.taken["results"] += sum(len(run.told.cases) for run in runs)

    async def _prepare(self, runs: Sequence[Run]) -> None:
        """Days and names, each by itself: a day's partition keeps all readers out until its transaction ends."""
        for day in sorted({run.started.date() for run in runs} - self._days):
            await self._day(day)
            self._days.add(day)
        unknown = {name for run in runs for name in names_in(run)} | {""}
        if missing := sorted(unknown - self._names.keys()):
            await self._conn.execute(SQL["add_names"], missing)
            self._names |= {r["name"]: r["id"] for r in await self._conn.fetch(SQL["name_ids"], missing)}

    async def _day(self, day: date) -> None:
        """Make a day. Who waits for it long keeps everybody waiting behind himself, so it is tried again and again."""
        for left in reversed(range(TRIES)):
            try:
                async with self._conn.transaction():
                    await self._conn.execute(SQL["wait_briefly"])
                    await self._conn.execute(SQL["ensure_day"], day)
                return
            except asyncpg.LockNotAvailableError as exc:
                if not left:
                    raise Transient(f"the results of {day} are read all the time: run it again later") from exc
                await asyncio.sleep(1)

    async def _cut(self, branch: FoundBranch, dated: Dated) -> int | None:
        numbers = branch_numbers(dated.slot)
        taken = {r["id"] for r in await self._conn.fetch(SQL["cuts_between"], numbers[0], numbers[-1])}
        if (number := first_free(numbers, taken)) is None:
            return None
        url, _, _ = branch.url.rpartition(" ")
        merges = [_merge(name_of(pull), state) for pull, state in _items(branch.info.get("base-pulls"))]
        await self._conn.execute(
            SQL["add_cut"], number, self._project, dated.stream, dated.slot, branch.name, WHY, branch.base, merges,
            url or branch.url, branch.date or dated.slot,
        )  # fmt: skip
        if series := branch.info.get("series"):
            count = len(series) if isinstance(series, list) else 1
            self._account.leave("series", "are known by their number on Patchwork alone", branch.name, count)
        return number

    async def _write(
        self, cut: int, name: str, stream: str, runs: Sequence[Run], there: Sequence[Mapping[str, Any]]
    ) -> None:
        numbers = iter(number for number in run_numbers(cut) if number not in {r["id"] for r in there})
        attempts = [(r["remote"], r["executor"]) for r in there]
        rollups = []
        for run in runs:
            lab = (run.remote, run.executor)
            number = next(numbers)
            await self._run(number, cut, name, stream, run, attempts.count(lab))
            attempts.append(lab)
            rollups.append(roll_up(outcomes(run.told.cases)))
            await self._sum(number, cut, run, rollups[-1])
        await self._conn.execute(SQL["sum_branch"], cut)

    async def _run(self, number: int, cut: int, name: str, stream: str, run: Run, attempt: int) -> None:
        told = run.told
        await self._conn.execute(
            SQL["add_run"], number, run.started.date(), self._project, stream, name, cut, run.remote, run.executor,
            attempt, run.started, run.ended, counts_of(told.cases), dict(told.device) if told.device else None,
            told.link,
        )  # fmt: skip
        await self._conn.copy_records_to_table(
            "cases", schema_name="ledger", columns=COLUMNS, records=records(run, number, self._names)
        )

    async def _sum(self, number: int, cut: int, run: Run, rollup: Rollup) -> None:
        r = rollup
        await self._conn.execute(
            SQL["add_rollup"], number, cut, r.tests, r.passed, r.failed, r.skipped, r.warned, r.flaky, r.infra,
            [t.as_json() for t in r.failing], [t.as_json() for t in r.flakes], run.started,
        )  # fmt: skip
        if run.told.device:
            await self._conn.execute(SQL["note_device"], run.remote, run.executor, run.ended, dict(run.told.device))


def _merge(url: str, state: Any) -> Mapping[str, Any]:
    tree = url.rstrip("/").rpartition("/")[2].removesuffix(".git")
    return {"tree": tree, "url": url, "head": "", "state": _PULLS.get(str(state), "merged"), "commit": "", "files": []}


def _items(value: Any) -> Collection[tuple[str, Any]]:
    return value.items() if isinstance(value, dict) else ()
