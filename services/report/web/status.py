"""The status page: what is going on, what is broken, what is paused and why.

Refuses to know addresses of machines: executors' hosts come by label, and what drivers, git and clients say in trouble
is cleaned of anything that looks like an address.
"""

import asyncio
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from services.report.hide import hide_addresses, host_label
from services.report.web.front import Data, Front
from services.report.web.store import Row
from shared.db.outbox import SQL as FLOOR
from shared.model.ids import OWN_REMOTE
from shared.model.slots import next_slot
from shared.settings import Settings

NEWEST = 3
"""Branches shown of each stream; the rest is one link away."""
ALIVE = timedelta(seconds=20)
MOST_QUEUED = 60
"""Series shown of the queue of checks."""
ISOLATION = "checks:isolation"
"""What the health of the cage is called."""


async def status(front: Front, request: web.Request) -> Data:
    """Everything of the front page."""
    return await front.fresh.get(lambda: _status(front))


async def _status(front: Front) -> Data:
    settings, read, now = front.floor.settings, front.read, front.now
    streams = await _streams(front, now)
    healths = await read.floor(FLOOR, "healths")
    return {
        "now": now.replace(microsecond=0, second=0),
        "pauses": await read.floor(FLOOR, "pauses"),
        "disk": await asyncio.to_thread(disk, settings.data, settings.disk.free),
        "streams": streams,
        "runs": await _open_runs(front, now),
        "checks": await _checks(front),
        "conflicts": await read.rows("conflicts"),
        "health": [_health(row) for row in healths],
        "sources": await read.rows("sources"),
        "trees": await read.rows("trees"),
        "hosts": _hosts(await read.rows("hosts")),
        "queues": await read.floor(FLOOR, "queue_lag"),
        "work": await read.floor(FLOOR, "work_summary"),
        "processes": [_process(row, now) for row in await read.floor(FLOOR, "processes")],
        "remotes": [{"name": remote.name, "report": remote.report} for remote in settings.remotes],
        "posting": {name: project.post for name, project in settings.projects.items()},
    }


async def streams(front: Front, request: web.Request) -> Data:
    """The streams alone."""
    return {"streams": await _streams(front, front.now)}


async def _streams(front: Front, now: datetime) -> list[Row]:
    wanted = _configured(front.floor.settings)
    names = [(p, s) for p, s, _ in wanted]
    rows = await front.read.rows("stream_branches", [p for p, _ in names], [s for _, s in names], NEWEST)
    runs = await runs_of_cuts(front, [row["id"] for row in rows], now)
    branches: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        hidden = {"runs": runs[row["id"]], "error": hide_addresses(row["error"])}
        branches[row["project"], row["stream"]].append(row | hidden)
    said = {(row["project"], row["name"]): row for row in await front.read.rows("stream_states")}
    return [
        {"project": project, "name": name, "every": every, "branches": branches[project, name]}
        | _upcoming(said.get((project, name)), now, every)
        for project, name, every in wanted
    ]


def _upcoming(said: Row | None, now: datetime, every: timedelta) -> Row:
    """When the next branch is due, and what a stream waits for where it is not only the clock."""
    slot = said["next_slot"] if said else None
    return {"next": max(slot or now, next_slot(now, every)), "waiting": hide_addresses(said["waiting"]) if said else ""}


def _configured(settings: Settings) -> list[tuple[str, str, timedelta]]:
    return [(p, s, stream.every) for p, project in settings.projects.items() for s, stream in project.streams.items()]


async def runs_of_cuts(front: Front, cuts: Sequence[int], now: datetime) -> Mapping[int, list[Row]]:
    """By cut, what each executor made of it. `word` is the state in one word; `counts` says whether it counts."""
    found: dict[int, list[Row]] = defaultdict(list)
    for row in await front.read.rows("cut_runs", list(cuts)):
        more = {"word": word_of(row, now), "counts": front.floor.settings.reports(row["remote"])}
        hidden = {name: hide_addresses(row[name]) for name in ("reason", "plan_reason")}
        found[row["cut_id"]].append(row | more | hidden)
    return found


def word_of(run: Mapping[str, Any], now: datetime) -> str:
    """What became of a run: planned, skipped, running, late, abandoned, infra, fail, pass, no tests."""
    if run["id"] is None:
        late = run["plan"] == "planned" and run["deadline"] is not None and run["deadline"] < now
        return "late" if late else str(run["plan"])
    if run["state"] == "open":
        end = run["expected_end"]
        return "late" if end is not None and end < now else "running"
    if run["state"] == "abandoned" or run["cause"] == "infra":
        return "infra" if run["cause"] == "infra" else "abandoned"
    if run["tests"] is None:
        return "done"
    if run["failed"]:
        return "fail"
    return "pass" if run["tests"] else "infra"


async def _open_runs(front: Front, now: datetime) -> list[Row]:
    rows = await front.read.rows("open_runs", 100, OWN_REMOTE)
    days, runs = sorted({row.pop("day") for row in rows}), [row["id"] for row in rows]
    progress = {p["run_id"]: p for p in await front.read.rows_planned("progress", days, runs)} if rows else {}
    begun: Row = {"done": 0, "failed": 0}
    return [_open_run(row | {k: progress.get(row["id"], begun)[k] for k in begun}, now) for row in rows]


def _open_run(row: Row, now: datetime) -> Row:
    end = row["expected_end"]
    return row | {
        "late": end is not None and end < now,
        "share": min(100, 100 * row["done"] // row["planned"]) if row["planned"] else None,
    }


async def _checks(front: Front) -> Row:
    """The queue of our own checks: what runs, what waits and until when about, and whether patches' code is caged."""
    queue = await front.read.rows("check_queue", MOST_QUEUED)
    return {
        "on": any(project.checking for project in front.floor.settings.projects.values()),
        "sizes": await front.read.rows("check_queue_sizes"),
        "queue": [row | {"why": hide_addresses(row["why"])} for row in queue],
    }


def _hosts(rows: Sequence[Row]) -> list[Row]:
    return [
        row | {"label": host_label(row["label"], number), "reason": hide_addresses(row["reason"])}
        for number, row in enumerate(rows, 1)
    ]


def _health(row: Row) -> Row:
    caged = row["name"] != ISOLATION or row["ok"]
    return row | {"text": hide_addresses(row["text"]), "name": hide_addresses(row["name"]), "bare": not caged}


def _process(row: Row, now: datetime) -> Row:
    """A process by its rooms; where it runs is nobody's business."""
    keep = {k: row[k] for k in ("rooms", "started", "resident")}
    return keep | {"alive": now - row["beat"] < ALIVE}


def disk(folder: Path, mark: int) -> Row:
    """Free space under `folder` in bytes, and whether it is below the mark at which no new run starts."""
    there: Iterable[Path] = (folder, *folder.parents)
    usage = shutil.disk_usage(next(path for path in there if path.exists()))
    low = usage.free < mark
    # In steps of 100 MB, as a page that differs by every log line is never "not modified".
    return {"free": usage.free if low else usage.free // 10**8 * 10**8, "mark": mark, "low": low}
