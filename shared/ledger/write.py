"""Writing to the ledger: open, append, finish, abandon.

Each is idempotent by natural key (a repeated opening finds its run, a repeated case is left as it stands, a second
finish is told that the run is closed) and refused when the caller's lease number is older than the run's. Events
are staged in the same transaction: `RunStarted` at a true opening, `RunProgress` at most once a second,
`RunDone` exactly once.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from shared.db.outbox import stage
from shared.db.pool import Connection
from shared.errors import Superseded
from shared.events import RunDone, RunProgress, RunStarted
from shared.formats.hide import hide_addresses
from shared.formats.run_columns import Columns, to_columns
from shared.ledger import checks, rows
from shared.ledger.rows import SQL, Admit
from shared.ledger.values import Ending, Opening, OpenRun
from shared.metrics import CASES
from shared.model.ids import RunId
from shared.model.results import Case

__all__ = ["Ending", "Ledger", "OpenRun", "Opening"]


class Ledger:
    """The way in for one room; `source` names it in events."""

    def __init__(self, source: str) -> None:
        self._source = source

    async def open(self, conn: Connection, opening: Opening) -> OpenRun:
        """Open a run, or take over the open one of the same natural key.

        Raises Superseded if that run is closed, or a newer lease holds it.
        """
        o = opening
        # Before anything is written: making the day's partition locks runs, and two who had each inserted one would
        # wait for each other.
        await conn.execute(SQL["ensure_today"])
        row = await conn.fetchrow(
            SQL["open_run"], o.project, o.stream, o.branch, o.cut_id, o.series_id, o.remote, o.executor, o.attempt,
            o.lease_number, o.expected_end, o.planned, o.kernel_commit, o.suite_commit, o.config_digest,
            o.toolchain, o.image, dict(o.device) if o.device else None, o.shown, o.trial, o.link, o.started,
        )  # fmt: skip
        if row is None:
            return await self._take_over(conn, o)
        await stage(conn, self._source, _started(o, row["id"]), visibility=o.shown)
        return OpenRun(RunId(row["id"]), row["day"], o.lease_number, True)

    async def _take_over(self, conn: Connection, o: Opening) -> OpenRun:
        row = await conn.fetchrow(
            SQL["take_over_run"], o.cut_id, o.series_id, o.remote, o.executor, o.attempt, o.lease_number,
            o.expected_end, o.trial, o.branch,
        )  # fmt: skip
        if row is None:
            raise Superseded(f"the run of {o.remote}/{o.executor} is held by a newer lease")
        if row["state"] != "open":
            raise Superseded(f"the run of {o.remote}/{o.executor} is closed")
        return OpenRun(RunId(row["id"]), row["day"], o.lease_number, False)

    async def plan(self, conn: Connection, run: OpenRun, planned: int, expected_end: datetime | None) -> None:
        """Say how many tests there will be and when the run should end."""
        if await conn.fetchval(SQL["plan_run"], run.id, run.lease_number, planned, expected_end) is None:
            raise Superseded(f"run {run.id} is not ours any more")

    async def describe(
        self, conn: Connection, run: OpenRun, device: Mapping[str, Any] | None, link: str, started: datetime | None
    ) -> None:
        """Say of an open run what its lab tells only at its end. It began no later than it was opened."""
        await conn.execute(
            SQL["describe_run"], run.id, run.lease_number, dict(device) if device else None, link, started
        )

    async def append(self, conn: Connection, run: OpenRun, cases: Sequence[Case]) -> None:
        """Add cases. Raises Superseded if the run is closed or another's, ValueError on a name over the limit."""
        await self.append_columns(conn, run, to_columns([rows.clean(case) for case in cases]))

    async def append_columns(self, conn: Connection, run: OpenRun, columns: Columns, admit: Admit | None = None) -> int:
        """The same for text that has been checked, as columns; gives how many cases were new. `admit` is asked before
        names are added.
        """
        row = await self._held(conn, run)
        added = await rows.insert(conn, run, columns, await rows.ids_of(conn, columns, admit))
        if row["visibility"] == "public":
            _count(row["remote"], columns)
        if await conn.fetchval(SQL["progressed"], run.id) is not None:
            done = await conn.fetchval(SQL["tests_done"], run.id, run.day)
            progress = RunProgress(**_of(row, run.id), done=done, planned=row["planned"])
            await stage(conn, self._source, progress, visibility=row["visibility"])
        await conn.execute("select pg_notify('netci_runs', $1)", str(run.id))
        return added

    async def whole(
        self, conn: Connection, opening: Opening, columns: Columns, ending: Ending, admit: Admit | None = None
    ) -> OpenRun:
        """A run that comes as a whole: opened, its cases copied, closed. Raises Superseded if there is one already."""
        o, e, counts, names = opening, ending, rows.counts_of(columns), rows.names_of(columns)
        row = await conn.fetchrow(SQL["add_whole_run"], _said(o, e, counts), names)
        if row is None or row["id"] is None:
            raise Superseded(f"there is a run of {o.remote}/{o.executor} already")
        run = OpenRun(RunId(row["id"]), row["day"], o.lease_number, True)
        found = dict(zip(names, row["ids"] or (), strict=True))
        await rows.copy(conn, run, columns, await rows.completed(conn, found, admit))
        await self._add_artifacts(conn, run, ending)
        if o.shown == "public":
            _count(o.remote, columns)
        done = _done(_place(o, run.id), ending, counts)
        await stage(conn, self._source, _started(o, run.id), done, visibility=o.shown)
        return run

    async def check(self, conn: Connection, check: checks.Check) -> bool:
        """Say something of a series; False if what stands, stands. Raises NotYours where another lab speaks."""
        return await checks.put(conn, self._source, check)

    async def _held(self, conn: Connection, run: OpenRun) -> Any:
        row = await conn.fetchrow(SQL["lock_run"], run.id, run.lease_number)
        if row is None:
            raise Superseded(f"run {run.id} is closed, or held by a newer lease than {run.lease_number}")
        return row

    async def attach(self, conn: Connection, run: OpenRun, name: str, sha256: str, size: int) -> None:
        """Give the run an artifact. Raises Superseded if the run is not ours."""
        await self._held(conn, run)
        await conn.execute(SQL["add_artifact"], run.id, name, sha256, size)

    async def artifacts(self, conn: Connection, run: OpenRun, prefix: str) -> dict[str, str]:
        """Names and sha256 of the run's artifacts whose names begin with `prefix`, oldest first."""
        return {r["name"]: r["sha256"] for r in await conn.fetch(SQL["artifacts"], run.id, prefix)}

    async def detach(self, conn: Connection, run: OpenRun, prefix: str) -> None:
        """Take artifacts away again; their blobs are left to retention."""
        await conn.execute(SQL["drop_artifacts"], run.id, prefix)

    async def finished_tests(self, conn: Connection, run: OpenRun) -> list[Case]:
        """The tests (not subtests) that stand in the ledger already, oldest first."""
        return [rows.stored(row) for row in await conn.fetch(SQL["finished_tests"], run.id, run.day)]

    async def finish(self, conn: Connection, run: OpenRun, ending: Ending) -> bool:
        """Close the run; False if it was closed already. Raises Superseded if a newer lease holds it."""
        # Locked before it is counted: a case that comes in between would be in the ledger and in no count.
        if await conn.fetchrow(SQL["lock_run"], run.id, run.lease_number) is None:
            return await self._why_not_closed(conn, run)
        tallies = await conn.fetch(SQL["final_counts"], run.id, run.day)
        counts: dict[str, int] = {r["result"]: r["n"] for r in tallies}
        counts["flaky"] = sum(r["flaky"] for r in tallies)
        await self._close(conn, run, ending, counts)
        return True

    async def _close(self, conn: Connection, run: OpenRun, ending: Ending, counts: dict[str, int]) -> None:
        row = await conn.fetchrow(
            SQL["end_run"], run.id, run.lease_number, ending.state, ending.cause, ending.reason, counts,
            ending.log_pack, ending.suite_commit, ending.toolchain, ending.ended,
        )  # fmt: skip
        assert row is not None, "the run is locked"
        await self._add_artifacts(conn, run, ending)
        await stage(conn, self._source, _done(_of(row, run.id), ending, counts), visibility=row["visibility"])

    async def _add_artifacts(self, conn: Connection, run: OpenRun, ending: Ending) -> None:
        for name, (sha256, size) in ending.artifacts.items():
            await conn.execute(SQL["add_artifact"], run.id, name, sha256, size)

    async def _why_not_closed(self, conn: Connection, run: OpenRun) -> bool:
        row = await conn.fetchrow(SQL["run_state"], run.id)
        if row is None or row["lease_number"] != run.lease_number:
            raise Superseded(f"run {run.id} is held by a newer lease than {run.lease_number}")
        return False

    async def abandon(self, conn: Connection, run: OpenRun, cause: str, reason: str) -> bool:
        """Close a run that will give nothing more, through no fault of its tests."""
        return await self.finish(conn, run, Ending(state="abandoned", cause=cause, reason=reason))


