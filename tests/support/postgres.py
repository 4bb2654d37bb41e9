"""A PostgreSQL server of our own on loopback, with passwords as a real one has: ended by its process id."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.programs import program
from tests.support.rabbitmq import free_port

_SETTINGS = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "shared_buffers=64MB",
    "max_connections=120",
)


def _user() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid():
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


@dataclass
class Postgres:
    """Logins over TCP need their password (scram); the superuser `postgres` comes by the socket in `folder`."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="netci-postgres-", dir="/var/tmp")))
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        user = _user()
        if user:
            os.chown(self.folder, user["user"], user["group"])
        self._run("initdb", "--no-sync", "--locale=C.UTF-8", "--username=postgres", "--auth-local=trust",
                  "--auth-host=scram-sha-256", "-D", str(self.folder / "data"))  # fmt: skip
        options = [word for setting in _SETTINGS for word in ("-c", setting)]
        with (self.folder / "out").open("wb") as out:
            self.process = subprocess.Popen(
                [program("postgres"), "-D", str(self.folder / "data"), "-h", "127.0.0.1", "-p", str(self.port),
                 "-k", str(self.folder), *options],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/", start_new_session=True, **user,
            )  # fmt: skip

    def _run(self, name: str, *words: str) -> None:
        binary = Path(program("postgres")).resolve().parent / name
        ran = subprocess.run([str(binary), *words], capture_output=True, text=True, check=False, cwd="/", **_user())
        assert ran.returncode == 0, ran.stderr

    def environment(self) -> dict[str, str]:
        """What `psql` needs to come as the superuser."""
        return {**os.environ, "PGHOST": str(self.folder), "PGPORT": str(self.port), "POSTGRES_USER": "postgres"}

    def wait(self, seconds: float = 30) -> None:
        until = time.monotonic() + seconds
        while subprocess.run(
            ["pg_isready", "-q", "-U", "postgres", "-d", "postgres"], env=self.environment(), check=False
        ).returncode:
            ended = self.process is None or self.process.poll() is not None
            if ended or time.monotonic() > until:
                raise AssertionError(f"PostgreSQL did not start: {(self.folder / 'out').read_text()[-2000:]}")
            time.sleep(0.1)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(3)  # SIGQUIT: at once, nothing of it is kept
            self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)
