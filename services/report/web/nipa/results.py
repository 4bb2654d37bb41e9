"""``/query/results``: runs as NIPA writes them, newest branch first, told in pieces so that no answer is held whole."""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from aiohttp import web

from services.report.web.api import Text
from services.report.web.front import Front, as_json
from services.report.web.nipa.asking import Wanted, read_results
from services.report.web.nipa.pieces import as_list, as_text
from services.report.web.nipa.reading import Reading, Row, reading_of
from services.report.web.nipa.rendered import Rendered, Renderings
from services.report.web.nipa.stable import Name, judged, reported
from shared.formats.nipa_write import run_object
from shared.model.results import Case, Cause, Result
from shared.web.openapi import Asked, Endpoint, Parameter

AT_ONCE = 250
"""Runs read and written at a time, and cases of them; one run may have more."""
CASES = 20_000
Lab = tuple[str, str]
"""Remote and executor."""
BRANCHER = "brancher"
"""The remote that in NIPA says that a branch is there; its pages take branches and their links from it."""


async def results(front: Front, asked: Asked) -> web.StreamResponse:
    wanted = read_results(asked.request.query)
    if wanted is None:
        return as_json({})
    if not wanted.shape:
        return as_json([])
    return await as_list(asked.request, _told(front, wanted))


async def _told(front: Front, wanted: Wanted) -> AsyncIterator[Iterable[Row | bytes]]:
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
    kept = Renderings(front.floor.pool, wanted.shape, front.floor.settings.public_url)
    for start in range(0, len(runs), AT_ONCE):
        async for told in _some(front, runs[start : start + AT_ONCE], wanted, ignored, kept):
            yield told


async def _some(
    front: Front, runs: Sequence[Row], wanted: Wanted, ignored: Mapping[Lab, Collection[Name]], kept: Renderings
) -> AsyncIterator[Iterable[bytes]]:
    """These runs in their order, in portions of some `CASES` cases: all of a portion is held while a slow reader
    takes it. What was made before is not made again.
    """
    read = reading_of(front)
    steady = [row["id"] for row in runs if row["state"] == "done" and (row["remote"], row["executor"]) not in ignored]
    before = await kept.sizes(steady)
    fresh = [row for row in runs if row["id"] not in before]
    sizes = {**before, **await _sizes(read, fresh)}
    for portion in portions([sizes.get(row["id"], 0) for row in runs], CASES):
        some = runs[portion]
        async with front.bulk:
            told = dict(await kept.load([row["id"] for row in some if row["id"] in before]))
            made = await _made(front, [row for row in some if row["id"] not in told], wanted, ignored)
            told |= {one.run: one.text for one in made}
            if lasting := [one for one in made if one.run in steady]:
                await kept.keep(lasting)
        yield [told[row["id"]] for row in some if row["id"] in told]


async def _sizes(read: Reading, runs: Sequence[Row]) -> Mapping[int, int]:
    if not runs:
        return {}
    days = sorted({row["day"] for row in runs})
    return {row["run_id"]: row["n"] for row in await read.rows_planned("sizes", days, [row["id"] for row in runs])}


async def _made(
    front: Front, runs: Sequence[Row], wanted: Wanted, ignored: Mapping[Lab, Collection[Name]]
) -> list[Rendered]:
    """Runs out of their cases; one without any is left out."""
    if not runs:
        return []
    cases = await _cases(reading_of(front), runs, wanted, ignored, front.floor.settings.public_url)
    return [
        Rendered(
            row["id"],
            as_text(_run(row, cases[row["id"]], wanted, _not_steady(row, ignored), front)),
            len(cases[row["id"]]),
        )
        for row in runs
        if row["id"] in cases
    ]


def _not_steady(row: Row, ignored: Mapping[Lab, Collection[Name]]) -> Collection[Name]:
    return ignored.get((row["remote"], row["executor"]), ())


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
