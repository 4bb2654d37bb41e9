"""One answer for all who ask at once, and a new one as soon as anything has happened."""

import asyncio
from typing import Any

from services.report.web.fresh import GOOD_FOR, Fresh
from shared.db.bells import Bells


async def test_an_answer_is_shared_until_something_rings() -> None:
    bells, made, now = Bells(), 0, 0.0
    fresh = Fresh(bells, lambda: now)

    async def make() -> dict[str, Any]:
        nonlocal made
        made += 1
        await asyncio.sleep(0)
        return {"made": made}

    answers = await asyncio.gather(*(fresh.get(make) for _ in range(10)))
    assert [a["made"] for a in answers] == [1] * 10
    bells.ring("netci_pauses")
    assert (await fresh.get(make))["made"] == 2
    now = GOOD_FOR
    assert (await fresh.get(make))["made"] == 3


async def test_what_rings_meanwhile_makes_the_answer_old() -> None:
    bells = Bells()
    fresh = Fresh(bells, lambda: 0.0)

    async def make() -> dict[str, Any]:
        bells.ring("netci_events")
        return {"count": bells.count("netci_events")}

    assert (await fresh.get(make))["count"] == 1
    assert (await fresh.get(make))["count"] == 2
