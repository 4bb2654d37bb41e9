"""Patchwork in trouble for a while: nothing is lost, nothing is posted twice, and everybody can see it.

The whole netci in one process on the demo's stage, as a small install runs it. Each trouble lasts until it is seen on
the status page and in metrics, and a while longer.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from shared.errors import Transient
from shared.practice.demo.judge import Judge
from shared.practice.demo.stage import Stage, staged
from shared.practice.world_series import PracticeSeries, Role
from tests.support.rabbitmq import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

PATIENCE = 60.0
LONGER = 1.0
"""Seconds that a trouble goes on after it was seen."""

READING: Mapping[str, dict[str, Any]] = {
    "502": {"kind": "status", "status": 502},
    "html": {"kind": "html"},
    "truncated": {"kind": "truncated"},
    "slow": {"kind": "slow", "delay": 4.0},
}
"""What reading meets; the client waits three seconds."""

POSTING: Mapping[str, dict[str, Any]] = {
    "502": {"kind": "status", "status": 502},
    "html": {"kind": "html"},
    "stored, then cut off": {"kind": "drop-after", "method": "POST"},
    "stored, then half an answer": {"kind": "truncated", "method": "POST"},
    "slow": {"kind": "slow", "delay": 4.0},
}
CHECKS = "/checks/"


def impatient(config: str) -> str:
    return config.replace('poll = "1s"', 'poll = "1s"\nreconcile = "3s"\nsync_queue = "10s"\ntimeout = "3s"')


@asynccontextmanager
async def a_stage() -> AsyncIterator[Stage]:
    async with staged(3, f"127.0.0.1:{free_port()}", adapt=impatient) as stage:
        yield stage


async def until(look: Callable[[], Awaitable[Any]], what: str) -> Any:
    """What `look` gives once it gives something."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not (found := await look()):
                await asyncio.sleep(0.1)
            return found
    except TimeoutError:
        raise AssertionError(f"after {PATIENCE:.0f} s it is still not so that {what}") from None


def submit(stage: Stage, series: PracticeSeries) -> None:
    for mail in series.mails:
        stage.patchwork.submit(mail)


async def troubles(stage: Stage) -> dict[str, str]:
    """What the status page says is not well: name and words."""
    try:
        answer = await stage.http.request("GET", "/api/v1/status")
    except Transient:
        return {}
    rows = json.loads(answer.body)["health"] if answer.status == 200 else []
    return {f"{row['room']}:{row['name']}": row["text"] for row in rows if not row["ok"]}


async def gauges(stage: Stage) -> set[str]:
    """The names whose `netci_health` is 0, as Prometheus reads them."""
    text = (await stage.http.request("GET", "/metrics")).text()
    lines = [line for line in text.splitlines() if line.startswith("netci_health{") and line.endswith(" 0.0")]
    return {line.partition('name="')[2].partition('"')[0] for line in lines}


def seen(stage: Stage, room: str) -> Callable[[], Awaitable[bool]]:
    """Whether what `room` says of Patchwork is bad on the page and in metrics, with words that say what is wrong."""

    async def look() -> bool:
        bad = {name: text for name, text in (await troubles(stage)).items() if name.startswith(f"{room}:")}
        named = {name.partition(":")[2] for name in bad} & await gauges(stage)
        return bool(named) and all(bad.values())

    return look


def well(stage: Stage) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return not await troubles(stage) and not await gauges(stage)

    return look


def told(stage: Stage, several: list[PracticeSeries]) -> Callable[[], Awaitable[bool]]:
    judge = Judge(stage.world, stage.patchwork)

    async def look() -> bool:
        return all(judge.state(s, c) == {"success"} for s in several for c in ("tree_selection", "apply"))

    return look


def repeats(stage: Stage) -> Counter[Any]:
    """What stands on Patchwork more than once: the same patch, context and state."""
    checks = Counter(
        (patch, check.context, str(check.state))
        for patch in stage.patchwork.pw.patches
        for check in stage.patchwork.pw.checks_of(patch)
    )
    return Counter({key: n for key, n in checks.items() if n > 1})


