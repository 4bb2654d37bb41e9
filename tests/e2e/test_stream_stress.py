"""The stream under strain: ten thousand events, five hundred readers that come and go, a server that is killed.

A real process on a real PostgreSQL. Each reader hangs up at random, in the middle of an event as well, and comes back
with the id of the last whole event it got.
"""

import asyncio
import os
import random
import re
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from shared.db.outbox import stage
from shared.db.pool import Pool
from shared.events import TreeMoved
from tests.conftest import Database
from tests.support.serving import Server, a_server

EVENTS = 10_000
BATCH = 40
READERS = 500
KILLS = 20
SEED = int(os.environ.get("SEED", "1"))

FRAME = re.compile(rb"id: (\d+)-([0-9a-f]{8})\nevent: (\S+)\ndata: .*?\n\n")


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
                async with asyncio.timeout(120):
                    await self._visit(http, url, self.chance.randint(20, 2000))
            except (TimeoutError, aiohttp.ClientError):
                await asyncio.sleep(self.chance.uniform(0.2, 1.5))

    async def _visit(self, http: aiohttp.ClientSession, url: str, most: int) -> None:
        """Read until some `most` events have come, then hang up, wherever that is."""
        headers = {"Last-Event-ID": self.last} if self.last else {}
        async with http.get(url, params={} if self.last else {"after": "0"}, headers=headers) as answer:
            answer.raise_for_status()
            self.visits += 1
            rest, end = b"", min(EVENTS, len(self.got) + most)
            async for data in answer.content.iter_any():
                rest = self._take(rest + data)
                if len(self.got) >= end:
                    return

    def _take(self, data: bytes) -> bytes:
        """Keep what is whole; gives the beginning of what is not."""
        found = FRAME.findall(data)
        self.got += [int(number) for number, _, _ in found]
        assert {kind for _, _, kind in found} <= {b"dev.netci.tree.moved.v1"}
        if found:
            self.last = f"{int(found[-1][0])}-{found[-1][1].decode()}"
        return data[data.rfind(b"\n\n") + 2 :]


async def publish(pool: Pool) -> None:
    for begin in range(0, EVENTS, BATCH):
        async with pool.acquire() as conn, conn.transaction():
            moves = (TreeMoved(project="netdev", tree=f"t{n}", head="0" * 40) for n in range(begin, begin + BATCH))
            await stage(conn, "branch", *moves)
        await asyncio.sleep(0.1)


async def kill_often(server: Server, chance: random.Random) -> None:
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0.2, 1.5))
        server.kill()
        server.start()
        await server.serves()


@pytest.mark.timeout(1800)
async def test_every_reader_gets_every_event_once_and_in_order(database: Database, tmp_path: Path) -> None:
    print(f"SEED={SEED}")
    pool, chance = await database.pool(), random.Random(SEED)
    followers = [Follower(random.Random(SEED * 1000 + n)) for n in range(READERS)]
    connector = aiohttp.TCPConnector(limit=0)
    with a_server(database.dsn, tmp_path, "report", web="streams_each = 1000") as server:
        await server.serves()
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as http:
            async with asyncio.timeout(1500), asyncio.TaskGroup() as group:
                group.create_task(publish(pool))
                group.create_task(kill_often(server, chance))
                for follower in followers:
                    group.create_task(follower.follow(http, server.stream))
            wrong = [f.got[:50] for f in followers if f.got != list(range(1, EVENTS + 1))]
            assert wrong == []
            print(f"{sum(f.visits for f in followers)} visits of {READERS} readers, {KILLS} kills")
            await _late_comer(pool, http, server.stream)


async def _late_comer(pool: Pool, http: aiohttp.ClientSession, url: str) -> None:
    """A reader that is behind what is kept is told so, and gets the rest."""
    await pool.execute("delete from floor.events where sequence < 9001")
    async with http.get(url, params={"after": "17", "wait": "0"}) as answer:
        text = await answer.text()
    assert text.startswith("id: 9000-")
    assert "event: gap\n" in text.split("\n\n")[0]
    assert '"oldest": 9001' in text.split("\n\n")[0]
    assert [int(n) for n in re.findall(r"^id: (\d+)-\w+\nevent: dev", text, re.MULTILINE)] == list(range(9001, 10001))
