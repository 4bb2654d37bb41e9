"""Writing to the ledger: open, append, finish, abandon.

Each is idempotent by natural key (a repeated opening finds its run, a repeated case is left as it stands, a second
finish is told that the run is closed) and refused when the caller's lease number is older than the run's. Events
are staged in the same transaction: `RunStarted` at a true opening, `RunProgress` at most once a second,
`RunDone` exactly once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from shared.db.outbox import stage
from shared.db.pool import Connection
from shared.db.statements import load
from shared.errors import Superseded
from shared.events import RunDone, RunProgress, RunStarted, Visibility
from shared.metrics import CASES
from shared.model.ids import RunId
from shared.model.results import Case

SQL = load("shared.ledger")

NAME_LIMIT = 512
"""Bytes of a group's, test's or subtest's name in UTF-8."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A run about to start: one executor on one branch, or the checks of one series.

    `visibility` is that of the branch, of a try none but its owner's; a `trial` counts for nothing and is shown to its
    lab alone. `link` is where the lab shows the run.
    """

    project: str
    remote: str
    executor: str
    stream: str = ""
    branch: str = ""
    cut_id: int | None = None
    series_id: int | None = None
    attempt: int = 0
    lease_number: int = 0
    expected_end: datetime | None = None
    planned: int = 0
    kernel_commit: str = ""
    suite_commit: str = ""
    config_digest: str = ""
    toolchain: str = ""
    image: str = ""
    device: Mapping[str, Any] | None = None
    visibility: Visibility = "public"
    trial: bool = False
    link: str = ""


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that may be written to, by the holder of `lease_number`. `fresh` is false for one taken over."""

    id: RunId
    day: date
    lease_number: int
    fresh: bool


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended. `cause` is "" for one that ran to its end, whatever its tests said; else infra, timeout, …"""

    state: str = "done"
    cause: str = ""
    reason: str = ""
    log_pack: str | None = None
    suite_commit: str = ""
    toolchain: str = ""
    artifacts: Mapping[str, tuple[str, int]] = field(default_factory=dict)


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
            o.toolchain, o.image, dict(o.device) if o.device else None, o.visibility, o.trial, o.link,
        )  # fmt: skip
        if row is None:
            return await self._take_over(conn, o)
        await stage(conn, self._source, _started(o, row["id"]), visibility=o.visibility)
        return OpenRun(RunId(row["id"]), row["day"], o.lease_number, True)

    async def _take_over(self, conn: Connection, o: Opening) -> OpenRun:
        row = await conn.fetchrow(
            SQL["take_over_run"], o.cut_id, o.series_id, o.remote, o.executor, o.attempt, o.lease_number,
            o.expected_end, o.trial,
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
        row = await self._held(conn, run)
        await self._insert(conn, run, cases)
        for case in cases:
            CASES.labels(row["remote"], case.result).inc()
        if await conn.fetchval(SQL["progressed"], run.id) is not None:
            done = await conn.fetchval(SQL["tests_done"], run.id)
            progress = RunProgress(**_of(row, run.id), done=done, planned=row["planned"])
            await stage(conn, self._source, progress, visibility=row["visibility"])
        await conn.execute("select pg_notify('netci_runs', $1)", str(run.id))

    async def _held(self, conn: Connection, run: OpenRun) -> Any:
        row = await conn.fetchrow(SQL["lock_run"], run.id, run.lease_number)
        if row is None:
            raise Superseded(f"run {run.id} is closed, or held by a newer lease than {run.lease_number}")
        return row

    async def _insert(self, conn: Connection, run: OpenRun, cases: Sequence[Case]) -> None:
        cases = [_clean(case) for case in cases]
        ids = await self._names(conn, {n for c in cases for n in (c.group, c.test, c.subtest)})
        await conn.execute(
            SQL["add_cases"], run.day, run.id,
            [ids[c.group] for c in cases], [ids[c.test] for c in cases], [ids[c.subtest] for c in cases],
            [c.attempt for c in cases], [str(c.result) for c in cases],
            [str(c.cause) if c.cause else None for c in cases], [c.seconds for c in cases],
            [c.detail[:2000] for c in cases], [c.log for c in cases],
            ["\n".join(line.replace("\n", " ") for line in c.crashes) for c in cases], [c.link for c in cases],
        )  # fmt: skip

    async def _names(self, conn: Connection, names: set[str]) -> dict[str, int]:
        for name in names:
            if len(name.encode()) > NAME_LIMIT:
                raise ValueError(f"a name of over {NAME_LIMIT} bytes: {name[:60]!r}…")
        found = {r["name"]: r["id"] for r in await conn.fetch(SQL["name_ids"], list(names))}
        if missing := sorted(names - found.keys()):
            await conn.execute(SQL["add_names"], missing)
            found |= {r["name"]: r["id"] for r in await conn.fetch(SQL["name_ids"], missing)}
        return found

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
        rows = await conn.fetch(SQL["finished_tests"], run.id)
        return [_case(row) for row in rows]

    async def finish(self, conn: Connection, run: OpenRun, ending: Ending) -> bool:
        """Close the run; False if it was closed already. Raises Superseded if a newer lease holds it."""
        # Locked before it is counted: a case that comes in between would be in the ledger and in no count.
        if await conn.fetchrow(SQL["lock_run"], run.id, run.lease_number) is None:
            return await self._why_not_closed(conn, run)
        tallies = await conn.fetch(SQL["final_counts"], run.id)
        counts: dict[str, int] = {r["result"]: r["n"] for r in tallies}
        counts["flaky"] = sum(r["flaky"] for r in tallies)
        row = await conn.fetchrow(
            SQL["end_run"], run.id, run.lease_number, ending.state, ending.cause, ending.reason, counts,
            ending.log_pack, ending.suite_commit, ending.toolchain,
        )  # fmt: skip
        assert row is not None, "the run is locked"
        for name, (sha256, size) in ending.artifacts.items():
            await conn.execute(SQL["add_artifact"], run.id, name, sha256, size)
        done = RunDone(
            **_of(row, run.id),
            state=ending.state,
            cause=ending.cause,
            reason=ending.reason[:500],
            counts=counts,
        )
        await stage(conn, self._source, done, visibility=row["visibility"])
        return True

    async def _why_not_closed(self, conn: Connection, run: OpenRun) -> bool:
        row = await conn.fetchrow(SQL["run_state"], run.id)
        if row is None or row["lease_number"] != run.lease_number:
            raise Superseded(f"run {run.id} is held by a newer lease than {run.lease_number}")
        return False

    async def abandon(self, conn: Connection, run: OpenRun, cause: str, reason: str) -> bool:
        """Close a run that will give nothing more, through no fault of its tests."""
        return await self.finish(conn, run, Ending(state="abandoned", cause=cause, reason=reason))


def _clean(case: Case) -> Case:
    """The same with text that the database can hold: names and details come from test machines."""
    text = [_text(t) for t in (case.group, case.test, case.subtest, case.detail, case.log, case.link)]
    group, test, subtest, detail, log, link = text
    crashes = tuple(_text(title) for title in case.crashes)
    return replace(case, group=group, test=test, subtest=subtest, detail=detail, log=log, crashes=crashes, link=link)


def _text(text: str) -> str:
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _started(o: Opening, run: int) -> RunStarted:
    return RunStarted(
        project=o.project, run=run, remote=o.remote, executor=o.executor, stream=o.stream, branch=o.branch,
        cut=o.cut_id, series=o.series_id, planned=o.planned, expected_end=o.expected_end,
    )  # fmt: skip


def _of(row: Any, run: int) -> dict[str, Any]:
    return {
        "project": row["project"], "run": run, "remote": row["remote"], "executor": row["executor"],
        "stream": row["stream"], "branch": row["branch"], "cut": row["cut_id"], "series": row["series_id"],
    }  # fmt: skip


def _case(row: Any) -> Case:
    from shared.model.results import Cause, Result

    return Case(
        group=row["grp"], test=row["test"], result=Result(row["result"]),
        cause=Cause(row["cause"]) if row["cause"] else None, attempt=row["attempt"], seconds=row["seconds"],
        detail=row["detail"], log=row["log"], crashes=tuple(row["crashes"]), link=row["link"],
    )  # fmt: skip
