"""Typed verbs over `queries.sql` for deciding: facts in, branch verdicts, rollups and series verdicts out."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.report.compose import Clash
from services.report.fold import BranchVerdict, Lab, Reason, RunFacts
from services.report.hide import hide_addresses
from services.report.known.store import known_in_run
from services.report.rollup import Rollup, TestName, TestOutcome, outcomes, roll_up
from services.report.stability.counting import alone_with_lab, count_once
from services.report.verdicts import Key, Verdict
from shared.db.pool import Connection, Record
from shared.db.statements import load
from shared.model.results import Case, Cause, CheckState, Result

SQL = load("services.report")


@dataclass(frozen=True, slots=True)
class Cut:
    """A cut as branch tells of it. `announced` is None until the branch is at the remote."""

    id: int
    project: str
    stream: str
    name: str
    purpose: str
    announced: datetime | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """A series on a cut (`clash` is None), or left out because it conflicts."""

    series: int
    revision: int
    clash: Clash | None = None
    patch_number: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """A series, its triage, and how it applied (`outcome` is "" until branch has settled that)."""

    id: int
    project: str
    revision: int
    state: str
    reason: str
    triage_reason: str
    outcome: str = ""
    tree: str = ""
    tree_reason: str = ""
    already: bool = False
    patch_number: int | None = None
    files: tuple[str, ...] = ()
    apply_reason: str = ""


class ReportStore:
    """See the module. Every verb takes the connection, and with it the transaction, of its caller."""

    async def cut(self, conn: Connection, cut: int) -> Cut | None:
        row = await conn.fetchrow(SQL["cut"], cut)
        if row is None:
            return None
        return Cut(row["id"], row["project"], row["stream"], row["name"], row["purpose"], row["announced"])

    async def runs(self, conn: Connection, cut: int) -> list[RunFacts]:
        """All runs on a cut; closed ones that have no rollup yet get it here."""
        rows = await conn.fetch(SQL["cut_runs"], cut)
        begun = await self._begun(conn, [r for r in rows if r["state"] == "open"])
        return [await self._run(conn, cut, row, begun.get(row["id"], 0)) for row in rows]

    async def _begun(self, conn: Connection, rows: Sequence[Record]) -> Mapping[int, int]:
        """How many tests each open run has told of."""
        if not rows:
            return {}
        days, runs = sorted({r["day"] for r in rows}), [r["id"] for r in rows]
        return {r["run_id"]: r["tests"] for r in await conn.fetch(SQL["tests_begun"], days, runs)}

    async def _run(self, conn: Connection, cut: int, row: Record, begun: int) -> RunFacts:
        rollup = None
        if row["state"] == "done":
            rollup = _rollup(row) if row["rolled"] else await self.make_rollup(conn, row["id"], row["day"], cut)
        return RunFacts(
            Lab(row["remote"], row["executor"]), row["attempt"], row["state"], row["cause"],
            hide_addresses(row["reason"]), row["expected_end"], rollup, begun,
        )  # fmt: skip

    async def make_rollup(self, conn: Connection, run: int, day: Any, cut: int | None) -> Rollup:
        """Sum a closed run from its cases, keep the sum, and count it into the stability of its tests once."""
        found = outcomes([_case(r) for r in await conn.fetch(SQL["run_tests"], day, run)])
        # One lab's runs one after the other, before any row is touched: they count on the same rows.
        await alone_with_lab(conn, run)
        rollup = roll_up(found, await known_in_run(conn, run, found))
        await conn.execute(
            SQL["save_rollup"], run, cut, rollup.tests, rollup.passed, rollup.failed, rollup.skipped, rollup.warned,
            rollup.flaky, rollup.infra, [t.as_json() for t in rollup.failing], [t.as_json() for t in rollup.flakes],
            rollup.known, [name.as_json() | {"issue": issue} for name, issue in rollup.known_tests],
        )  # fmt: skip
        await self._project(conn, run, found)
        await count_once(conn, run)
        return rollup

    async def _project(self, conn: Connection, run: int, found: Sequence[TestOutcome]) -> None:
        """Keep what each test came to; what was kept of the run before is taken out of the weeks again."""
        await conn.execute(SQL["forget_outcomes"], run)
        await conn.execute(SQL["forget_renderings"], run)
        columns = [
            [t.name.group for t in found], [t.name.test for t in found], [t.word for t in found],
            [t.seconds for t in found], [list(t.crashes) for t in found],
        ]  # fmt: skip
        await conn.execute(SQL["save_outcomes"], run, *columns)

    async def roll_up_run(self, conn: Connection, run: int) -> int | None:
        """The same by id; an open or unknown run is left alone. Returns the cut that it is of."""
        row = await conn.fetchrow(SQL["run_day"], run)
        if row is None or row["state"] != "done":
            return None
        await self.make_rollup(conn, run, row["day"], row["cut_id"])
        return row["cut_id"]  # type: ignore[no-any-return]

    async def given_up(self, conn: Connection, cut: int) -> dict[tuple[str, str], str]:
        """Executors that will not run this cut, and why."""
        rows = await conn.fetch(SQL["given_up"], cut)
        return {(r["remote"], r["executor"]): hide_addresses(r["reason"]) or "no reason given" for r in rows}

    async def save_branch(self, conn: Connection, cut: Cut, verdict: BranchVerdict, now: datetime) -> None:
        v = verdict
        await conn.execute(
            SQL["save_branch"], cut.id, cut.project, cut.stream, cut.name, str(v.state), v.settled, v.text, v.tests,
            v.failing, v.flaky, v.skipped, v.warned, v.infra, list(v.missing), [r.as_json() for r in v.reasons],
            v.wait_until, now, v.known,
        )  # fmt: skip

    async def chosen(self, conn: Connection, cut: Cut) -> list[Chosen]:
        """The series that a cut's outcome is told to: still active, in the revision that was chosen from."""
        return [_chosen(row, cut.name) for row in await conn.fetch(SQL["selections"], cut.id)]

    async def series(self, conn: Connection, series: int) -> SeriesFacts | None:
        row = await conn.fetchrow(SQL["series_facts"], series)
        if row is None:
            return None
        facts = SeriesFacts(
            row["id"], row["project"], row["revision"], row["state"], row["reason"], row["triage_reason"]
        )
        return facts if row["outcome"] is None else _with_outcome(facts, row)

    async def verdicts(
        self, conn: Connection, series: Collection[int], contexts: Collection[str]
    ) -> dict[Key, Verdict]:
        rows = await conn.fetch(SQL["verdicts"], list(series), list(contexts))
        return {(found := a_verdict(r)).key: found for r in rows}

    async def save_verdicts(self, conn: Connection, verdicts: Sequence[Verdict], now: datetime) -> None:
        rows = [
            (v.series, v.revision, v.context, v.project, str(v.state), v.settled, v.text,
             [r.as_json() for r in v.reasons], v.cut, v.patch_number, v.changes, v.by_hand, now,
             v.patch)
            for v in verdicts
        ]  # fmt: skip
        await conn.executemany(SQL["save_verdict"], rows)


