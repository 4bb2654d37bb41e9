"""Supervision: a room that breaks is started again and the others go on; a fault of the configuration ends all;
SIGTERM lets rooms let go; what does not let go is not waited for."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Never

import pytest

from shared import service
from shared.errors import Refused
from shared.floor import Floor
from shared.service import MakeRoom, Readiness, run_rooms
from shared.settings import Settings, parse
from tests.conftest import Database

Body = Callable[[Floor, Callable[[], None]], Any]


class Scripted:
    """A room that does what the test says."""

    def __init__(self, name: str, body: Body, floor: Floor) -> None:
        self.name = name
        self._body, self._floor = body, floor

    async def run(self, ready: Callable[[], None]) -> Never:
        await self._body(self._floor, ready)
        raise AssertionError("a room never ends")


def made(**bodies: Body) -> dict[str, MakeRoom]:
    def maker(name: str, body: Body) -> MakeRoom:
        return lambda floor: Scripted(name, body, floor)

    return {name: maker(name, body) for name, body in bodies.items()}


def some_settings(database: Database, tmp_path: Path) -> Settings:
    return parse(f'data = "{tmp_path}"\nprojects = {{}}\n[database]\nurl = "{database.dsn}"\n')


async def stay(floor: Floor, ready: Callable[[], None]) -> None:
    ready()
    await asyncio.Event().wait()


async def test_a_room_that_breaks_is_started_again_and_the_others_go_on(database: Database, tmp_path: Path) -> None:
    starts: dict[str, int] = {"ingest": 0, "branch": 0}
    again, stop = asyncio.Event(), asyncio.Event()
    unready: list[str] = []

    async def steady(floor: Floor, ready: Callable[[], None]) -> None:
        starts["ingest"] += 1
        await stay(floor, ready)

    async def shaky(floor: Floor, ready: Callable[[], None]) -> None:
        starts["branch"] += 1
        unready[:] = floor.unready()
        ready()
        if starts["branch"] == 3:
            again.set()
            await asyncio.Event().wait()
        raise (RuntimeError("a bug") if starts["branch"] == 1 else Refused("after it took part"))

    readiness = Readiness(["ingest", "branch"])
    rooms = made(ingest=steady, branch=shaky)
    running = asyncio.ensure_future(run_rooms(some_settings(database, tmp_path), rooms, readiness, stop))
    async with asyncio.timeout(20):
        await again.wait()
        assert starts == {"ingest": 1, "branch": 3}
        assert unready == ["branch"]
        assert readiness.missing == []
        stop.set()
        await running
    assert readiness.missing == ["branch", "ingest"]


async def test_a_fault_of_the_configuration_ends_the_process_with_its_words(database: Database, tmp_path: Path) -> None:
    async def misconfigured(floor: Floor, ready: Callable[[], None]) -> None:
        raise Refused("token_env: the environment has no X")

    rooms = made(ingest=stay, report=misconfigured)
    async with asyncio.timeout(20):
        with pytest.raises(Refused, match="the environment has no X"):
            await run_rooms(some_settings(database, tmp_path), rooms, Readiness(list(rooms)), asyncio.Event())


async def test_a_process_is_known_while_it_lives(database: Database, tmp_path: Path) -> None:
    stop = asyncio.Event()
    pool = await database.pool()
    rooms = made(ingest=stay, report=stay)
    running = asyncio.ensure_future(run_rooms(some_settings(database, tmp_path), rooms, Readiness(list(rooms)), stop))
    async with asyncio.timeout(20):
        while not (known := await pool.fetch("select rooms, pid, resident from floor.processes")):
            await asyncio.sleep(0.05)
        assert [(r["rooms"], r["pid"]) for r in known] == [(["ingest", "report"], os.getpid())]
        assert known[0]["resident"] > 1 << 20
        stop.set()
        await running
    assert await pool.fetchval("select count(*) from floor.processes") == 0
    assert await pool.fetchval("select count(*) from floor.leases") == 0


PROGRAM = """
import asyncio, sys
from pathlib import Path
from shared import log, service
from shared.service import Readiness, run_rooms
from shared.signals import stop_on_signals
from tests.shared.test_service import made, stay
from shared.settings import parse

log.configure(json=True)
service.PATIENCE = 1.0

async def stubborn(floor, ready):
    ready()
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass

async def polite(floor, ready):
    ready()
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0.2)
        print("let go", flush=True)

async def main():
    stop = asyncio.Event()
    stop_on_signals(stop)
    body = {"polite": polite, "stubborn": stubborn}
    rooms = made(report=polite, **({"ingest": stubborn} if sys.argv[2] == "stubborn" else {}))
    readiness = Readiness(list(rooms))
    running = asyncio.ensure_future(run_rooms(parse(Path(sys.argv[1]).read_text()), rooms, readiness, stop))
    while readiness.missing:
        await asyncio.sleep(0.01)
    print("ready", flush=True)
    await running
    print("ended", flush=True)

asyncio.run(main())
"""


def a_process(config: Path, kind: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", PROGRAM, str(config), kind]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


@pytest.mark.parametrize(("kind", "code", "told"), [("polite", 0, ["let go", "ended"]), ("stubborn", 1, ["let go"])])
async def test_sigterm_lets_rooms_let_go(
    database: Database, tmp_path: Path, kind: str, code: int, told: list[str]
) -> None:
    config = tmp_path / "netci.toml"
    config.write_text(f'data = "{tmp_path}"\nprojects = {{}}\n[database]\nurl = "{database.dsn}"\n')
    process = a_process(config, kind)

    def play() -> list[str]:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        return process.communicate(timeout=60)[0].split("\n")[:-1]

    try:
        lines = await asyncio.to_thread(play)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert (lines, process.returncode) == (told, code)


def test_patience_is_ten_seconds() -> None:
    assert service.PATIENCE == 10
