"""The files that NIPA's pages read, made when they are asked for."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from aiohttp import web

from services.report.hide import hide_addresses
from services.report.web.front import Front, as_json
from services.report.web.nipa.reading import Row, reading_of
from shared.db.outbox import SQL as FLOOR
from shared.web.openapi import Asked, Endpoint

NEWEST = 120
CHECKS_KEPT = timedelta(days=60)
MOST_CHECKS = 20_000
ALIVE = timedelta(seconds=20)

_PULLS = {"merged": "okay", "already": "okay", "resolved": "resolved", "conflict": "fail"}
_CODES = {"pass": 0, "pending": 1, "skip": 2, "warn": 3, "fail": 4}
_OUTCOMES = {"waiting": "pending", "success": "pass", "warning": "warn", "red": "fail", "infra": "pending"}


async def branches_info(front: Front, asked: Asked) -> web.Response:
    """What is on each of the newest branches."""
    rows = await reading_of(front).rows("branches_info", NEWEST)
    before: dict[str, Row] = {}
    told: dict[str, Row] = {}
    for row in reversed(rows):
        told[row["name"]] = _branch_info(row, before.get(row["stream"]))
        before[row["stream"]] = row
    return as_json(told)


def _branch_info(row: Row, before: Row | None) -> Row:
    content = ("base", "merges", "chosen")
    return {
        "base-pulls": {m["url"]: _PULLS.get(m["state"], m["state"]) for m in row["merges"]},
        "series": row["series"],
        "prs": row["prs"],
        "extras": [hide_addresses(str(extra.get("name", ""))) for extra in row["extras"]],
        "new-changes": before is None or any(row[key] != before[key] for key in content),
    }


async def branch_results(front: Front, asked: Asked) -> web.Response:
    """What came of each of the newest branches, in one word."""
    rows = await reading_of(front).rows("branch_results", NEWEST)
    return as_json({row["branch"]: _outcome(row) for row in reversed(rows)})


def _outcome(row: Row) -> Row:
    word = _OUTCOMES[row["state"]]
    if word == "warn" and row["skipped"] and not row["warned"]:
        word = "skip"
    pending = {"pending": len(row["missing"])} if row["missing"] else {}
    return {"result": word, "code": _CODES[word], "cnt": row["tests"]} | pending


async def filters(front: Front, asked: Asked) -> web.Response:
    """Which remotes count for verdicts. Nothing is ignored by a list yet: known issues come with time."""
    reporting = [remote.name for remote in front.floor.settings.remotes if remote.report]
    return as_json({"remotes": reporting, "ignore-results": [], "ignore-crashes": [], "crash-prefix-skip": []})


async def issues(front: Front, asked: Asked) -> web.Response:
    """Known issues: none are kept yet."""
    return as_json([])


async def checks(front: Front, asked: Asked) -> web.Response:
    """Checks on Patchwork, one row a patch and context."""
    rows = await reading_of(front).rows("checks", front.now - CHECKS_KEPT, MOST_CHECKS)
    return as_json([_check(row) for row in rows])


def _check(row: Row) -> Row:
    return {
        "id": row["patch"], "date": _naive(row["date"]), "author": row["author"], "author_id": 0,
        "state": row["state"], "delegate": row["delegate"], "check": row["context"], "result": row["result"],
        "description": hide_addresses(row["text"]), "check-date": _naive(row["at"]),
    }  # fmt: skip


def _naive(time: Any) -> str | None:
    """As Patchwork writes times: UTC, without saying so."""
    return None if time is None else time.strftime("%Y-%m-%dT%H:%M:%S.%f")


async def status(front: Front, asked: Asked) -> web.Response:
    """Our processes as NIPA's services. There are no runners to tell of: what is checked is told by events."""
    now = front.now
    rows = await front.read.floor(FLOOR, "processes")
    services = {}
    for number, row in enumerate(rows, 1):
        name = f"netci-{'-'.join(row['rooms'])}"
        services[name if name not in services else f"{name}-{number}"] = _service(row, now - row["beat"] < ALIVE)
    return as_json(
        {"services": services, "remote": {}, "runners": {}, "log-files": {"data": {}}, "db": {"data": []},
         "disk-use": 0, "time-mono": int(now.timestamp() * 10**6), "date": now.isoformat()}
    )  # fmt: skip


def _service(row: Mapping[str, Any], alive: bool) -> Row:
    state, sub = ("active", "running") if alive else ("failed", "failed")
    return {
        "ActiveState": state, "SubState": sub, "Result": "success" if alive else "timeout", "TriggeredBy": "",
        "CPUUsageNSec": 0, "MemoryCurrent": row["resident"], "TasksCurrent": 1,
    }  # fmt: skip


_FILES = (
    ("branches-info", "What is on each of the newest branches", branches_info),
    ("branch-results", "What came of each of the newest branches", branch_results),
    ("filters", "Which remotes count", filters),
    ("issues", "Known issues", issues),
    ("checks", "Checks on Patchwork", checks),
)
_LISTED = (
    *(Endpoint("GET", f"/{name}.json", words, act, tag="NIPA", answer=Any) for name, words, act in _FILES),
    # Its own name is that of our own status.
    Endpoint("GET", "/static/nipa/status.json", "Our processes as NIPA's services", status, tag="NIPA", answer=Any),
)
_ELSEWHERE = ("/static/nipa", "/contest")
"""Where NIPA's pages look for the same files."""
ENDPOINTS = (
    *_LISTED,
    *(replace(one, path=folder + one.path, hidden=True) for one in _LISTED[:-1] for folder in _ELSEWHERE),
    replace(_LISTED[-1], path="/static/nipa/systemd.json", hidden=True),
)
