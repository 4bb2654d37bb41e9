"""One command under a warden, seen from the service: begun, listened to, stopped, its end understood."""

import asyncio
import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import services
from services.executor.cage.base import Line, Ran
from services.executor.cage.folders import remove
from services.executor.cage.printed import Pipe, Printed
from services.executor.cage.warden.order import Answer, Order, heard
from shared.errors import InfraError

_GRACE = 15.0
"""Seconds that a warden may take to clean up after it has been told to end."""
_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); from services.executor.cage.warden.boot import main; "
    "main(*map(int, sys.argv[2:]))"
)
_ROOT = str(Path(services.__file__).parents[1])
_ENV = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


async def carry_out(order: Order, limit: int, lock: int, stdin: bytes, heard_by: Line | None) -> tuple[Ran, bool]:
    """Run it; also says whether layers were copies. Cancelled, it ends the command first. Raises InfraError if the
    command never ran.
    """
    command = _Command(order, limit, heard_by)
    try:
        await command.begin(lock, stdin)
        answer = await command.end()
    finally:
        await command.close()
    printed = command.printed
    if printed.error:
        raise printed.error
    if answer.error:
        said = bytes(printed.stderr[-500:]).decode(errors="replace").strip()
        raise InfraError(f"{answer.error}{': ' + said if said else ''}")
    return _ran(answer, printed), answer.copied


def _ran(answer: Answer, printed: Printed) -> Ran:
    # What it printed too much may have come in its last moment, so that nobody had to stop it.
    flooded = printed.dropped and answer.ended in ("exit", "stopped")
    ended = "output" if flooded else {"stopped": "killed"}.get(answer.ended, answer.ended)
    return Ran(
        code=answer.code,
        stdout=bytes(printed.stdout),
        stderr=bytes(printed.stderr),
        ended=ended,  # type: ignore[arg-type]
        seconds=answer.seconds,
        dropped=printed.dropped,
        merged=bytes(printed.merged),
    )


class _Command:
    """What is open while a command runs."""

    def __init__(self, order: Order, limit: int, heard_by: Line | None) -> None:
        self._order = order
        self.printed = Printed(limit, heard_by, self._stop)
        self._stdout, self._stderr = Pipe(), Pipe()
        self._answer, self._answer_end = os.pipe()
        self._process: asyncio.subprocess.Process | None = None

    async def begin(self, lock: int, stdin: bytes) -> None:
        await self._stdout.listen(self.printed, self.printed.stdout)
        await self._stderr.listen(self.printed, self.printed.stderr)
        with _readable("order", self._order.packed()) as told, _readable("stdin", stdin) as given:
            words = [_BOOT, _ROOT, str(told), str(self._answer_end), str(os.getpid())]
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", "-c", *words,
                stdin=given, stdout=self._stdout.end, stderr=self._stderr.end, env=_ENV, cwd="/",
                pass_fds=(told, self._answer_end, lock, *self._order.fds), start_new_session=True,
            )  # fmt: skip
        for pipe in (self._stdout, self._stderr):
            pipe.given()

    async def end(self) -> Answer:
        assert self._process is not None
        await self._process.wait()
        for pipe in (self._stdout, self._stderr):
            await pipe.ended(_GRACE)
        os.set_blocking(self._answer, False)
        try:
            return heard(os.read(self._answer, 1 << 16))
        except BlockingIOError:
            return heard(b"")

    def _stop(self) -> None:
        if self._process and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    async def close(self) -> None:
        """Nothing of it is left afterwards, in whatever state it was; also if we are cancelled meanwhile."""
        await asyncio.shield(asyncio.ensure_future(self._close()))

    async def _close(self) -> None:
        if self._process and self._process.returncode is None:
            self._stop()
            try:
                async with asyncio.timeout(_GRACE):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        for fd in (self._answer, self._answer_end):
            os.close(fd)
        for pipe in (self._stdout, self._stderr):
            pipe.close()
        if os.path.lexists(self._order.folder):
            await remove(Path(self._order.folder))


_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK


@contextlib.contextmanager
def _readable(name: str, data: bytes) -> Iterator[int]:
    """A file without a name that holds `data`, and that nobody can change any more. Nobody has to feed it either."""
    made = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with os.fdopen(made, "wb", closefd=False) as file:
            file.write(data)
        fcntl.fcntl(made, fcntl.F_ADD_SEALS, _SEALS)
        readable = os.open(f"/proc/self/fd/{made}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(made)
    try:
        yield readable
    finally:
        os.close(readable)
