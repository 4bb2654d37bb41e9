"""Results for other programs: the table as CSV, a piece at a time; a run or a whole branch as JUnit XML."""

import asyncio
import csv
import io
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace

from aiohttp import web

from services.report.web.contest import contest_rows
from services.report.web.filters import parse_contest
from services.report.web.front import FRONT, Front
from services.report.web.nipa.pieces import PATIENCE
from services.report.web.runs import load_run, shown_case
from services.report.web.status import runs_of_cuts
from services.report.web.store import Row
from shared.errors import Missing
from shared.formats import junit_write
from shared.model.results import Case, Cause, Result

MOST = 50_000
AT_ONCE = 2000
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
COLUMNS = (
    "date", "branch", "stream", "remote", "executor", "group", "test", "subtest", "result", "retry", "cause", "time",
    "flaky", "crashes", "detail", "run", "log",
)  # fmt: skip


async def as_csv(request: web.Request) -> web.StreamResponse:
    """The rows that the filters mean, newest first, at most `MOST` of them; ``X-Cut-Off`` says how many that is."""
    front = request.app[FRONT]
    pieces = _pieces(front, request)
    # Before anything is sent: what is asked wrongly becomes an ordinary answer.
    first = await anext(pieces, ())
    response = web.StreamResponse(
        headers={
            "Content-Disposition": 'attachment; filename="results.csv"', "X-Cut-Off": str(MOST),
            "Access-Control-Allow-Origin": "*",
        }
    )  # fmt: skip
    response.content_type, response.charset = "text/csv", "utf-8"
    await response.prepare(request)
    if request.method != "HEAD":
        await _send(response, [COLUMNS, *map(_line, first)])
        async for rows in pieces:
            await _send(response, map(_line, rows))
    await response.write_eof()
    return response


async def _pieces(front: Front, request: web.Request) -> AsyncIterator[Iterable[Row]]:
    wanted, told = parse_contest(request.query), 0
    while told < MOST:
        async with front.bulk:
            rows, place = await contest_rows(front, wanted)
        yield rows[: MOST - told]
        told += len(rows)
        if place is None:
            return
        wanted = wanted.following(place)


def _line(row: Row) -> list[str]:
    return [cell(row[name]) for name in COLUMNS]


def cell(value: object) -> str:
    """A value as a cell. One that a spreadsheet would take for a formula is told as text (CWE-1236)."""
    match value:
        case None:
            return ""
        case list() | tuple():
            text = "; ".join(map(str, value))
        case bool():
            text = "yes" if value else ""
        case _:
            text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    return (
        f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) and not isinstance(value, int | float) else text
    )


async def _send(response: web.StreamResponse, lines: Iterable[Iterable[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(lines)
    async with asyncio.timeout(PATIENCE):
        await response.write(text.getvalue().encode())


async def run_as_junit(request: web.Request) -> web.Response:
    """One run as JUnit XML: a suite a group. Raises Missing."""
    front = request.app[FRONT]
    row = await load_run(front, request)
    cases = await _cases(front, row, MOST)
    return await _junit(cases, f"run-{row['id']}", f"{row['remote']}/{row['executor']}")


async def branch_as_junit(request: web.Request) -> web.Response:
    """All runs of a branch that are known by now as one document: a suite an executor and group. Raises Missing."""
    front, name = request.app[FRONT], request.match_info["name"]
    if (cut := await front.read.one("branch", name)) is None:
        raise Missing(f"no branch {name[:200]}")
    cases: list[Case] = []
    for one in (await runs_of_cuts(front, [cut["id"]], front.now))[cut["id"]]:
        if one["id"] is not None and len(cases) < MOST and (row := await front.read.one("run", one["id"])):
            where = f"{row['remote']}/{row['executor']}"
            found = await _cases(front, row, MOST - len(cases))
            cases += [replace(case, group=f"{where} {case.group}") for case in found]
    return await _junit(cases, name, name)


async def _cases(front: Front, run: Row, most: int) -> list[Case]:
    """The cases of a run by key, at most `most`."""
    found: list[Case] = []
    after: tuple[str, str, str, int] = ("", "", "", -1)
    while len(found) < most:
        async with front.bulk:
            rows = await front.read.rows_planned("run_cases", run["day"], run["id"], *after, AT_ONCE)
        found += [_case(shown_case(row)) for row in rows]
        if len(rows) < AT_ONCE:
            break
        last = rows[-1]
        after = (last["grp"], last["test"], last["subtest"], last["attempt"])
    return found[:most]


def _case(row: Row) -> Case:
    return Case(
        group=row["grp"], test=row["test"], result=Result(row["result"]), subtest=row["subtest"],
        cause=Cause(row["cause"]) if row["cause"] else None, attempt=row["attempt"], seconds=row["seconds"],
        detail=row["detail"], log=row["log"], crashes=tuple(row["crashes"]), link=row["link"],
    )  # fmt: skip


async def _junit(cases: list[Case], file: str, name: str) -> web.Response:
    text = await asyncio.to_thread(junit_write.render, cases, name=name)
    headers = {
        "Content-Disposition": f'attachment; filename="{_UNSAFE.sub("_", file)}.xml"',
        "Access-Control-Allow-Origin": "*",
    } | ({"X-Cut-Off": str(MOST)} if len(cases) == MOST else {})
    return web.Response(text=text, content_type="application/xml", charset="utf-8", headers=headers)