def _count(remote: str, columns: Columns) -> None:
    """In the metrics, which anybody may read: only what anybody may know."""
    for result in set(columns.result):
        CASES.labels(remote, result).inc(columns.result.count(result))


def _said(o: Opening, e: Ending, counts: dict[str, int]) -> dict[str, Any]:
    """A whole run by its columns."""
    times = {"started": o.started, "ended": e.ended}
    return {
        "project": o.project, "stream": o.stream, "branch": o.branch, "cut_id": o.cut_id, "series_id": o.series_id,
        "remote": o.remote, "executor": o.executor, "attempt": o.attempt, "planned": o.planned,
        "kernel_commit": o.kernel_commit, "suite_commit": o.suite_commit, "config_digest": o.config_digest,
        "toolchain": o.toolchain, "image": o.image, "device": dict(o.device) if o.device else None,
        "visibility": o.shown, "trial": o.trial, "link": o.link, "state": e.state, "cause": e.cause,
        "reason": e.reason, "counts": counts, "log_pack": e.log_pack,
        **{name: when.isoformat() for name, when in times.items() if when is not None},
    }  # fmt: skip


def _started(o: Opening, run: int) -> RunStarted:
    return RunStarted(**_place(o, run), planned=o.planned, expected_end=o.expected_end)


def _done(place: dict[str, Any], ending: Ending, counts: dict[str, int]) -> RunDone:
    reason = hide_addresses(ending.reason)[:500]
    return RunDone(**place, state=ending.state, cause=ending.cause, reason=reason, counts=counts)


def _place(o: Opening, run: int) -> dict[str, Any]:
    return {
        "project": o.project, "run": run, "remote": o.remote, "executor": o.executor, "stream": o.stream,
        "branch": o.branch, "cut": o.cut_id, "series": o.series_id,
    }  # fmt: skip


def _of(row: Any, run: int) -> dict[str, Any]:
    return {
        "project": row["project"], "run": run, "remote": row["remote"], "executor": row["executor"],
        "stream": row["stream"], "branch": row["branch"], "cut": row["cut_id"], "series": row["series_id"],
    }  # fmt: skip
