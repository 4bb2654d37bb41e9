"""Whose series wait for what: those of one author, or of one delegate, each in a sentence, the newest first.

An address is all that it takes: everything here is public, and nothing is told of the address but its series.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from services.report.hide import hide_addresses
from services.report.web.front import Data, Front
from services.report.web.series import sentence
from services.report.web.store import Row
from shared.errors import Refused

MOST = 100
STATES = ("active", "all")
LATELY = timedelta(days=30)
"""How long series are shown that nobody waits for any more."""


async def mine(front: Front, request: web.Request) -> Data:
    """`series` of the author `who`, or of `delegate`. `new`: something was said of it since the time `since`."""
    who, delegate = (request.query.get(name, "").strip()[:300] for name in ("who", "delegate"))
    since, state = parse_since(request.query.get("since", "")), request.query.get("state") or "active"
    if state not in STATES:
        raise Refused(f"state: active or all, not {state[:40]!r}")
    asked = bool(who or delegate)
    rows = await of_person(front, who, delegate, state) if asked else []
    return {
        "who": who,
        "delegate": delegate,
        "state": state,
        "since": since,
        "now": front.now.replace(microsecond=0),
        "delegates": [] if asked else await front.read.rows("delegates"),
        "series": [row | {"new": since is not None and row["told"] > since} for row in rows],
    }


def parse_since(text: str) -> datetime | None:
    """A time as ISO 8601 with its zone. Raises Refused."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Refused(f"since: a time as 2026-11-23T09:00:00Z is needed, not {text[:40]!r}")
    return at


async def of_person(front: Front, who: str, delegate: str, state: str = "active") -> list[Row]:
    """Their series, each with the sentence that says where it stands, and what it waits for."""
    read = front.read
    found = await read.rows(
        "series_of_person", sorted(front.floor.settings.projects), who, delegate, state == "active",
        front.now - LATELY, MOST,
    )  # fmt: skip
    ids = [row["id"] for row in found]
    applied = _by_series(await read.rows("applied_of", ids))
    verdicts = _by_series(await read.rows("verdicts_of", ids))
    queued = _by_series(await read.rows("queue_of", ids))
    return [_row(row, applied[row["id"]], verdicts[row["id"]], queued[row["id"]]) for row in found]


def _by_series(rows: Iterable[Row]) -> Mapping[int, list[Row]]:
    found: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["series_id"]].append(row)
    return found


def _row(series: Row, applied: list[Row], verdicts: list[Row], queued: list[Row]) -> Row:
    worst = max((v["state"] for v in verdicts), key=_WORST.index, default="")
    keep = ("id", "project", "title", "version", "total", "author_name", "state", "arrived", "message_id")
    return {name: series[name] for name in keep} | {
        "sentence": hide_addresses(sentence(series, applied, verdicts)),
        "verdict": worst if series["state"] == "active" else "",
        "waits": [_wait(one) for one in queued],
        "told": max([series["changed"] or series["arrived"], *(v["at"] for v in verdicts)]),
    }


_WORST = ["success", "pending", "warning", "fail"]
_LANES = {"mail": "checks of its mails", "tree": "checks of its tree", "build": "builds"}


def _wait(queued: Mapping[str, Any]) -> Row:
    """What a series waits for in the queue of checks; `until` is about."""
    words = _LANES.get(queued["lane"], queued["lane"])
    place = "running" if queued["state"] == "running" else f"place {queued['position']} in the queue"
    return {"what": words, "place": place, "until": queued["expected_end"]}
