"""Machines of labs: what each is, what of it changed, and how steadily each test passes there."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

from aiohttp import web

from services.report.web.front import Data, Front, heavy
from services.report.web.runs import facts_of
from services.report.web.store import Row
from shared.errors import Missing

OLD = timedelta(weeks=2)
"""A lab that has told nothing for so long is shown apart."""
MOST = 3000
CHANGES = 20


@heavy
async def devices(front: Front, request: web.Request) -> Data:
    """One row a lab that has said what its machine is; `old` ones have told nothing for two weeks."""
    rows = await front.read.rows("device_scores")
    return {
        "devices": [
            row | {"facts": facts_of(row["info"]), "old": row["last"] is None or front.now - row["last"] > OLD}
            for row in rows
        ]
    }


@heavy
async def device(front: Front, request: web.Request) -> Data:
    """One lab: its tests with their counters, and what of the machine changed when. Raises Missing."""
    remote, executor = request.match_info["remote"], request.match_info["executor"]
    known = await front.read.rows("device_history", remote, executor, CHANGES + 1)
    tests = await front.read.rows("device_tests", remote, executor, MOST)
    if not known and not tests:
        raise Missing(f"no lab {remote[:100]}/{executor[:100]} has told anything")
    return {
        "remote": remote, "executor": executor, "facts": facts_of(known[0]["info"]) if known else [],
        "tests": tests, "steady": sum(not row["ignored"] for row in tests), "cut_off": len(tests) == MOST,
        "changes": [
            {"at": now["changed"], "changed": differences(before["info"], now["info"])}
            for now, before in pairwise(known)
        ][:CHANGES],
    }  # fmt: skip


def differences(before: Any, after: Any) -> list[Row]:
    """What is another fact than it was, by name; "" where it was not told. Pure."""
    then, now = dict(facts_of(before)), dict(facts_of(after))
    names: Sequence[str] = list(dict.fromkeys([*now, *then]))
    return [_difference(name, then, now) for name in names if then.get(name) != now.get(name)]


def _difference(name: str, then: Mapping[str, str], now: Mapping[str, str]) -> Row:
    return {"name": name, "before": then.get(name, ""), "after": now.get(name, "")}
