"""One comparison: the undisturbed run, the disturbed one of the same seed, and what is different or left."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.errors import Transient
from tests.chaos.killer import Say
from tests.chaos.outcome import Outcome, differences, outcome
from tests.chaos.plan import Round, plan
from tests.chaos.play import Play
from tests.chaos.remains import remains, unsettled
from tests.chaos.stage import Stage, staged

QUIET = 90.0
"""Seconds that rooms are given to come to rest: what failed is tried again after up to a minute."""


@dataclass
class Report:
    """`faults` is empty when killing changed nothing but time."""

    faults: list[str] = field(default_factory=list)
    kills: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    facts: int = 0


async def compare(seed: int, rounds: int, *, broker: bool, say: Say, keep: bool = False) -> Report:
    """Run both and compare."""
    report = Report()
    undisturbed = await _one(report, "undisturbed", seed, rounds, (), broker, say, keep)
    blows = plan(seed, rounds, broker=broker)
    disturbed = await _one(report, "disturbed", seed, rounds, blows, broker, say, keep)
    report.facts = len(undisturbed)
    report.faults += differences(undisturbed, disturbed)
    return report


async def _one(
    report: Report, name: str, seed: int, rounds: int, blows: Sequence[Round], broker: bool, say: Say, keep: bool
) -> Outcome:
    began = time.monotonic()
    async with staged(seed, rounds, broker=broker, keep=keep) as stage:
        say(f"{name}: {stage.folder}")
        play = Play(stage, say, blows)
        await play.run()
        await _rest(stage, say)
        found = await outcome(stage)
        left = await _ended(stage)
    report.faults += [f"{name}: {line}" for line in left]
    report.kills |= play.killer.counts
    report.seconds[name] = time.monotonic() - began
    return found


async def _rest(stage: Stage, say: Say) -> None:
    """Wait until nothing is left to do; what is still there after that, `remains` names."""
    until, left = time.monotonic() + QUIET, [""]
    while left and time.monotonic() < until:
        try:
            now = await unsettled(stage)
        except Transient:
            now = ["the database does not answer"]
        if now != left:
            say(f"rest       {'; '.join(now)[:300] or 'nothing is left to do'}")
        left = now
        await asyncio.sleep(0.5)


async def _ended(stage: Stage) -> list[str]:
    """Stop the rooms in good order, and look at what is left."""
    codes = await asyncio.gather(*(room.stop() for room in stage.rooms.values()))
    said = [f"{room.name} ended with {code}" for room, code in zip(stage.rooms.values(), codes, strict=True) if code]
    refused = [f"{room.name} refused to start" for room in stage.rooms.values() if 2 in room.ended]
    return [*said, *refused, *await remains(stage)]
