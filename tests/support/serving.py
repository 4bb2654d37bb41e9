"""Rooms as a process of their own, with what they serve: killed and started again by its process id."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.support.rabbitmq import free_port

CONFIG = """
data = "{data}"
[database]
url = "{dsn}"
[web]
listen = "127.0.0.1:{port}"
{web}
[projects.netdev.trees.net]
git = "https://git.example.org/net.git"
{more}
"""


@dataclass
class Server:
    """`netci run` of some rooms on one port."""

    config: Path
    port: int
    log: Path
    rooms: tuple[str, ...] = ("report",)
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def stream(self) -> str:
        return f"{self.url}/api/v1/events/stream"

    def start(self) -> None:
        command = [sys.executable, "-m", "services", "--config", str(self.config), "--log", "info", "run", *self.rooms]
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                command, stdout=out, stderr=out, cwd=Path(__file__).parents[2], stdin=subprocess.DEVNULL
            )

    def kill(self) -> None:
        """SIGKILL it. AssertionError if it ended by itself."""
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text("utf-8")[-3000:]
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    async def serves(self) -> None:
        """Wait until all its rooms take part."""
        async with asyncio.timeout(120), aiohttp.ClientSession() as http:
            while not await self._ready(http):
                assert self.process is not None
                assert self.process.poll() is None, self.log.read_text("utf-8")[-3000:]
                await asyncio.sleep(0.05)

    async def _ready(self, http: aiohttp.ClientSession) -> bool:
        try:
            async with http.get(f"{self.url}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


@contextmanager
def a_server(dsn: str, folder: Path, *rooms: str, web: str = "", more: str = "") -> Iterator[Server]:
    """A process of `rooms` on the database `dsn`; `web` and `more` are lines of its configuration."""
    port, config = free_port(), folder / "netci.toml"
    config.write_text(CONFIG.format(data=folder / "data", dsn=dsn, port=port, web=web, more=more))
    server = Server(config, port, folder / "log", rooms)
    server.start()
    try:
        yield server
    finally:
        server.kill()
