"""What everybody can see of a netci on the demo's stage: pages, metrics, and what stands on its Patchwork."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from shared.errors import Transient
from shared.practice.demo.judge import states_of
from shared.practice.demo.stage import Stage
from shared.practice.world_series import PracticeSeries

PATIENCE = 60.0
"""Seconds for what must come about; more after long troubles, as whoever failed often waits longer."""


async def until(look: Callable[[], Awaitable[Any]], what: str, patience: float = PATIENCE) -> Any:
    """What `look` gives once it gives something."""
    try:
        async with asyncio.timeout(patience):
            while not (found := await look()):
                await asyncio.sleep(0.1)
            return found
    except TimeoutError:
        raise AssertionError(f"after {patience:.0f} s it is still not so that {what}") from None


async def data(stage: Stage, path: str, **params: str) -> dict[str, Any]:
    """A page's JSON; {} when it is not answered just now."""
    try:
        answer = await stage.http.request("GET", path, params=params)
    except Transient:
        return {}
    found: dict[str, Any] = json.loads(answer.body) if answer.status == 200 else {}
    return found


async def says(stage: Stage, name: str) -> str:
    """What the status page says of `room:name`, well or not."""
    rows = (await data(stage, "/api/v1/status")).get("health", [])
    return " ".join(row["text"] for row in rows if f"{row['room']}:{row['name']}" == name)


async def troubles(stage: Stage) -> dict[str, str]:
    """What the status page says is not well: name and words."""
    rows = (await data(stage, "/api/v1/status")).get("health", [])
    return {f"{row['room']}:{row['name']}": row["text"] for row in rows if not row["ok"]}


async def metrics(stage: Stage) -> str:
    return (await stage.http.request("GET", "/metrics")).text()


async def gauges(stage: Stage) -> set[str]:
    """The names whose `netci_health` is 0, as Prometheus reads them."""
    return set(re.findall(r'^netci_health\{name="([^"]*)".* 0\.0$', await metrics(stage), re.MULTILINE))


async def found_by(stage: Stage) -> Counter[str]:
    """How many series each poll was the first to see."""
    rows = re.findall(r'^netci_series_found_total\{by="(\w+)".* ([\d.]+)$', await metrics(stage), re.MULTILINE)
    return Counter({by: int(float(n)) for by, n in rows})


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


def told(
    stage: Stage, several: Sequence[PracticeSeries], contexts: Sequence[str] = ("tree_selection", "apply")
) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return all(states_of(stage.patchwork, s, c) == {"success"} for s in several for c in contexts)

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
    """How often each series was announced, in the whole log of events."""
    after, found = "0", Counter[str]()
    while (page := await data(stage, "/api/v1/events", after=after, limit="500"))["events"]:
        after = page["next"]
        kinds = (e for e in page["events"] if e["type"].startswith("dev.netci.series.arrived."))
        found.update(e["data"]["message_id"] for e in kinds)
    return found


async def dead(stage: Stage) -> list[str]:
    """Letters and pieces of work that were given up."""
    status = await data(stage, "/api/v1/status")
    letters = [f"{queue['name']}: {queue['dead']} dead" for queue in status["queues"] if queue["dead"]]
    return letters + [f"{work['room']} {work['kind']}: dead" for work in status["work"] if work["state"] == "dead"]


async def all_is_there_once(stage: Stage, several: Sequence[PracticeSeries], patience: float = PATIENCE) -> None:
    await until(told(stage, several), "every series has its checks", patience)
    await until(well(stage), "the status page shows that all is well again", patience)
    assert not repeats(stage), f"posted more than once: {repeats(stage)}"
    assert await arrivals(stage) == Counter(series.message_ids[0] for series in several)
    assert not (given_up := await dead(stage)), given_up
