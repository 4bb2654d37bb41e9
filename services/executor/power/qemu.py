"""A QEMU of this machine as if it were one with a plug: for tests, and for labs that have no other.

It outlives whoever started it, as a real machine does, and is known by its pid file. Its console and its monitor are
sockets in its folder.
"""

import asyncio
import contextlib
import os
import signal
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from services.executor.power.base import OFF_FOR, Line, PowerTable, State, ask, until
from services.executor.power.lines import of_socket

_LIMIT = 30.0


class QemuConfig(PowerTable):
    """``power = { kind = "qemu", words = ["qemu-system-x86_64", "-m", "1G", …], folder = "/run/netci/dut" }``

    `words` begin the machine. Its console, its monitor and its pid file are in `folder`, which is its own; do not name
    them in `words`.
    """

    kind: Literal["qemu"]
    words: tuple[str, ...] = Field(min_length=1)
    folder: Path

    @field_validator("folder")
    @classmethod
    def _absolute(cls, folder: Path) -> Path:
        # A socket's path has a limit of a hundred bytes or so.
        if not folder.is_absolute() or len(str(folder)) > 80:
            raise ValueError(f"{str(folder)!r} is not an absolute path of 80 characters at most")
        return folder


class QemuPower:
    """See `base.Power`."""

    name: ClassVar[str] = "qemu"
    Config: ClassVar[type[PowerTable]] = QemuConfig

    def __init__(self, config: QemuConfig, machine: str) -> None:
        self._config, self._machine = config, machine

    def _at(self, name: str) -> Path:
        return self._config.folder / name

    def _pid(self) -> int:
        """Of the process that runs, 0 if none does: the file may name one that died, and its number be another's."""
        try:
            pid = int(self._at("pid").read_text())
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return 0
        return pid if str(self._at("pid")).encode() in words else 0

    async def state(self) -> State:
        return State.ON if self._pid() else State.OFF

    async def on(self) -> None:
        if self._pid():
            return
        self._config.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("console.sock", "qmp.sock"):
            self._at(name).unlink(missing_ok=True)
        own = (
            "-daemonize", "-pidfile", str(self._at("pid")), "-display", "none",
            "-chardev", f"socket,id=console,path={self._at('console.sock')},server=on,wait=off,"
            f"logfile={self._at('console.log')},logappend=on", "-serial", "chardev:console",
            "-qmp", f"unix:{self._at('qmp.sock')},server=on,wait=off",
        )  # fmt: skip
        await ask((*self._config.words, *own), _LIMIT, f"{self._machine}: switching on")

    async def off(self) -> None:
        pid = self._pid()
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

        async def gone() -> bool:
            return not pid or not _lives(pid)

        await until(gone, _LIMIT, 0.02, f"{self._machine}: its QEMU does not end")

    async def cycle(self) -> None:
        await self.off()
        await asyncio.sleep(OFF_FOR / 10)
        await self.on()

    def console(self) -> AbstractAsyncContextManager[Line]:
        return of_socket(self._at("console.sock"), self._at("qmp.sock"), "console")


def _lives(pid: int) -> bool:
    """Its command line is empty before its sockets are closed, and its first thread dead while others hold them."""
    try:
        dead = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1] in "ZX"
        return not dead or len(os.listdir(f"/proc/{pid}/task")) > 1
    except OSError:
        return False
