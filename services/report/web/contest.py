"""The result table: one row a test, newest runs first, filters and place in the URL."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiohttp import web

from services.report.web.filters import BOXES, Contest, Place, parse_contest
from services.report.web.front import Data, Front
from services.report.web.runs import shown_case
from services.report.web.store import Row

PAGE = 200
FIRST = 12
"""Branches that are looked at first."""


async def contest(front: Front, request: web.Request) -> Data:
    """`rows`, and `next`: the query of the following page, "" at the end."""
    wanted = parse_contest(request.query)
    rows, place = await contest_rows(front, wanted)
    return {
        "filters": _filters(wanted),
        "rows": rows,
        "next": wanted.following(place).query if place else "",
        "first": wanted.after is None,
        "labs": await front.read.rows("labs"),
        "streams": front.streams,
        "query": wanted.query,
    }


async def contest_rows(front: Front, wanted: Contest) -> tuple[list[Row], Place | None]:
    """A page of rows, and where the following one begins; None at the end."""
    rows = await _rows(front, wanted)
    return [_row(row) for row in rows[:PAGE]], _place(rows[PAGE - 1]) if len(rows) > PAGE else None


async def _rows(front: Front, wanted: Contest) -> list[Row]:
    """The newest branches are looked at first: they fill most pages, and the days of all would all be planned for."""
    if wanted.branches > FIRST and not wanted.after and not wanted.branch:
        rows = await _rows_of(front, replace(wanted, branches=FIRST))
        if len(rows) > PAGE:
            return rows
    return await _rows_of(front, wanted)


async def _rows_of(front: Front, wanted: Contest) -> list[Row]:
    test, group = await _name(front, wanted.test), await _name(front, wanted.group)
    if -1 in (test, group):
        return []
    place = wanted.after
    which = (wanted.branches, wanted.stream or None, wanted.branch or None)
    days = await front.read.value("contest_days", *which) or []
    return await front.read.rows_planned(
        "contest", *which, wanted.remote or None,
        wanted.executor or None, test, group, wanted.subtests, wanted.results, wanted.retried,
        *((place.run, place.group, place.test, place.subtest) if place else (None, 0, 0, 0)), PAGE + 1, days,
        front.counting, wanted.counted,
        [box for box in BOXES if box not in wanted.hidden], not wanted.subtests,
    )  # fmt: skip


async def _name(front: Front, name: str) -> int | None:
    """The id of a name, None for any, -1 for one that no lab ever said."""
    if not name:
        return None
    found = await front.read.value("name_id", name)
    return -1 if found is None else int(found)


def _place(row: Mapping[str, Any]) -> Place:
    return Place(row["run_id"], row["grp_id"], row["test_id"], row["subtest_id"])


def _row(found: Row) -> Row:
    row = shown_case(found)
    keep = (
        "branch",
        "stream",
        "remote",
        "executor",
        "test",
        "subtest",
        "result",
        "retry",
        "crashes",
        "detail",
        "cause",
    )
    return {name: row[name] for name in keep} | {
        "date": row["slot"],
        "group": row["grp"],
        "run": row["run_id"],
        "time": row["seconds"],
        "log": row["log"],
        "retry_log": row["retry_log"],
        "flaky": row["result"] in BOXES["fail"] and row["retry"] in BOXES["pass"] and not row["crashes"],
    }


def _filters(wanted: Contest) -> Row:
    return {
        "branch": wanted.branch, "stream": wanted.stream, "remote": wanted.remote, "executor": wanted.executor,
        "group": wanted.group, "test": wanted.test, "ld_cases": wanted.subtests, "retried": wanted.retried,
        "ld_cnt": wanted.branches, "counted": wanted.counted, "boxes": {box: box not in wanted.hidden for box in BOXES},
    }  # fmt: skip