async def arrivals(stage: Stage) -> Counter[str]:
    """How often each series was announced."""
    answer = await stage.http.request("GET", "/api/v1/events", params={"after": "0"})
    events = json.loads(answer.body)["events"]
    return Counter(e["data"]["message_id"] for e in events if e["type"].startswith("dev.netci.series.arrived."))


def the_series(stage: Stage) -> list[PracticeSeries]:
    """Without the first version, which is told nothing once the second is there."""
    return [series for series in stage.world.series if series.role is not Role.OLD]


async def all_is_there_once(stage: Stage, several: list[PracticeSeries]) -> None:
    await until(told(stage, several), "every series has its checks")
    await until(well(stage), "the status page shows that all is well again")
    assert not repeats(stage)
    assert await arrivals(stage) == Counter(series.message_ids[0] for series in several)


async def test_series_that_come_while_patchwork_cannot_be_read_are_taken_in_once() -> None:
    async with a_stage() as stage:
        several = the_series(stage)
        for series, (name, trouble) in zip(several, READING.items(), strict=False):
            stage.patchwork.misbehave.add(**trouble)
            submit(stage, series)
            await until(seen(stage, "ingest"), f"trouble with reading ({name}) is shown")
            await asyncio.sleep(LONGER)
            stage.patchwork.misbehave.clear()
            await until(told(stage, [series]), f"the series sent during {name} has its checks")
        await all_is_there_once(stage, several[: len(READING)])


async def test_a_patchwork_that_is_down_or_whose_events_are_lost_or_turned_round_costs_no_series() -> None:
    async with a_stage() as stage:
        down, lost, doubled, turned, late = the_series(stage)
        await stage.patchwork.down()
        submit(stage, down)
        await until(seen(stage, "ingest"), "a Patchwork that is down is shown")
        await asyncio.sleep(LONGER)
        await stage.patchwork.up()
        stage.patchwork.misbehave.add("lose-events")
        submit(stage, lost)
        stage.patchwork.misbehave.add("double-events")
        submit(stage, doubled)
        stage.patchwork.misbehave.add("shuffle-events")
        submit(stage, turned)
        stage.patchwork.misbehave.add("late-mails", count=len(late.mails))
        submit(stage, late)
        await until(
            told(stage, [down, lost, doubled, turned]), "all have their checks but the one whose mails are late"
        )
        stage.patchwork.misbehave.clear()
        await all_is_there_once(stage, [down, lost, doubled, turned, late])


async def test_checks_are_posted_once_however_patchwork_answers() -> None:
    async with a_stage() as stage:
        several = the_series(stage)
        for series, (name, trouble) in zip(several, POSTING.items(), strict=True):
            stage.patchwork.misbehave.add(path=CHECKS, **trouble)
            submit(stage, series)
            await until(seen(stage, "report"), f"trouble with posting ({name}) is shown")
            await asyncio.sleep(LONGER)
            stage.patchwork.misbehave.clear()
            await until(told(stage, [series]), f"the series sent during {name} has its checks")
        await all_is_there_once(stage, several)


async def test_a_branch_is_reported_once_through_all_troubles() -> None:
    async with a_stage() as stage:
        several, judge = the_series(stage), Judge(stage.world, stage.patchwork)
        for series in several:
            submit(stage, series)
        await until(told(stage, several), "every series has its checks")
        stage.patchwork.misbehave.add("drop-after", method="POST", path=CHECKS, count=2)
        stage.patchwork.misbehave.add("truncated", path=CHECKS, count=1)
        stage.patchwork.misbehave.add("status", status=502, method="GET", path=CHECKS, seconds=3)
        await stage.command("cut", "net-next", "--why", "in the middle of an outage")

        async def reported() -> bool:
            return judge.first_cut_reported()

        await until(reported, "the branch is reported")
        assert not judge.after_first_cut()
        await all_is_there_once(stage, several)
