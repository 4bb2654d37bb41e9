"""Patchwork in trouble: nothing is lost, nothing is posted twice, and everybody can see it.

Here for seconds; `make chaos OUTAGE=2m` does the same for minutes.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from shared.practice.demo.judge import Judge
from tests.chaos.outages import SLOW, TROUBLES, Row, a_stage, outages, submit, table, without_old
from tests.chaos.sight import all_is_there_once, seen, told, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

POSTING: Mapping[str, Mapping[str, Any]] = {
    "502": {"kind": "status", "status": 502},
    "html": {"kind": "html"},
    "stored, then cut off": {"kind": "drop-after", "method": "POST"},
    "stored, then half an answer": {"kind": "truncated", "method": "POST"},
    "slow": SLOW,
}
CHECKS = "/checks/"


async def test_series_that_come_in_any_trouble_are_taken_in_told_and_tested_once() -> None:
    rows: list[Row] = []
    await outages(1.0, 3, print, rows)
    assert [row.trouble for row in rows] == [trouble.name for trouble in TROUBLES]
    assert len(table(rows).splitlines()) == len(rows) + 1


async def test_checks_are_posted_once_however_patchwork_answers() -> None:
    async with a_stage() as stage:
        several = without_old(stage.world.series)
        for series, (name, trouble) in zip(several, POSTING.items(), strict=True):
            stage.patchwork.misbehave.add(path=CHECKS, **trouble)
            submit(stage, series)
            await until(seen(stage, "report"), f"trouble with posting ({name}) is shown")
            await asyncio.sleep(1.0)
            stage.patchwork.misbehave.clear()
            await until(told(stage, [series]), f"the series sent during {name} has its checks")
        await all_is_there_once(stage, several)


async def test_a_branch_is_reported_once_through_all_troubles() -> None:
    async with a_stage() as stage:
        several, judge = without_old(stage.world.series), Judge(stage.world, stage.patchwork)
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
