"""A PostgreSQL that is killed and started again on the same data: what it committed must be there afterwards."""

import asyncio
import os
import signal
import subprocess
from pathlib import Path

from shared.db.pool import AWAY, connect
from shared.errors import NetciError
from tests.support.postgres import Postgres, _user
from tests.support.processes import children
from tests.support.programs import program

# A killed server keeps what it handed to the kernel, so fsync may stay off; what it only promised, it would lose.
_SETTINGS = ("fsync=off", "synchronous_commit=on", "shared_buffers=64MB", "max_connections=120", "jit=off")


class LastingPostgres(Postgres):
    """`start` after `kill` goes on with what was committed. The superuser comes by the socket."""

    @property
    def dsn(self) -> str:
        return f"postgresql://postgres@/netci?host={self.folder}&port={self.port}"

    def start(self) -> None:
        data, user = self.folder / "data", _user()
        if not data.exists():
            if user:
                os.chown(self.folder, user["user"], user["group"])
            self._run("initdb", "--no-sync", "--locale=C.UTF-8", "--username=postgres", "-A", "trust", "-D", str(data))
        options = [word for setting in _SETTINGS for word in ("-c", setting)]
        with (self.folder / "out").open("ab") as out:
            self.process = subprocess.Popen(
                [program("postgres"), "-D", str(data), "-h", "", "-p", str(self.port), "-k", str(self.folder),
                 *options],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/", start_new_session=True, **user,
            )  # fmt: skip

    async def ready(self, seconds: float = 60) -> None:
        """Wait until it lets us in. AssertionError if it does not in `seconds`."""
        async with asyncio.timeout(seconds):
            while not await self._lets_in():
                assert self.process is not None
                assert self.process.poll() is None, (self.folder / "out").read_text()[-2000:]
                await asyncio.sleep(0.1)

    async def _lets_in(self) -> bool:
        try:
            conn = await connect(self.dsn.replace("/netci?", "/postgres?"), timeout=5)
            try:
                await conn.fetchval("select 1")
            finally:
                conn.terminate()
        except (NetciError, *AWAY):
            return False
        return True

    def kill(self) -> None:
        """SIGKILL the server with all its processes, each of which is a session of its own."""
        if self.process is None or self.process.poll() is not None:
            return
        family = [self.process.pid, *children(self.process.pid)]
        for pid in family:
            _kill(pid)
        self.process.wait(10)

    def kill_one(self, number: int) -> None:
        """SIGKILL one of its processes, as a machine short of memory does: the server ends the others and recovers."""
        assert self.process is not None
        serving = [pid for pid in children(self.process.pid) if b"netci" in _command(pid)]
        if serving:
            _kill(serving[number % len(serving)])


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
