"""Known issues in their tables: which hold, what they match, and how one comes and goes.

A rule that comes or goes is audited, and the runs of the last days that it may turn are summed again.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from services.report.known.rules import KnownIssue, Where, checked, known_of
from services.report.rollup import TestName, TestOutcome
from shared.db.outbox import SQL as FLOOR
from shared.db.pool import Connection, Pool, Record
from shared.db.statements import load
from shared.db.work import enqueue
from shared.errors import Missing, Refused

SQL = load("services.report.known")

TRIED_ON = timedelta(days=14)
"""How far back a rule is tried before it is kept."""
TURNED = timedelta(days=3)
"""How old a branch may be to be judged again when a rule comes or goes."""
MOST = 20_000
MOST_RUNS = 3000
SHOWN = 50

Row = dict[str, Any]


async def known_in_run(conn: Connection, run: int, found: Sequence[TestOutcome]) -> Mapping[TestName, int]:
    """The failures of a run that are known, by the rule's number; kept as what the rules have matched."""
    await conn.execute(SQL["forget_hits"], run)
    facts = await conn.fetchrow(SQL["run_facts"], run)
    if facts is None:
        return {}
    rules = [_issue(row) for row in await conn.fetch(SQL["holding"], facts["project"], facts["at"], TURNED)]
    known = known_of(rules, Where(facts["stream"], facts["remote"], facts["executor"]), found) if rules else {}
    if known:
        names = list(known)
        columns = [name.group for name in names], [name.test for name in names], [known[name] for name in names]
        await conn.execute(SQL["save_hits"], run, *columns)
    return known


def _issue(row: Record) -> KnownIssue:
    return KnownIssue(
        row["project"], row["reason"], row["owner"], row["expires"], row["stream"], row["remote"], row["executor"],
        row["grp"], row["test"], row["crash"], row["link"], row["id"],
    )  # fmt: skip


async def add(conn: Connection, issue: KnownIssue, by: str, now: datetime) -> int:
    """Keep a rule; from now on it holds. Returns its number. Raises Refused for one that may not be."""
    checked(issue, now)
    number = await conn.fetchval(
        SQL["add"], issue.project, issue.stream, issue.remote, issue.executor, issue.group, issue.test, issue.crash,
        issue.reason.strip(), issue.link, issue.owner.strip(), issue.expires, by, now,
    )  # fmt: skip
    scope = {name: getattr(issue, name) for name in ("stream", "remote", "executor", "group", "test", "crash")}
    detail = {name: value for name, value in scope.items() if value} | {"expires": issue.expires.isoformat()}
    await conn.execute(FLOOR["audit"], by, "known issue added", f"known/{number}", issue.reason.strip(), detail)
    await _sum_again(conn, issue.project, now)
    return int(number)


async def end(conn: Connection, number: int, by: str, why: str, now: datetime) -> None:
    """From now on its failures count again. Raises Missing, and Refused for one that is over."""
    project = await conn.fetchval(SQL["end"], number, by, now)
    if project is None:
        if await conn.fetchrow(SQL["project_of"], number) is None:
            raise Missing(f"no known issue {number}")
        raise Refused(f"known issue {number} is over already")
    await conn.execute(FLOOR["audit"], by, "known issue ended", f"known/{number}", why, {})
    await _sum_again(conn, project, now)


async def _sum_again(conn: Connection, project: str, now: datetime) -> None:
    for row in await conn.fetch(SQL["runs_to_sum"], project, now - TURNED, MOST_RUNS):
        await enqueue(conn, "report", "roll-up", str(row["run_id"]), {"run": row["run_id"], "fold": True})


async def try_on(pool: Pool | Connection, issue: KnownIssue, now: datetime) -> Row:
    """What a rule would have matched in the last two weeks, without keeping it. Raises Refused as `add` does.

    `turned` are branches on which nothing that counted would have failed any more.
    """
    checked(issue, now)
    rows = await pool.fetch(SQL["failures"], issue.project, now - TRIED_ON, MOST, timeout=20)
    hits, rest = [], set()
    for row in rows:
        where = Where(row["stream"], row["remote"], row["executor"])
        if issue.matches(where, TestName(row["grp"], row["test"]), row["crashes"]):
            hits.append(row)
        else:
            rest.add(row["cut_id"])
    return {
        "days": TRIED_ON.days, "failures": len(rows), "hits": len(hits), "cut_off": len(rows) == MOST,
        "branches": len({row["cut_id"] for row in hits}),
        "turned": len({row["cut_id"] for row in hits} - rest),
        "shown": [
            {"run": r["run_id"], "branch": r["branch"], "lab": f"{r['remote']}/{r['executor']}", "group": r["grp"],
             "test": r["test"], "crashes": r["crashes"]}
            for r in hits[:SHOWN]
        ],
    }  # fmt: skip


async def listed(pool: Pool | Connection, project: str, now: datetime, over: bool = False) -> list[Row]:
    """The rules, those that hold first. `idle`: it has matched nothing for two weeks, or ever since it was made."""
    rows = await pool.fetch(SQL["issues"], project or None, now, over, 500, timeout=10)
    return [dict(row) | {"idle": row["active"] and _idle(row, now)} for row in rows]


def _idle(row: Record, now: datetime) -> bool:
    last: datetime = max(row["last"] or row["made"], row["made"])
    return now - last > TRIED_ON
