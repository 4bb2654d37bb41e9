"""What a run came to, in words that do not depend on when it ran: two runs of one seed must give the same.

Ids, times and names of branches are replaced by wave, role and number of the cut.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.db.pool import Connection, connect
from shared.practice.demo.judge import patches_of
from shared.practice.tree import git
from tests.chaos.stage import Stage

BRANCH = re.compile(r"net-next-\d{4}-\d\d-\d\d--\d\d-\d\d")

Outcome = Mapping[str, str]

VERDICTS = """
select s.message_id, s.version, v.patch, v.context, v.state, v.settled, v.text, v.reasons, v.changes
from report.verdicts v join ingest.series s on s.id = v.series_id"""
SERIES = "select message_id, version, revision, state, reason, trees, tree_reason from ingest.series"
APPLIED = """
select s.message_id, a.revision, a.outcome, a.tree, a.tree_reason, a.patch_number, a.files, a.reason,
       a.published is not null as published, cardinality(a.commits) as commits
from branch.applied a join ingest.series s on s.id = a.series_id"""
CUTS = "select id, name, state, purpose, commit, asked_by, merges from branch.cuts order by id"
SELECTIONS = """
select x.cut_id, s.message_id, x.position, x.decision, x.rule, x.reason, x.patch_number, x.files, r.message_id as rival
from branch.selections x join ingest.series s on s.id = x.series_id left join ingest.series r on r.id = x.rival"""
RUNS = "select cut_id, series_id, remote, executor, attempt, state, cause, reason, counts, planned from ledger.runs"
CASES = """
select r.cut_id, c.grp, c.test, c.subtest, c.attempt, c.result, c.cause, c.crashes
from ledger.cases_v c join ledger.runs r on r.id = c.run_id"""
BRANCHES = """
select cut_id, state, settled, text, tests, failing, flaky, skipped, infra, missing, reasons from report.branches"""
EVENTS = """
select e.type, e.body->'data' as data from floor.events e order by e.sequence"""


@dataclass(frozen=True, slots=True)
class _Names:
    """Names that do not change from run to run, for those that do."""

    cuts: Mapping[int, str]
    branches: Mapping[str, str]
    series: Mapping[str, str]
    ids: Mapping[int, str]

    def text(self, value: object) -> str:
        return BRANCH.sub(lambda m: self.branches.get(m[0], m[0]), str(value))


async def outcome(stage: Stage) -> Outcome:
    """Everything that must not depend on what was killed when."""
    conn = await connect(stage.database.dsn)
    try:
        names = await _names(stage, conn)
        found = dict(_checks(stage, names))
        found |= await _of_series(conn, names)
        found |= await _of_cuts(stage, conn, names)
        found |= await _events(conn, names)
    finally:
        await conn.close()
    return found


async def _names(stage: Stage, conn: Connection) -> _Names:
    cuts = await conn.fetch(CUTS)
    series = {s.message_ids[0]: f"{w.number}/{s.name}" for w in stage.waves for s in w.series}
    ids = await conn.fetch("select id, message_id from ingest.series")
    return _Names(
        {row["id"]: f"cut {n}" for n, row in enumerate(cuts, 1)},
        {row["name"]: f"cut {n}" for n, row in enumerate(cuts, 1)},
        series,
        {row["id"]: series.get(row["message_id"], row["message_id"]) for row in ids},
    )


def _checks(stage: Stage, names: _Names) -> Iterator[tuple[str, str]]:
    """On each patch what stands there in each context, in order, each as often as it was posted."""
    for wave in stage.waves:
        for series in wave.series:
            for number, patch in enumerate(patches_of(stage.patchwork, series), 1):
                said: dict[str, list[str]] = {}
                for check in stage.patchwork.pw.checks_of(patch):
                    line = f"{check.state} {names.text(check.description)!r} {check.target_url}"
                    said.setdefault(check.context, []).append(line)
                for context, lines in said.items():
                    yield f"check {wave.number}/{series.name} {number} {context}", " | ".join(lines)


async def _of_series(conn: Connection, names: _Names) -> dict[str, str]:
    found = {}
    for sql, what, key in (
        (SERIES, "series", ()),
        (VERDICTS, "verdict", ("patch", "context")),
        (APPLIED, "applied", ()),
    ):
        for row in await conn.fetch(sql):
            facts = dict(row)
            who = names.series.get(facts.pop("message_id"), "a stranger")
            found[" ".join((what, who, *(str(facts.pop(k)) for k in key)))] = names.text(facts)
    return found


async def _of_cuts(stage: Stage, conn: Connection, names: _Names) -> dict[str, str]:
    found = {}
    for row in await conn.fetch(CUTS):
        tree = git(stage.testing, "rev-parse", f"{row['commit']}^{{tree}}").decode().strip()
        merges = [(m.get("state"), m.get("files")) for m in row["merges"]]
        found[names.cuts[row["id"]]] = f"{row['state']} {row['purpose']} {tree} {merges}"
    for row in await conn.fetch(SELECTIONS):
        facts = dict(row)
        key = f"selection {names.cuts[facts.pop('cut_id')]} {names.series.get(facts.pop('message_id'))}"
        facts["rival"] = names.series.get(facts["rival"] or "", "")
        found[key] = names.text(facts)
    keys: tuple[tuple[str, str, tuple[str, ...]], ...] = (
        (RUNS, "run", ("remote", "executor", "attempt")),
        (CASES, "case", ("grp", "test", "subtest", "attempt")),
        (BRANCHES, "branch", ()),
    )
    for sql, what, key_of in keys:
        for row in await conn.fetch(sql):
            facts = dict(row)
            cut, series = facts.pop("cut_id"), facts.pop("series_id", None)
            words = [what, names.cuts[cut] if cut else names.ids[series], *(str(facts.pop(k)) for k in key_of)]
            found[" ".join(words)] = names.text(facts)
    return found


BY_THE_CLOCK = ("run.progress", "remote.changed")
"""Told at most once a second, or because something is late and then comes: how often depends on the time it takes.
That no owner of a remote is told the same twice is looked at by `remains`."""


async def _events(conn: Connection, names: _Names) -> dict[str, str]:
    """How often each thing was told, and for verdicts in which order."""
    counts: Counter[str] = Counter()
    told: dict[str, list[str]] = {}
    for row in await conn.fetch(EVENTS):
        kind, data = row["type"].removeprefix("dev.netci."), row["data"]
        if kind.startswith(BY_THE_CLOCK):
            continue
        who = _subject(names, data)
        counts[f"events {kind} {who}"] += 1
        if kind.startswith("verdict."):
            told.setdefault(f"told {who} {data.get('patch') or 0} {data['context']}", []).append(
                f"{data['before']}>{data['state']}"
            )
    return {key: str(n) for key, n in counts.items()} | {key: " ".join(line) for key, line in told.items()}


def _subject(names: _Names, data: Mapping[str, Any]) -> str:
    if data.get("series"):
        return names.ids.get(data["series"], "?")
    if data.get("cut"):
        return names.cuts.get(data["cut"], "?")
    return str(data.get("tree", ""))


def differences(undisturbed: Outcome, disturbed: Outcome) -> list[str]:
    """Line by line what is not the same."""
    found = []
    for key in sorted(undisturbed.keys() | disturbed.keys()):
        one, other = undisturbed.get(key), disturbed.get(key)
        if one != other:
            found.append(f"{key}:\n    undisturbed {one}\n    disturbed   {other}")
    return found
