"""The stream under strain: ten thousand events, five hundred readers that come and go, a server that is killed.

A real process on a real PostgreSQL. Each reader hangs up at random, in the middle of an event as well, and comes back
with the id of the last whole event it got.
"""

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from shared.db.outbox import stage
from shared.db.pool import Pool
from shared.events import TreeMoved
from tests.conftest import Database
from tests.support.rabbitmq import free_port

EVENTS = 10_000
BATCH = 40
READERS = 500
KILLS = 20
SEED = int(os.environ.get("SEED", "1"))

CONFIG = """
data = "{data}"
[database]
url = "{dsn}"
[web]
listen = "127.0.0.1:{port}"
streams_each = 1000
[projects.netdev.trees.net]
git = "https://git.example.org/net.git"
"""

FRAME = re.compile(rb"id: (\d+)-([0-9a-f]{8})\nevent: (\S+)\ndata: .*?\n\n")


@dataclass
class Server:
    """`netci run report` on one port, to be killed and started again."""

    config: Path
    port: int
    log: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/v1/events/stream"

    def start(self) -> None:
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services", "--config", str(self.config), "--log", "warning", "run", "report"],
                stdout=out, stderr=out, cwd=Path(__file__).parents[2], stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def kill(self) -> None:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text("utf-8")[-3000:]
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    async def serves(self) -> None:
        async with asyncio.timeout(120), aiohttp.ClientSession() as http:
            while True:
                try:
                    async with http.get(f"http://127.0.0.1:{self.port}/healthz"):
                        return
                except aiohttp.ClientError:
                    await asyncio.sleep(0.05)


@contextmanager
def a_server(database: Database, folder: Path) -> Iterator[Server]:
    port = free_port()
    config = folder / "netci.toml"
    config.write_text(CONFIG.format(data=folder / "data", dsn=database.dsn, port=port))
    server = Server(config, port, folder / "log")
    server.start()
    try:
        yield server
    finally:
        server.kill()


@dataclass
class Follower:
    """A reader and what it has got: the number of each whole event, in the order in which they came."""

    chance: random.Random
    got: list[int] = field(default_factory=list)
    last: str = ""
    visits: int = 0

    async def follow(self, http: aiohttp.ClientSession, url: str) -> None:
        while len(self.got) < EVENTS:
            try:
                async with asyncio.timeout(self.chance.uniform(0.2, 6)):
                    await self._visit(http, url)
            except (TimeoutError, aiohttp.ClientError):
                await asyncio.sleep(self.chance.uniform(0, 0.3))

    async def _visit(self, http: aiohttp.ClientSession, url: str) -> None:
        headers = {"Last-Event-ID": self.last} if self.last else {}
        async with http.get(url, params={} if self.last else {"after": "0"}, headers=headers) as answer:
            answer.raise_for_status()
            self.visits += 1
            rest = b""
            async for data in answer.content.iter_any():
                rest = self._take(rest + data)
                if len(self.got) >= EVENTS:
                    return

    def _take(self, data: bytes) -> bytes:
        end = 0
        for frame in FRAME.finditer(data):
            assert frame[3] == b"dev.netci.tree.moved.v1", frame[0]
            self.got.append(int(frame[1]))
            self.last = f"{int(frame[1])}-{frame[2].decode()}"
            end = frame.end()
        return data[end:]


async def publish(pool: Pool) -> None:
    for begin in range(0, EVENTS, BATCH):
        async with pool.acquire() as conn, conn.transaction():
            moves = (TreeMoved(project="netdev", tree=f"t{n}", head="0" * 40) for n in range(begin, begin + BATCH))
            await stage(conn, "branch", *moves)
        await asyncio.sleep(0.2)


async def kill_often(server: Server, chance: random.Random) -> None:
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0.5, 2.5))
        server.kill()
        server.start()
        await server.serves()


@pytest.mark.timeout(1200)
async def test_every_reader_gets_every_event_once_and_in_order(database: Database, tmp_path: Path) -> None:
    print(f"SEED={SEED}")
    pool, chance = await database.pool(), random.Random(SEED)
    followers = [Follower(random.Random(SEED * 1000 + n)) for n in range(READERS)]
    connector = aiohttp.TCPConnector(limit=0)
    with a_server(database, tmp_path) as server:
        await server.serves()
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as http:
            async with asyncio.timeout(900), asyncio.TaskGroup() as group:
                group.create_task(publish(pool))
                group.create_task(kill_often(server, chance))
                for follower in followers:
                    group.create_task(follower.follow(http, server.url))
            wrong = [f.got[:50] for f in followers if f.got != list(range(1, EVENTS + 1))]
            assert wrong == []
            print(f"{sum(f.visits for f in followers)} visits of {READERS} readers, {KILLS} kills")
            await _late_comer(pool, http, server.url)


async def _late_comer(pool: Pool, http: aiohttp.ClientSession, url: str) -> None:
    """A reader that is behind what is kept is told so, and gets the rest."""
    await pool.execute("delete from floor.events where sequence < 9001")
    async with http.get(url, params={"after": "17", "wait": "0"}) as answer:
        text = await answer.text()
    assert text.startswith("id: 9000-")
    assert "event: gap\n" in text.split("\n\n")[0]
    assert '"oldest": 9001' in text.split("\n\n")[0]
    assert [int(n) for n in re.findall(r"^id: (\d+)-\w+\nevent: dev", text, re.MULTILINE)] == list(range(9001, 10001))
