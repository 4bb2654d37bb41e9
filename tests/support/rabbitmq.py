"""A RabbitMQ of our own: own node name, ports and folder, any user. epmd outlives the server, so it is ours too."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.programs import program


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@dataclass
class RabbitMQ:
    """A broker on loopback. `start`, `kill` and `start` again keep its data."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="netci-rabbit-", dir="/var/tmp")))
    port: int = field(default_factory=free_port)
    dist: int = field(default_factory=free_port)
    epmd: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def _environment(self) -> dict[str, str]:
        at = str(self.folder)
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": at, "LANG": "C.UTF-8",
            "RABBITMQ_NODENAME": f"netci{self.port}@localhost", "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port), "RABBITMQ_DIST_PORT": str(self.dist),
            "RABBITMQ_MNESIA_BASE": f"{at}/mnesia", "RABBITMQ_LOG_BASE": f"{at}/log",
            "RABBITMQ_LOGS": f"{at}/log/rabbit.log",
            "RABBITMQ_CONFIG_FILE": f"{at}/rabbitmq", "RABBITMQ_ENABLED_PLUGINS_FILE": f"{at}/plugins",
            "RABBITMQ_PID_FILE": f"{at}/pid",
            "RABBITMQ_SERVER_START_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none",
            "ERL_EPMD_PORT": str(self.epmd), "ERL_EPMD_ADDRESS": "127.0.0.1",
        }  # fmt: skip

    def start(self) -> None:
        (self.folder / "log").mkdir(exist_ok=True)
        (self.folder / "plugins").write_text("[].\n")
        with (self.folder / "server.out").open("ab") as out:
            self.process = subprocess.Popen(
                [program("rabbitmq-server")], env=self._environment(), stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, start_new_session=True, cwd=self.folder,
            )  # fmt: skip

    def ready(self) -> bool:
        """Whether it speaks AMQP: it answers a protocol header with Connection.Start."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as sock:
                sock.settimeout(3)
                sock.sendall(b"AMQP\x00\x00\x09\x01")
                return sock.recv(1) == b"\x01"
        except OSError:
            return False

    def wait(self, seconds: float = 90) -> None:
        until = time.monotonic() + seconds
        while not self.ready():
            ended = self.process is None or self.process.poll() is not None
            if ended or time.monotonic() > until:
                tail = (self.folder / "server.out").read_text(errors="replace")[-2000:]
                raise AssertionError(f"RabbitMQ did not start: {tail}")
            time.sleep(0.2)

    def ctl(self, *words: str) -> str:
        """What `rabbitmqctl` says to `words`. AssertionError if it refuses."""
        done = subprocess.run(
            [program("rabbitmqctl"), *words], env=self._environment(), cwd=self.folder, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=90,
        )  # fmt: skip
        assert done.returncode == 0, f"rabbitmqctl {words}: {done.stdout}{done.stderr}"
        return done.stdout

    async def restart(self) -> None:
        self.kill()
        self.start()
        await asyncio.to_thread(self.wait)

    def kill(self) -> None:
        """SIGKILL the whole session of the server, as a power cut would."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)

    def close(self) -> None:
        self.kill()
        for pid in _listeners(self.epmd):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


def _listeners(port: int) -> list[int]:
    """The pids of this broker's epmd, known by its port on the command line or in its environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (
                b"epmd" in (entry / "cmdline").read_bytes()
                and f"ERL_EPMD_PORT={port}".encode() in (entry / "environ").read_bytes()
            ):
                found.append(int(entry.name))
        except OSError:
            continue
    return found
