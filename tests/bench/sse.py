"""From an event's commit to a thousand readers, against a bare loop that writes the same bytes to as many.

Ours is the real process (`netci run report`) on a real PostgreSQL: an event is staged in a transaction, numbered by
the sequencer, read from the log and written to all. The peer is an aiohttp application that keeps its answers in a
list and writes to one after the other, told what to write over a connection of its own: no database, no filter, no
cursor. Both are read by the same process, which does nothing but read 1,000 sockets and look at the clock.
"""

import asyncio
import json
import multiprocessing
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared.db.embedded import Embedded, running
from shared.db.migrate import migrate
from shared.db.outbox import stage
from shared.db.pool import Pool, open_pool
from shared.events import RunProgress
from tests.support.rabbitmq import free_port

READERS = 1000
EVENTS = 120
WARM = 20
"""Events before those that are measured."""
PAUSE = 0.08

CONFIG = """
data = "{data}"
[web]
listen = "127.0.0.1:{port}"
streams_each = {readers}
[projects.netdev.trees.net]
git = "https://git.example.org/net.git"
"""

PEER = """
import asyncio, sys
from aiohttp import web

answers = []

async def stream(request):
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    await answer.write(b"retry: 3000\\n\\n")
    answers.append(answer)
    await asyncio.Event().wait()

async def publish(reader, writer):
    while True:
        data = await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))
        for answer in answers:
            await answer.write(data)

async def main():
    app = web.Application()
    app.router.add_get("/api/v1/events/stream", stream)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(sys.argv[1]), backlog=512).start()
    await asyncio.start_server(publish, "127.0.0.1", int(sys.argv[2]))
    await asyncio.Event().wait()

asyncio.run(main())
"""

_FRAME = re.compile(rb'(id: .*\n)?event: .*\ndata: .*"run":\s?(\d+).*\n\n')


def read(port: int, readers: int, count: int, ready: Any, answer: Any) -> None:
    """Open connections, say so, and give the time at which each event came to each."""
    poll, sockets = select.epoll(), {}
    for _ in range(readers):
        one = socket.create_connection(("127.0.0.1", port), 20)
        one.sendall(b"GET /api/v1/events/stream HTTP/1.1\r\nHost: x\r\n\r\n")
        begun = b""
        while b"retry" not in begun:
            begun += one.recv(65536)
        one.setblocking(False)
        sockets[one.fileno()] = one
        poll.register(one, select.EPOLLIN)
    ready.set()
    came: dict[int, list[float]] = {}
    left, until = readers * count, time.monotonic() + 120
    while left and time.monotonic() < until:
        for fileno, _ in poll.poll(1):
            data = sockets[fileno].recv(1 << 17)
            now = time.monotonic()
            for found in _FRAME.finditer(data):
                number = int(found[2])
                came.setdefault(number, []).append(now)
                left -= 1
    answer.put(came)


class Reading:
    """The process that reads."""

    def __init__(self, port: int) -> None:
        fork = multiprocessing.get_context("spawn")
        self._ready, self._answer = fork.Event(), fork.Queue()
        self._process = fork.Process(target=read, args=(port, READERS, EVENTS, self._ready, self._answer))

    def start(self) -> None:
        self._process.start()
        assert self._ready.wait(60), "the readers were not let in"

    def ended(self) -> dict[int, list[float]]:
        came: dict[int, list[float]] = self._answer.get(timeout=150)
        self._process.join(20)
        assert all(len(times) == READERS for times in came.values()), "not every reader got every event"
        assert len(came) == EVENTS, f"{len(came)} events of {EVENTS} came"
        return came


def late(said: dict[int, float], came: dict[int, list[float]]) -> list[float]:
    """Milliseconds from each event's saying to each reader, sorted, without the first few events."""
    return sorted((at - said[n]) * 1000 for n, times in came.items() for at in times if n >= WARM)


def share(values: list[float], part: float) -> float:
    return values[int(len(values) * part) - 1]


