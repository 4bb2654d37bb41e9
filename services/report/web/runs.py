"""One run: its tests, the bad ones first, each with its subtests folded; and its cases by key for programs."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiohttp import web

from services.report.compose import check_path
from services.report.flakes import Attempt, Standing, judge
from services.report.hide import hide_addresses
from services.report.known.store import SQL as KNOWN
from services.report.web.filters import key, number
from services.report.web.front import Data, Front
from services.report.web.status import word_of
from services.report.web.store import Reading, Row
from shared.errors import Missing, Refused
from shared.model.results import Cause, Result

MOST_TESTS = 3000
MOST_SUBTESTS = 10000
MOST_CHECKS = 5000
MOST_FACTS = 40
FACT = 300


async def load_run(front: Front, request: web.Request) -> Row:
    """The run that the path names. Raises Missing."""
    number = key(request.match_info["id"])
    if (row := await front.read.one("run", number)) is None:
        raise Missing(f"no run {number}")
    return row


async def run(front: Front, request: web.Request) -> Data:
    """The run with its tests. What is cut off of a huge run is said, and found under ``/api/v1/runs/N/cases``."""
    row = await load_run(front, request)
    tests = await _shown_cases(front, "run_tests", row, MOST_TESTS)
    subtests = await _shown_cases(front, "run_subtests", row, MOST_SUBTESTS)
    artifacts = await front.read.rows("artifacts", row["id"])
    said = await front.read.rows("run_checks", row["id"], MOST_CHECKS) if row["series_id"] else []
    word = "done" if said and not tests and row["state"] == "done" and not row["cause"] else _word(row, tests, front)
    return {
        "run": public(row),
        "word": word,
        "checks": [one | {"path": check_path(one["context"], one["patch"])} for one in said],
        "counts_for_verdict": front.floor.settings.reports(row["remote"]),
        "tests": fold_attempts(tests, subtests),
        "known": await known_of_run(front, row["id"]),
        "done": len({(t["grp"], t["test"]) for t in tests}),
        "cut_off": len(tests) == MOST_TESTS or len(subtests) == MOST_SUBTESTS,
        "device": facts_of(row["device"]),
        "artifacts": [{"name": a["name"], "size": a["size"]} for a in artifacts],
    }


async def known_of_run(front: Front, run: int) -> dict[str, Row]:
    """The known issues of a run by `group/test`: what failed, and does not count."""
    rows = await Reading(front.floor.pool, KNOWN).rows("hits_of_run", run)
    return {f"{one['grp']}/{one['test']}": {k: one[k] for k in ("id", "reason", "link", "expires")} for one in rows}


def facts_of(device: Any) -> list[tuple[str, str]]:
    """What a lab says of its machine, flat, for reading."""
    if not isinstance(device, Mapping):
        return []
    flat = [
        (f"{key}.{below}" if below else key, text) for key, value in device.items() for below, text in _below(value)
    ]
    return [(name[:FACT], text[:FACT]) for name, text in flat[:MOST_FACTS]]


def _below(value: Any) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [(str(key), _text(one)) for key, one in value.items()]
    return [("", _text(value))]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


async def _shown_cases(front: Front, statement: str, run: Row, most: int) -> list[Row]:
    return [shown_case(row) for row in await front.read.rows_planned(statement, run["day"], run["id"], most)]


def public(row: Row) -> Row:
    """A run without the names of its blobs, which are reached through it only."""
    kept = {k: v for k, v in row.items() if k != "log_pack"}
    return kept | {"has_logs": row["log_pack"] is not None, "reason": hide_addresses(row["reason"])}


def shown_case(row: Row) -> Row:
    """A case without the addresses in what was said of a broken machine; what a test says stays as it is."""
    return row | {"detail": hide_addresses(row["detail"])} if row["cause"] == "infra" else row


def _word(row: Row, tests: Sequence[Row], front: Front) -> str:
    bad = any(t["standing"] is Standing.FAIL for t in fold_attempts(tests, ()))
    return word_of(row | {"plan": "", "tests": len(tests), "failed": bad}, front.now)


def fold_attempts(tests: Iterable[Row], subtests: Iterable[Row]) -> list[Row]:
    """One entry a test: its attempts in order, the `final` one, its last subtests, and what it comes to."""
    below: dict[tuple[str, str, int], list[Row]] = defaultdict(list)
    for sub in subtests:
        below[sub["grp"], sub["test"], sub["attempt"]].append(sub)
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for test in tests:
        found[test["grp"], test["test"]].append(test)
    return [_test(name, sorted(tries, key=lambda t: int(t["attempt"])), below) for name, tries in found.items()]


def _test(name: tuple[str, str], tries: list[Row], below: Mapping[tuple[str, str, int], list[Row]]) -> Row:
    final = tries[-1]
    outcome = judge(_attempt(t) for t in tries)
    subs = below.get((*name, final["attempt"]), [])
    bad = sum(s["result"] in ("fail", "error") for s in subs)
    return {
        "group": name[0], "test": name[1], "attempts": tries, "final": final,
        "standing": outcome.standing, "flaky": outcome.flaky,
        "crashes": sorted({c for t in tries for c in t["crashes"]}), "subtests": subs, "bad_subtests": bad,
    }  # fmt: skip


def _attempt(row: Row) -> Attempt:
    cause = Cause(row["cause"]) if row["cause"] else None
    return Attempt(row["attempt"], Result(row["result"]), cause, bool(row["crashes"]))


async def cases(front: Front, request: web.Request) -> Data:
    """Cases by key; `next` is the `after` of the following page, None at the end."""
    row = await load_run(front, request)
    most = number(request.query, "limit", 500, 2000)
    rows = await front.read.rows_planned("run_cases", row["day"], row["id"], *_after(request.query), most + 1)
    following = _key(rows[most - 1]) if len(rows) > most else None
    return {"run": row["id"], "cases": [shown_case(one) for one in rows[:most]], "next": following}


def _key(row: Mapping[str, Any]) -> str:
    return "\t".join((row["grp"], row["test"], row["subtest"], str(row["attempt"])))


def _after(query: Mapping[str, str]) -> tuple[str, str, str, int]:
    if not (text := query.get("after", "")):
        return "", "", "", -1
    parts = text.split("\t")
    if len(parts) != 4 or not (parts[3].isascii() and parts[3].isdigit()) or len(parts[3]) > 4:
        raise Refused("after: as given by `next` of the page before")
    return parts[0], parts[1], parts[2], int(parts[3])
