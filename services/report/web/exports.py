"""Results for other programs: the table as CSV, a piece at a time; a run or a whole branch as JUnit XML; a branch
as a KCIDB submission."""

import asyncio
import csv
import io
import json
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace

from aiohttp import web

from services.report.web.contest import contest_rows
from services.report.web.filters import parse_contest
from services.report.web.front import FRONT, Front
from services.report.web.nipa.pieces import PATIENCE
from services.report.web.runs import known_of_run, load_run, shown_case
from services.report.web.status import runs_of_cuts
from services.report.web.store import Row
from shared.errors import Missing
from shared.formats import junit_write, kcidb
from shared.formats.hide import hide_addresses
from shared.model.results import Case, Cause, Result

MOST = 50_000
AT_ONCE = 2000
FACTS = ("kernel_commit", "suite_commit", "config_digest", "toolchain", "image")
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
    async for row, found in _runs(front, cut["id"]):
        where = f"{row['remote']}/{row['executor']}"
        cases += [replace(case, group=f"{where} {case.group}") for case in found]
    return await _junit(cases, name, name)


async def branch_as_kcidb(request: web.Request) -> web.Response:
    """What ended of a branch, as KCIDB takes it; ``?origin=`` names who submits it. Raises Missing."""
    front, name = request.app[FRONT], request.match_info["name"]
    if (cut := await front.read.one("branch", name)) is None:
        raise Missing(f"no branch {name[:200]}")
    origin = kcidb.origin_of(request.query.get("origin", "")[:100] or cut["project"])
    taken = [
        row["message_id"] for row in await front.read.rows("selections", cut["id"], MOST) if row["decision"] == "take"
    ]
    head = kcidb.Checkout(cut["tree"], cut["name"], cut["commit"] or "", cut["public_url"], cut["pushed"], taken)
    runs = [await _built(front, row, cases) async for row, cases in _runs(front, cut["id"]) if row["state"] != "open"]
    document = await asyncio.to_thread(kcidb.document, origin, head, runs)
    return web.Response(
        text=json.dumps(document, ensure_ascii=False), content_type="application/json",
        headers={"Access-Control-Allow-Origin": "*"},
    )  # fmt: skip


async def _built(front: Front, row: Row, cases: list[Case]) -> kcidb.Built:
    known = {
        (key.rpartition("/")[0], key.rpartition("/")[2]): kcidb.Known(one["id"], one["reason"], one["link"])
        for key, one in (await known_of_run(front, row["id"])).items()
    }
    base = front.floor.settings.public_url.rstrip("/")
    return kcidb.Built(
        row["remote"], row["executor"], row["attempt"], cases, row["cause"], hide_addresses(row["reason"]),
        row["started"], row["ended"], f"{base}/run/{row['id']}" if base else "", known,
        {key: str(row[key]) for key in FACTS if row[key]},
    )  # fmt: skip


async def _runs(front: Front, cut: int) -> AsyncIterator[tuple[Row, list[Case]]]:
    """The runs of a branch, each with its cases; of all together at most `MOST` cases."""
    left = MOST
    for one in (await runs_of_cuts(front, [cut], front.now))[cut]:
        if one["id"] is not None and left > 0 and (row := await front.read.one("run", one["id"])):
            cases = await _cases(front, row, left)
            left -= len(cases)
            yield row, cases


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
