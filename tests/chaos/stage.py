"""The stage: servers of our own, practice Patchwork and hosts in this process, four rooms as four processes."""

import asyncio
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
ROOT = Path(__file__).resolve().parents[2]

CONFIG = """\
data = "{data}"
[database]
url = "{database}"
{bus}
[web]
listen = "127.0.0.1:{web}"
public_url = "https://netci.example"
[ingest]
listen = "127.0.0.1:{ingest}"
[disk]
free = 0
[projects.netdev]
post = "on"
[projects.netdev.patchwork]
url = "{patchwork}"
project = "netdevbpf"
token_env = "NETCI_PATCHWORK_TOKEN"
poll = "1s"
reconcile = "10s"
sync_queue = "20s"
timeout = "20s"
[projects.netdev.triage]
preset = "netdev"
[projects.netdev.trees.net-next]
git = "{tree}"
branch = "main"
tags = ["net-next"]
[projects.netdev.trees.net]
git = "{tree}"
branch = "net"
tags = ["net"]
kind = "fixes"
[projects.netdev.streams.net-next]
tree = "net-next"
merge = ["net"]
every = "52w"
push = "git://127.0.0.1:{remote}/testing.git"
public = "file://{testing}"
context = "contest"
skips = "ignore"
[[remotes]]
name = "metal"
report = true
[[executors]]
remote = "metal"
name = "vmksft-net"
streams = ["net-next"]
suite = {{ kind = "kselftest", targets = ["net"] }}
driver = {{ kind = "ssh", hosts = [{hosts}], key_file = "{key}", known_hosts = "{known_hosts}" }}
retries = 1
deadline = "60m"
hold = "{lease}s"
"""


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
    stage.config.write_text(
        CONFIG.format(
            data=stage.folder / "data", database=stage.database.dsn,
            bus=f'[bus]\nurl = "{stage.broker.url}"' if stage.broker else "", web=free_port(), ingest=free_port(),
            patchwork=stage.patchwork.url, tree=stage.tree.url, remote=remote, testing=stage.testing,
            hosts=", ".join(f'"{a}"' for a in stage.fleet.addresses), key=stage.fleet.key_file,
            known_hosts=stage.fleet.known_hosts, lease=LEASE,
        )
    )  # fmt: skip
    (stage.folder / "data").mkdir(mode=0o711)


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
