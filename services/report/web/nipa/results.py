"""``/query/results``: runs as NIPA writes them, newest branch first, told in pieces so that no answer is held whole."""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

from aiohttp import web

from services.report.web.api import Text
from services.report.web.front import Front, as_json
from services.report.web.nipa.asking import Wanted, read_results
from services.report.web.nipa.pieces import as_list
from services.report.web.nipa.reading import Reading, Row, reading_of
from services.report.web.nipa.stable import Name, judged, reported
from shared.formats.nipa_write import run_object
from shared.model.results import Case, Cause, Result
from shared.web.openapi import Asked, Endpoint, Parameter

AT_ONCE = 25
"""Runs read and written at a time, and cases of them; one run may have more."""
CASES = 20_000
BRANCHER = "brancher"
"""The remote that in NIPA says that a branch is there; its pages take branches and their links from it."""


async def results(front: Front, asked: Asked) -> web.StreamResponse:
    wanted = read_results(asked.request.query)
    if wanted is None:
        return as_json({})
    if not wanted.shape:
        return as_json([])
    return await as_list(asked.request, _told(front, wanted))


async def _told(front: Front, wanted: Wanted) -> AsyncIterator[Iterable[Row]]:
    read = reading_of(front)
    since = None if wanted.name else await read.value("oldest_slot", wanted.branches, wanted.prefix)
    if since is None and not wanted.name:
        return
    which = (wanted.name or None, since, wanted.prefix, wanted.remote or None)
    yield await _branches(read, which, wanted)
    if wanted.pending:
        yield [_pending(row) for row in await read.rows("pending", *which)]
    runs = await read.rows("runs", *which, wanted.most)
    ignored = await _ignored(read, runs) if wanted.shape == "normal" else {}
    async for some in _portions(read, runs):
        async with front.bulk:
            cases = await _cases(read, some, wanted, ignored, front.floor.settings.public_url)
            told = [
                _run(row, cases[row["id"]], wanted, ignored.get((row["remote"], row["executor"]), ()), front)
                for row in some
                if row["id"] in cases
            ]
        yield told


async def _portions(read: Reading, runs: Sequence[Row]) -> AsyncIterator[Sequence[Row]]:
    """The runs in portions of some `CASES` cases: all of a portion is held while a slow reader takes it."""
    for start in range(0, len(runs), AT_ONCE):
        some = runs[start : start + AT_ONCE]
        days = sorted({row["day"] for row in some})
        rows = await read.rows_planned("sizes", days, [row["id"] for row in some])
        sizes = {row["run_id"]: row["n"] for row in rows}
        for portion in portions([sizes.get(row["id"], 0) for row in some], CASES):
            yield some[portion]


def portions(sizes: Sequence[int], most: int) -> Iterator[slice]:
    """Slices of at most `most` together, or of one that is larger alone. Pure."""
    start = held = 0
    for index, size in enumerate(sizes):
        if held + size > most and index > start:
            yield slice(start, index)
            start, held = index, 0
        held += size
    yield slice(start, len(sizes))


async def _branches(read: Reading, which: Sequence[Any], wanted: Wanted) -> list[Row]:
    if wanted.remote not in ("", BRANCHER):
        return []
    return [_branch(row) for row in await read.rows("branches", *which[:3], wanted.most)]


def _branch(row: Row) -> Row:
    """What NIPA's brancher says of a branch; `link` is where its commits are."""
    at = str(row["at"])
    test = {"test": "branch-created", "group": "---", "result": "pass", "link": commits_of(row)}
    return {"executor": BRANCHER, "branch": row["name"], "start": at, "end": at, "remote": BRANCHER, "results": [test]}


def commits_of(row: Row) -> str:
    """The page of a branch's commits at its forge; the repository itself where that is no web address."""
    url = str(row["public_url"]).removesuffix(".git")
    return f"{url}/commits/{quote(row['name'])}" if url.startswith(("http://", "https://")) else str(row["public_url"])


def _pending(row: Row) -> Row:
    return {
        "branch": row["branch"], "remote": row["remote"], "executor": row["executor"], "start": str(row["start"]),
        "end": None, "results": None,
    }  # fmt: skip


async def _ignored(read: Reading, runs: Sequence[Row]) -> dict[tuple[str, str], set[Name]]:
    """By lab, what is not steady yet."""
    labs = sorted({(row["remote"], row["executor"]) for row in runs})
    found: dict[tuple[str, str], set[Name]] = defaultdict(set)
    for row in await read.rows("unsteady", [lab[0] for lab in labs], [lab[1] for lab in labs]):
        found[row["remote"], row["executor"]].add((row["grp"], row["test"], row["subtest"]))
    return found


async def _cases(
    read: Reading, runs: Sequence[Row], wanted: Wanted, ignored: Collection[tuple[str, str]], public_url: str
) -> dict[int, list[Case]]:
    """By run. Subtests are read only where they are told, or decide what is told."""
    days = sorted({row["day"] for row in runs})
    deep = [r["id"] for r in runs if wanted.shape == "l2" or (r["remote"], r["executor"]) in ignored]
    found: dict[int, list[Case]] = defaultdict(list)
    for row in await read.rows_planned("cases", days, [r["id"] for r in runs], deep):
        found[row["run_id"]].append(_case(row, public_url))
    return found


def _case(row: Row, public_url: str) -> Case:
    link = row["link"]
    if row["log"] and not link:
        link = f"{public_url}/run/{row['run_id']}/log/{quote(row['log'], safe='')}"
    return Case(
        row["grp"], row["test"], Result(row["result"]), row["subtest"], Cause(row["cause"]) if row["cause"] else None,
        row["attempt"], row["seconds"], crashes=tuple(row["crashes"]), link=link,
    )  # fmt: skip


def _run(row: Row, cases: list[Case], wanted: Wanted, ignored: Collection[Name], front: Front) -> Row:
    link = row["link"] or f"{front.floor.settings.public_url}/run/{row['id']}"
    run = run_object(
        judged(cases), branch=row["branch"], executor=row["executor"], started=row["started"], ended=row["ended"],
        link=link, remote=row["remote"], shape="l2" if wanted.shape == "l2" else "full",
    )  # fmt: skip
    if wanted.shape == "normal":
        run["results"] = [_plain(test) for test in reported(run["results"], ignored)]
    return run


def _plain(test: Row) -> Row:
    return {key: value for key, value in test.items() if key != "results"}


_PARAMETERS = (
    Parameter("branches", Text, "how many of the newest branches (10)"),
    Parameter("branch-name", Text, "this branch instead; at most 100 runs"),
    Parameter("br-pfx", Text, "only branches of this stream"),
    Parameter("remote", Text, "only runs of this remote"),
    Parameter("format", Text, "normal: steady tests without subtests; l2: subtests as tests, steady or not"),
    Parameter("pending", Text, "1: also runs that are not done, with null for their results; normal only"),
)
ENDPOINTS = (
    Endpoint(
        "GET", "/query/results", "Runs as NIPA tells them", results, tag="NIPA", query=_PARAMETERS, answer=Any,
        patient=True,
    ),
)  # fmt: skip
