"""A room as a process of its own, that is killed and comes back."""

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from shared.errors import Transient
from shared.http import client
from tests.support.processes import family
from tests.support.rabbitmq import free_port

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Room:
    """`python -m services run NAME`. Its log goes to `log`; `ended` notes exits that nobody asked for."""

    name: str
    config: Path
    log: Path
    environment: dict[str, str]
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None
    ended: list[int] = field(default_factory=list)
    killed: bool = False

    def start(self) -> None:
        self.killed = False
        listen = {"NETCI_HEALTH_LISTEN": f"127.0.0.1:{self.port}"}
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services", "--config", str(self.config), "run", self.name],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self.environment | listen, cwd=ROOT,
                start_new_session=True,
            )  # fmt: skip

    def kill(self, whole: bool) -> None:
        """SIGKILL it; `whole` with everything it has started, at the same moment."""
        assert self.process is not None
        self.killed = True
        for pid in family(self.process.pid) if whole else [self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(10)

    def keep(self) -> None:
        """Start it again if it ended by itself, as whatever supervises services does."""
        if not self.killed and self.process is not None and (code := self.process.poll()) is not None:
            self.ended.append(code)
            self.start()

    async def ready(self, seconds: float = 60) -> None:
        """Wait until it takes part. AssertionError with the end of its log if it does not in `seconds`."""
        try:
            async with asyncio.timeout(seconds), client("ready", f"http://127.0.0.1:{self.port}", timeout=2) as http:
                while True:
                    try:
                        if (await http.request("GET", "/readyz")).status == 200:
                            return
                    except Transient:
                        pass
                    self.keep()
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"{self.name} is not ready after {seconds:g} s:\n{self.tail()}") from None

    def tail(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    async def stop(self) -> int:
        """SIGTERM, and what it ended with; SIGKILL after 20 s."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.terminate()
            try:
                await asyncio.to_thread(self.process.wait, 20)
            except subprocess.TimeoutExpired:
                self.kill(whole=True)
        return int(self.process.returncode)
