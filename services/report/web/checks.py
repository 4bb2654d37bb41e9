"""One check of one patch, or of a series: what it said, what it found, how to see the same at home."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from aiohttp import web

from services.report.compose import check_path
from services.report.hide import hide_addresses
from services.report.web.front import Data, Front
from services.report.web.grid import of_said, of_task
from services.report.web.series import find, may_recheck
from services.report.web.store import Row
from shared.errors import Missing, NetciError
from shared.formats.check_report import CheckReport, artifact, load
from shared.model.ids import OWN_REMOTE

MOST_DOCUMENT = 16 << 20
"""Bytes of a document that are read: what a check found is bounded where it is written."""


async def check(front: Front, request: web.Request) -> Data:
    """The newest of what is known of a check. Raises Missing where nothing is.

    Of a patch of which nothing was said, what was said of its series is shown.
    """
    series_id = await find(front, request.match_info["key"])
    if (series := await front.read.one("series", series_id)) is None:
        raise Missing(f"no series {series_id}")
    context = request.match_info["context"]
    patch = _patch(request.match_info.get("patch", "0"))
    cell = await _cell(front, series_id, context, patch)
    report, run = await _report(front, cell)
    patches = await front.read.rows("patches", series_id)
    return {
        "series": {name: series[name] for name in ("id", "title", "version", "message_id", "state", "revision")},
        "context": context,
        "patch": cell["patch"],
        "patch_title": next((p["title"] for p in patches if p["number"] == cell["patch"]), ""),
        "cell": cell | {"text": hide_addresses(cell["text"]) if cell["state"] == "infra" else cell["text"]},
        "report": report,
        "files": await _files(front, run, cell) if run else [],
        "run": run,
        "recheck": cell["ours"] and may_recheck(front, series),
        "along": await _along(front, series_id, cell),
    }


def _patch(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 5):
        raise Missing("no series has such a patch")
    return int(text)


async def _cell(front: Front, series: int, context: str, patch: int) -> Row:
    """What stands. Raises Missing."""
    for place in dict.fromkeys((patch, 0)):
        task = await front.read.one("check_task", series, context, place)
        said = await front.read.one("check_said", series, context, place)
        verdict = await front.read.one("check_verdict", series, context, place)
        if task is None and said is None:
            continue
        done = of_task(task) if task else None
        cell = of_said(said, done) if said else done
        assert cell is not None
        revision = (said or task or {})["revision"]
        by_hand = verdict is not None and verdict["by_hand"] and verdict["revision"] == revision
        own = {"said": cell["state"], "says": cell["text"]} if by_hand else {}
        word = {"state": verdict["state"], "text": verdict["text"], "by_hand": True} if verdict and by_hand else {}
        why = done["text"] if done and said and done["state"] == "infra" else ""
        return cell | word | own | {"revision": revision, "trouble": hide_addresses(why)}
    raise Missing(f"nothing is known of {context[:100]} of that series")


async def _report(front: Front, cell: Row) -> tuple[Row | None, Row | None]:
    """The document of an answer of ours, if it is kept, with the run that it is of."""
    if cell["run"] is None or (run := await front.read.one("run", cell["run"])) is None:
        return None, None
    known = {"id": run["id"], "remote": run["remote"], "executor": run["executor"], "attempt": run["attempt"]}
    if run["remote"] != OWN_REMOTE:
        return None, known
    kept = await front.read.one("artifact", run["id"], artifact(cell["patch"], cell["context"]))
    if kept is None or kept["size"] > MOST_DOCUMENT:
        return None, known
    try:
        report = await asyncio.to_thread(load, await front.floor.blobs.get(kept["sha256"]))
    except (NetciError, ValueError):
        return None, known
    return shown(report), known


def shown(report: CheckReport) -> Row:
    """A document as the page has it: what is new apart from what was there before. Pure."""
    facts = asdict(report)
    findings: Sequence[dict[str, Any]] = facts.pop("findings")
    return facts | {
        "new": [one for one in findings if one["new"]],
        "old": [one for one in findings if not one["new"]],
        "counts": dict(report.counts),
        "repeat_lines": report.repeat.splitlines(),
    }


async def _files(front: Front, run: Row, cell: Row) -> list[Row]:
    """What is kept besides the document: the log first, then what the check left."""
    place = artifact(cell["patch"], cell["context"], "")
    rows = await front.read.rows("artifacts_below", run["id"], place, 200)
    found = [{"name": row["name"], "short": row["name"].removeprefix(place), "size": row["size"]} for row in rows]
    return sorted((one for one in found if one["short"] != "report.json"), key=lambda one: one["short"] != "log")


async def _along(front: Front, series: int, cell: Row) -> list[Row]:
    """The same check of the series' other patches, to go from one to the next."""
    said = {
        row["patch"]: row for row in await front.read.rows("check_along", series, cell["context"], cell["revision"])
    }
    return [{"patch": n, "state": row["state"], "path": check_path(cell["context"], n)} for n, row in said.items()]
