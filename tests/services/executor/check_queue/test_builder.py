"""Builds on another machine, over a real SSH server: pushed, asked there by `netci check`, told here, ended there."""

import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.practice.config import toml
from shared.settings import parse
from tests.conftest import Database, FloorFor
from tests.contract.sshd import Sshd, sshd
from tests.house.files import ROOT
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
def machine(tmp_path: Path) -> Iterator[Sshd]:
    (tmp_path / "sshd").mkdir()
    with sshd(tmp_path / "sshd") as one:
        yield one


@pytest.fixture
def folder() -> Iterator[str]:
    """Of ours, in the home of the account that the server serves."""
    name = f"netci-builder-{secrets.token_hex(4)}"
    yield name
    shutil.rmtree(Path.home() / name, ignore_errors=True)


@pytest.fixture
async def stage(database: Database, floor_for: FloorFor, tmp_path: Path, machine: Sshd, folder: str) -> Stage:
    open_to_all(tmp_path)
    scripts(tmp_path, SCRIPT)
    there = TOML.format(data=tmp_path)
    (tmp_path / "there.toml").write_text(there)
    program = ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "services"]
    table = {
        "host": machine.address, "key_file": str(machine.key_file), "known_hosts": str(machine.known_hosts),
        "config": str(tmp_path / "there.toml"), "command": program, "folder": folder,
    }  # fmt: skip
    floor = await floor_for("checks", parse(there + toml({"checks": {"builder": table}})))
    return staged(floor, await database.pool(""), tmp_path)


async def test_builds_are_asked_there_and_told_here(stage: Stage, folder: str) -> None:
    async with running(stage):
        series = await stage.series("quick")
        await until(lambda: state_is(stage, series, "done"), 200)
    said = await stage.said(series)
    assert [said[f"lasting {n}"] for n in (1, 2)] == [f"success: looked at quick {n}" for n in (1, 2)]
    assert "verify_signedoff 1" in said
    there = Path.home() / folder
    assert (there / "netdev.git").is_dir()
    assert list((there / "netdev.git/refs/heads").iterdir()) == []
    assert not (stage.floor.settings.data / "executor/checks/netdev/seats/1").exists()


async def test_what_is_not_wanted_ends_there(stage: Stage) -> None:
    async with running(stage):
        series = await stage.series("slow")
        await until(lambda: true(bool(sleepers())), 200)
        await stage.supersede(series)
        await until(lambda: true(not sleepers()), 30)
        await until(lambda: _closed(stage, series), 60)


async def _closed(stage: Stage, series: int) -> bool:
    return not await stage.states(series) & {"waiting", "planned", "running"}


async def test_a_builder_that_is_away_is_nobodys_fault(stage: Stage, machine: Sshd) -> None:
    os.kill(machine.pid, 9)
    async with running(stage):
        series = await stage.series("quick")
        await until(lambda: _tried(stage, series), 120)
    assert not [name for name in await stage.said(series) if name.startswith("lasting")]


async def _tried(stage: Stage, series: int) -> bool:
    why = await stage.owner.fetchval(
        "select why from executor.check_plans where series_id = $1 and lane = 'build' and troubles > 0", series
    )
    return bool(why)
