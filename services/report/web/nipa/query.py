"""The rest of ``/query/…``: remotes, stability, devices, flaky tests."""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

from aiohttp import web

from services.report.web.api import Text
from services.report.web.front import Front, as_json
from services.report.web.nipa.asking import MOST_RUNS, NAME, at_least_one, yes
from services.report.web.nipa.pieces import as_list
from services.report.web.nipa.reading import Row, reading_of
from services.report.web.nipa.results import BRANCHER
from shared.web.openapi import Asked, Endpoint, Parameter

MOST_REMOTES = 50
WEEKS = 4
PAGE = 2000
COUNTERS = ("autoignore", "pass_cnt", "fail_cnt", "pass_srk", "fail_srk", "pass_cur", "fail_cur")


async def remotes(front: Front, asked: Asked) -> web.Response:
    rows = await reading_of(front).rows("remotes", MOST_REMOTES - 1)
    return as_json([BRANCHER, *(row["remote"] for row in rows)] if rows else [])


async def stability(front: Front, asked: Asked) -> web.StreamResponse:
    query = asked.request.query
    remote = query.get("remote", "")[:NAME] or None
    return await as_list(asked.request, _stability(front, yes(query.get("auto", "")), remote))


async def _stability(front: Front, auto: bool | None, remote: str | None) -> AsyncIterator[Iterable[Row]]:
    read = reading_of(front)
    after: tuple[Any, ...] = ("", "", 0, 0, 0)
    while True:
        async with front.bulk:
            rows = await read.rows("stability", auto, remote, *after, PAGE)
        yield [_steadiness(row) for row in rows]
        if len(rows) < PAGE:
            return
        after = tuple(rows[-1][key] for key in ("remote", "executor", "grp_id", "test_id", "subtest_id"))


def _steadiness(row: Row) -> Row:
    names = {"remote": row["remote"], "executor": row["executor"], "grp": row["grp"], "test": row["test"]}
    times = {key: _http_date(row[key]) for key in ("last_update", "passing")}
    return names | {"subtest": row["subtest"] or None} | {key: row[key] for key in COUNTERS} | times


def _http_date(time: datetime | None) -> str | None:
    """As Flask writes times: ``Mon, 23 Nov 2026 09:00:00 GMT``."""
    return None if time is None else format_datetime(time, usegmt=True)


async def device_info(front: Front, asked: Asked) -> web.Response:
    rows = await reading_of(front).rows("devices", MOST_RUNS)
    return as_json(
        [
            {"remote": row["remote"], "executor": row["executor"], "changed": _http_date(row["changed"]),
             "info": json.dumps(row["info"], ensure_ascii=False)}
            for row in rows
        ]
    )  # fmt: skip


async def flaky_tests(front: Front, asked: Asked) -> web.Response:
    """Weekly counts, newest week first; with `limit` one count over that many of the newest runs."""
    return as_json(
        (await front.heavy.get(f"flaky-tests?{asked.request.query_string}", lambda: _flaky(front, asked)))["rows"]
    )


async def _flaky(front: Front, asked: Asked) -> Mapping[str, list[Row]]:
    query, read = asked.request.query, reading_of(front)
    by_branch = yes(query.get("group-pfx", "")) is True
    if limit := at_least_one(query.get("limit", ""), 0, MOST_RUNS):
        rows = await read.rows("flakes_of_newest", limit)
        return {"rows": _flakes(rows, by_branch, weekly=False)}
    rows = await read.rows("flakes_by_week", front.now - timedelta(weeks=WEEKS), front.now)
    return {"rows": _flakes(rows, by_branch, weekly=True)}


def _flakes(rows: Iterable[Mapping[str, Any]], by_branch: bool, *, weekly: bool) -> list[Row]:
    """One row a test, the flakiest first. NIPA tells no groups: tests of one name in two groups are one."""
    counts: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0] * WEEKS)
    for row in rows:
        key = (row["remote"], row["executor"], row["test"], row["stream"] if by_branch else "")
        counts[key][min(row["week"], WEEKS - 1)] += row["count"]
    found = sorted(counts.items(), key=lambda item: (-sum(item[1]), item[0]))
    return [
        {"remote": remote, "executor": executor, "test": test, "count": weeks if weekly else sum(weeks)}
        | ({"branch-pfx": stream} if by_branch else {})
        for (remote, executor, test, stream), weeks in found
    ]


ENDPOINTS = (
    Endpoint("GET", "/query/remotes", "Names of the remotes that have results", remotes, tag="NIPA", answer=list[str]),
    Endpoint(
        "GET", "/query/stability", "How steadily each test passes in each lab", stability, tag="NIPA", answer=Any,
        patient=True,
        query=(Parameter("auto", Text, "y: only of labs with devices; n: only of the others"),
               Parameter("remote", Text, "only of this remote")),
    ),
    Endpoint("GET", "/query/device-info", "What labs' machines said", device_info, tag="NIPA", answer=Any),
    Endpoint(
        "GET", "/query/flaky-tests", "Tests that failed and passed on retry", flaky_tests, tag="NIPA", answer=Any,
        query=(Parameter("limit", Text, "one count over this many of the newest runs, instead of four weekly ones"),
               Parameter("group-pfx", Text, "1: by stream of branches")),
    ),
)  # fmt: skip
