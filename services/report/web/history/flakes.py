"""The ranking of tests that are not steady, week by week, each with a rate and how sure it is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

from aiohttp import web

from services.report.web.front import Data, Front, heavy
from services.report.web.history.asking import parse_among
from services.report.web.history.matrix import Key, key_of
from services.report.web.history.rates import rate
from services.report.web.history.reading import columns, mondays, reading_of
from services.report.web.store import Row

WEEKS = 4
RANKED = 2
"""Weeks by which tests are ranked: this one is young on a Monday."""
MOST = 100


@heavy
async def flakes(front: Front, request: web.Request) -> Data:
    """Tests that flaked or failed in this week or the last, the flakiest first; `weeks` are Mondays."""
    among, read = parse_among(request.query), reading_of(front)
    weeks = mondays(front.now, WEEKS)
    worst = await read.rows(
        "weekly_worst", weeks[:RANKED], among.needle, among.remote, among.executor, among.stream,
        *among.remotes(front.counting), MOST + 1,
    )  # fmt: skip
    keys = columns(worst[:MOST], "remote", "executor", "stream", "grp_id", "test_id")
    counts = await read.rows("weekly_counts", weeks, *keys) if worst else []
    last = await read.rows("last_bad", *keys) if worst else []
    return {
        "filters": asdict(among),
        "weeks": weeks,
        "rows": ranked(worst[:MOST], counts, last, weeks),
        "cut_off": len(worst) > MOST,
        "labs": await front.read.rows("labs"),
        "streams": front.streams,
    }


def ranked(worst: Iterable[Row], counts: Iterable[Row], last: Iterable[Row], weeks: Sequence[date]) -> list[Row]:
    """One row a test, lab and stream. Pure."""
    by_week = {(_key(row), row["week"]): row for row in counts}
    seen = {_key(row): row for row in last}
    return [_row(test, [by_week.get((_key(test), week)) for week in weeks], seen.get(_key(test))) for test in worst]


def _key(row: Mapping[str, Any]) -> tuple[Key, str]:
    return key_of(row), row["stream"]


def _row(test: Row, weeks: Sequence[Row | None], last: Row | None) -> Row:
    told = [{name: week[name] if week else 0 for name in ("runs", "fails", "flakes")} for week in weeks]
    runs, fails, flakes = (sum(week[name] for week in told) for name in ("runs", "fails", "flakes"))
    flaky = rate(flakes, runs)
    return {
        "remote": test["remote"], "executor": test["executor"], "stream": test["stream"], "group": test["grp"],
        "test": test["test"], "weeks": told, "runs": runs, "fails": fails, "flakes": flakes,
        "rate": {"share": flaky.share, "low": flaky.low, "high": flaky.high, "text": str(flaky)},
        "last": last["at"] if last else None, "run": last["run_id"] if last else None,
    }  # fmt: skip
