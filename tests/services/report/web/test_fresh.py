"""One answer for all who ask at once, and a new one as soon as anything has happened."""

import asyncio
from typing import Any

import pytest

from services.report.web.fresh import GOOD_FOR, KEPT_FOR, Fresh, Heavy
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


async def test_a_heavy_answer_is_made_once_for_all_who_ask_within_some_seconds() -> None:
    now, made = [0.0], []
    heavy = Heavy(clock=lambda: now[0])

    async def make() -> dict[str, int]:
        made.append(1)
        await asyncio.sleep(0)
        return {"n": len(made)}

    assert await asyncio.gather(*(heavy.get("a", make) for _ in range(5))) == [{"n": 1}] * 5
    assert await heavy.get("b", make) == {"n": 2}
    now[0] += KEPT_FOR
    assert await heavy.get("a", make) == {"n": 3}


async def test_a_crowd_that_asks_for_everything_waits_for_itself() -> None:
    heavy, running, most = Heavy(at_once=2), [0], [0]

    async def make() -> dict[str, int]:
        running[0] += 1
        most[0] = max(most[0], running[0])
        await asyncio.sleep(0.01)
        running[0] -= 1
        return {}

    await asyncio.gather(*(heavy.get(str(n), make) for n in range(30)))
    assert most[0] == 2


async def test_what_failed_is_not_kept() -> None:
    heavy = Heavy()

    async def fail() -> dict[str, int]:
        raise ValueError

    async def make() -> dict[str, int]:
        return {"n": 1}

    with pytest.raises(ValueError):
        await heavy.get("a", fail)
    assert await heavy.get("a", make) == {"n": 1}
