"""The stage: servers of our own, practice Patchwork and hosts in this process, each room as a process."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.db.migrate import migrate
from shared.db.pool import connect
from shared.practice.config import Tables, on_practice_servers, toml
from shared.practice.hosts import Fleet, served_hosts
from shared.practice.patchwork import Served, served
from shared.practice.tree import PracticeTree, git
from tests.chaos.plan import ROOMS
from tests.chaos.rooms import Room
from tests.chaos.world import Wave, waves
from tests.support.lasting import LastingPostgres
from tests.support.programs import program
from tests.support.rabbitmq import RabbitMQ, free_port

LEASE = "3"
SCRIPT = "lasting"
"""A check that is a script, and lasts long enough to be hit."""
SECONDS = "0.4711"
"""What its processes are known by: a cage has nothing of our environment."""
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Stage:
    """Everything that takes part in one run. `mark` is in the environment of every process of ours."""

    folder: Path
    mark: str
    tree: PracticeTree
    waves: list[Wave]
    patchwork: Served
    fleet: Fleet
    database: LastingPostgres
    broker: RabbitMQ | None
    rooms: dict[str, Room]

    @property
    def config(self) -> Path:
        return self.folder / "netci.toml"

    @property
    def testing(self) -> Path:
        return self.folder / "testing.git"

    @property
    def checks(self) -> Path:
        """Where checks are asked, by project."""
        return self.folder / "data/executor/checks"

    async def command(self, *words: str) -> str:
        """Run `netci WORDS` until it works: the database may be away just now."""
        for _ in range(60):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services", "--config", str(self.config), "--log", "warning", *words,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT,
            )  # fmt: skip
            async with asyncio.timeout(60):
                out, _ = await process.communicate()
            if not process.returncode:
                return out.decode(errors="replace")
            if process.returncode == 2:
                break
            await asyncio.sleep(0.5)
        raise AssertionError(f"netci {' '.join(words)}: {out.decode(errors='replace')}")


@asynccontextmanager
async def staged(seed: int, rounds: int, *, broker: bool, keep: bool = False) -> AsyncIterator[Stage]:
    """Set the stage, all rooms ready, and clear it away; with `keep` the folder stays."""
    folder = Path(tempfile.mkdtemp(prefix="netci-chaos-", dir="/var/tmp"))
    folder.chmod(0o711)
    mark = f"NETCI_CHAOS={uuid.uuid4().hex}"
    try:
        async with AsyncExitStack() as stack:
            tree, made = await asyncio.to_thread(waves, folder / "world", seed, rounds)
            rabbit = await _broker(stack, folder) if broker else None
            postgres = await _database(stack, folder)
            patchwork = await stack.enter_async_context(served())
            fleet = await stack.enter_async_context(served_hosts(2, folder / "hosts"))
            stage = Stage(folder, mark, tree, made, patchwork, fleet, postgres, rabbit, {})
            await _configure(stack, stage)
            await _start(stack, stage)
            yield stage
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


async def _broker(stack: AsyncExitStack, folder: Path) -> RabbitMQ:
    rabbit = RabbitMQ(_made(folder / "broker"))
    stack.callback(rabbit.close)
    rabbit.start()
    await asyncio.to_thread(rabbit.wait)
    return rabbit


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


async def _database(stack: AsyncExitStack, folder: Path) -> LastingPostgres:
    postgres = LastingPostgres(_made(folder / "server"))
    stack.callback(postgres.kill)
    await asyncio.to_thread(postgres.start)
    await postgres.ready()
    conn = await connect(postgres.dsn.replace("/netci?", "/postgres?"))
    await conn.execute("create database netci")
    await conn.close()
    await migrate(postgres.dsn)
    return postgres


async def _configure(stack: AsyncExitStack, stage: Stage) -> None:
    git(stage.folder, "init", "-q", "--bare", str(stage.testing))
    remote = await _remote(stack, stage)
    stage.config.write_text(toml(_tables(stage, f"git://127.0.0.1:{remote}/testing.git")))
    (stage.folder / "data").mkdir(mode=0o711)


def _tables(stage: Stage, push: str) -> Tables:
    tables: Tables = {
        "data": str(stage.folder / "data"),
        "database": {"url": stage.database.dsn},
        "web": {"listen": f"127.0.0.1:{free_port()}", "public_url": "https://netci.example"},
        "ingest": {"listen": f"127.0.0.1:{free_port()}"},
        **on_practice_servers(
            patchwork=stage.patchwork.url,
            tree=stage.tree.url,
            fleet=stage.fleet,
            push=push,
            public=f"file://{stage.testing}",
        ),
    }
    if stage.broker:
        tables["bus"] = {"url": stage.broker.url}
    often = {"reconcile": "10s", "sync_queue": "20s", "timeout": "20s"}
    tables["projects"]["netdev"]["patchwork"] |= often
    tables["executors"][0]["hold"] = f"{LEASE}s"
    checking = tables["projects"]["netdev"]["checking"]
    checking["use"].append(SCRIPT)
    checking["check"] = {SCRIPT: {"folder": str(_script(stage.folder))}}
    return tables


def _script(folder: Path) -> Path:
    place = folder / "tests/patch" / SCRIPT
    place.mkdir(parents=True)
    (place / "info.json").write_text(json.dumps({"run": ["run.sh"]}))
    (place / "run.sh").write_text(f"#!/bin/sh\nsleep {SECONDS}\ngit log -1 --format=%s >&$DESC_FD\n")
    (place / "run.sh").chmod(0o755)
    return place


async def _remote(stack: AsyncExitStack, stage: Stage) -> int:
    """The public repository behind a daemon, as a real one is: it does not die with those who push to it."""
    port = free_port()
    daemon = await asyncio.create_subprocess_exec(
        program("git"), "daemon", "--listen=127.0.0.1", f"--port={port}", "--reuseaddr", "--export-all",
        "--enable=receive-pack", f"--base-path={stage.folder}", str(stage.folder),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip

    async def end() -> None:
        daemon.terminate()
        await daemon.wait()

    stack.push_async_callback(end)
    return port


async def _start(stack: AsyncExitStack, stage: Stage) -> None:
    name, _, value = stage.mark.partition("=")
    environment = os.environ | {
        "NETCI_PATCHWORK_TOKEN": stage.patchwork.token("nipa-bot"), "NETCI_LEASE": LEASE, name: value,
        "TMPDIR": str(stage.folder / "tmp"),
    }  # fmt: skip
    (stage.folder / "tmp").mkdir()
    for room in ROOMS:
        stage.rooms[room] = Room(room, stage.config, stage.folder / f"{room}.log", environment)
        stack.push_async_callback(stage.rooms[room].stop)
        stage.rooms[room].start()
    for one in stage.rooms.values():
        await one.ready()
