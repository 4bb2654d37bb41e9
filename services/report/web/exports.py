"""The result table as CSV, a piece at a time: what is shown, and all that follows it."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterable

from aiohttp import web

from services.report.web.contest import contest_rows
from services.report.web.filters import parse_contest
from services.report.web.front import FRONT, Front
from services.report.web.nipa.pieces import PATIENCE
from services.report.web.store import Row

MOST = 50_000
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