def a_verdict(row: Record) -> Verdict:
    """A row of report.verdicts."""
    reasons = tuple(Reason(r["rule"], r["text"]) for r in row["reasons"])
    return Verdict(
        row["series_id"], row["revision"], row["project"], row["context"], CheckState(row["state"]), row["settled"],
        row["text"], reasons, row["cut_id"], row["patch_number"], row["changes"], row["by_hand"],
        patch=row["patch"],
    )  # fmt: skip


def by_series(rows: Sequence[Record]) -> dict[int, list[Record]]:
    found: dict[int, list[Record]] = defaultdict(list)
    for row in rows:
        found[row["series_id"]].append(row)
    return found


def _case(row: Record) -> Case:
    cause = Cause(row["cause"]) if row["cause"] else None
    return Case(
        row["grp"], row["test"], Result(row["result"]), cause=cause, attempt=row["attempt"], seconds=row["seconds"],
        crashes=tuple(row["crashes"]),
    )  # fmt: skip


def _rollup(row: Record) -> Rollup:
    failing = tuple(TestName(t["group"], t["test"]) for t in row["failing"])
    known = tuple((TestName(t["group"], t["test"]), t["issue"]) for t in row["known_tests"])
    return Rollup(
        row["passed"], row["failed"], row["skipped"], row["warned"], row["flaky"], row["infra"], failing,
        known=row["known"], known_tests=known,
    )  # fmt: skip


def _chosen(row: Record, branch: str) -> Chosen:
    if row["decision"] == "take":
        return Chosen(row["series_id"], row["revision"])
    clash = Clash(
        branch, row["patch_number"], row["patch_title"], tuple(row["files"]), row["rival_title"],
        row["rival_message_id"],
    )  # fmt: skip
    return Chosen(row["series_id"], row["revision"], clash, row["patch_number"], row["reason"])


def _with_outcome(facts: SeriesFacts, row: Record) -> SeriesFacts:
    return SeriesFacts(
        facts.id, facts.project, facts.revision, facts.state, facts.reason, facts.triage_reason, row["outcome"],
        row["tree"], row["tree_reason"], row["already"], row["patch_number"], tuple(row["files"]),
        row["apply_reason"],
    )  # fmt: skip