@contextmanager
def process(*command: str, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as out:
        made = subprocess.Popen(command, stdout=out, stderr=out, cwd=Path(__file__).parents[2])
        try:
            yield made
        finally:
            made.terminate()
            made.wait(15)


async def answers(port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            except OSError:
                await asyncio.sleep(0.1)


def resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def an_event(number: int) -> RunProgress:
    return RunProgress(
        project="netdev", run=number, remote="metal", executor="vmksft-net", stream="net-next", cut=17,
        branch="net-next-2026-11-23--09-00", done=number, planned=EVENTS,
    )  # fmt: skip


def configured(folder: Path, dsn: str, port: int) -> Path:
    config = folder / "netci.toml"
    text = CONFIG.format(data=folder / "data", port=port, readers=2 * READERS)
    config.write_text(f'{text}[database]\nurl = "{dsn}"\n')
    return config


async def frame(stream: asyncio.StreamReader) -> bytes:
    """The next event as our server sends it, bare of the chunks of HTTP."""
    data = b""
    while not (found := _FRAME.search(data)):
        data += await stream.read(1 << 16)
    return found[0]


async def bench(folder: Path) -> tuple[list[float], list[float], float]:
    """Both by turns, event by event, so that what else the machine does is felt by both."""
    port, other, control = free_port(), free_port(), free_port()
    async with running(Embedded(folder / "db")) as dsn:
        await migrate(dsn)
        config = configured(folder, dsn, port)
        command = (sys.executable, "-m", "services", "--config", str(config), "--log", "warning", "run", "report")
        peer = (sys.executable, "-c", PEER, str(other), str(control))
        with process(*command, log=folder / "ours.log") as server, process(*peer, log=folder / "peer.log"):
            await answers(port)
            await answers(other)
            before, mine, theirs = resident(server.pid), Reading(port), Reading(other)
            await asyncio.to_thread(mine.start)
            memory = (resident(server.pid) - before) / READERS
            await asyncio.to_thread(theirs.start)
            async with open_pool(dsn, "", 2) as pool:
                said = await publish(pool, port, control)
            came = await asyncio.to_thread(mine.ended), await asyncio.to_thread(theirs.ended)
    return late(said[0], came[0]), late(said[1], came[1]), memory


async def publish(pool: Pool, port: int, control: int) -> tuple[dict[int, float], dict[int, float]]:
    """Say each event on ours, then the same bytes on the peer; gives when each was said."""
    stream, asking = await asyncio.open_connection("127.0.0.1", port)
    asking.write(b"GET /api/v1/events/stream HTTP/1.1\r\nHost: x\r\n\r\n")
    await stream.readuntil(b"retry: ")
    _, telling = await asyncio.open_connection("127.0.0.1", control)
    mine: dict[int, float] = {}
    theirs: dict[int, float] = {}
    for number in range(EVENTS):
        async with pool.acquire() as conn, conn.transaction():
            await stage(conn, "executor", an_event(number))
            mine[number] = time.monotonic()
        data = await frame(stream)
        await asyncio.sleep(PAUSE)
        theirs[number] = time.monotonic()
        telling.write(len(data).to_bytes(4, "big") + data)
        await asyncio.sleep(PAUSE)
    asking.close()
    telling.close()
    return mine, theirs


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="netci-bench-", dir="/var/tmp"))
    folder.chmod(0o711)
    try:
        mine, theirs, memory = asyncio.run(bench(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for name, times in (("ours", mine), ("a bare loop", theirs)):
        print(f"{name}: p50 {share(times, 0.5):.1f} ms, p99 {share(times, 0.99):.1f} ms of {len(times)} deliveries")
    print(f"{READERS} readers: {memory / 1000:.1f} kB of the process for each")
    answer = {
        "bench": "sse", "ours": round(share(mine, 0.99), 2), "peer": round(share(theirs, 0.99), 2),
        "ratio": round(share(mine, 0.99) / share(theirs, 0.99), 2), "unit": "ms p99", "readers": READERS,
        "p50": round(share(mine, 0.5), 2), "peer_p50": round(share(theirs, 0.5), 2),
        "bytes_per_reader": round(memory),
    }  # fmt: skip
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
