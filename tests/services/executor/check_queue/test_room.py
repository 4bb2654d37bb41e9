"""The room as it runs: real events, the real engine, scripts in real cages on real commits."""

import asyncio
from pathlib import Path

import pytest

from shared.settings import parse
from tests.conftest import Database, FloorFor
from tests.services.executor.check_queue.stage import (
    SCRIPT,
    TOML,
    Stage,
    open_to_all,
    running,
    scripts,
    sleepers,
    staged,
    state_is,
    true,
)
from tests.services.executor.check_queue.world import until


@pytest.fixture
async def stage(database: Database, floor_for: FloorFor, tmp_path: Path) -> Stage:
    open_to_all(tmp_path)
    scripts(tmp_path, SCRIPT)
    floor = await floor_for("checks", parse(TOML.format(data=tmp_path)))
    return staged(floor, await database.pool(""), tmp_path)


async def test_a_series_is_checked_from_its_events_alone(stage: Stage) -> None:
    async with running(stage):
        series = await stage.series("quick")
        await until(lambda: state_is(stage, series, "done"), 120)
    said = await stage.said(series)
    assert said["lasting 1"] == "success: looked at quick 1"
    assert said["lasting 2"] == "success: looked at quick 2"
    assert {said[f"verify_signedoff {n}"].partition(":")[0] for n in (1, 2)} == {"success"}
    assert "series_format 0" in said
    health = await stage.owner.fetchrow("select ok, text from floor.health where name = 'checks:isolation'")
    assert health is not None
    assert health["ok"], health["text"]


async def test_v2_comes_while_v1_is_checked(stage: Stage) -> None:
    loop = asyncio.get_running_loop()
    async with running(stage):
        first = await stage.series("slow v1")
        await until(lambda: true(bool(sleepers())), 120)
        began = loop.time()
        await stage.supersede(first)
        second = await stage.series("quick v2")
        await until(lambda: true(not sleepers()), 30)
        gone = loop.time() - began
        await until(lambda: state_is(stage, second, "done"), 120)
    assert gone < 5
    assert "cancelled" in await stage.states(first)
    assert not await stage.states(first) & {"planned", "running", "waiting"}
    left = "select count(*) from executor.checks_v where series_id = $1 and state in ('planned', 'running')"
    assert await stage.owner.fetchval(left, first) == 0
    runs = "select distinct state from ledger.runs where series_id = $1 and executor = 'checks-build'"
    assert [row["state"] for row in await stage.owner.fetch(runs, first)] == ["abandoned"]
    assert (await stage.said(second))["lasting 2"] == "success: looked at quick v2 2"


async def test_a_room_that_ends_leaves_nothing_behind(stage: Stage) -> None:
    async with running(stage):
        await stage.series("slow v1")
        await until(lambda: true(bool(sleepers())), 120)
    assert sleepers() == []
    mine = stage.floor.settings.data / "executor/checks"
    assert (mine / "netdev/seats").is_dir()
    assert [path.name for path in (mine / "netdev/scratch").iterdir()] == []
    inside = [path for path in (mine / "cages").rglob("*") if path.name != "lock" and not path.is_dir()]
    assert inside == []
