"""Serial consoles that a program or a socket of this machine leads to."""

import asyncio
import contextlib
import os
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.executor.power.qmp import command
from shared.errors import InfraError


class ProgramLine:
    """See `base.Line`. `before` is what the program takes for: the next key is a SysRq's."""

    def __init__(self, reader: asyncio.StreamReader, keyboard: int, before: bytes) -> None:
        self.reader, self._keyboard, self._before = reader, keyboard, before

    async def type(self, data: bytes) -> None:
        await asyncio.to_thread(os.write, self._keyboard, data)

    async def sysrq(self, key: str) -> None:
        if not self._before:
            raise InfraError("this console cannot send a break")
        await self.type(self._before)
        await self.type(key.encode())


@asynccontextmanager
async def of_program(words: tuple[str, ...], before: bytes = b"") -> AsyncIterator[ProgramLine]:
    """What a program prints, which believes that it has a terminal: those for consoles want one."""
    ours, its = os.openpty()
    tty.setraw(its)
    try:
        process = await asyncio.create_subprocess_exec(
            *words, stdin=its, stdout=its, stderr=its, start_new_session=True,
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM": "dumb"},
        )  # fmt: skip
    except OSError as exc:
        os.close(ours)
        raise InfraError(f"{words[0]} cannot be run: {exc.strerror}: is it installed?") from exc
    finally:
        os.close(its)
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: protocol, os.fdopen(os.dup(ours), "rb", 0)
    )
    try:
        yield ProgramLine(reader, ours, before)
    finally:
        transport.close()
        if process.returncode is None:
            # It may have a session to close at the other end, which allows only one.
            process.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(3):
                    await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(ours)


class SocketLine:
    """See `base.Line`. `control` is QEMU's monitor, which sends a break to the character device `device`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, control: Path, device: str) -> None:
        self.reader, self._writer, self._control, self._device = reader, writer, control, device

    async def type(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def sysrq(self, key: str) -> None:
        await command(self._control, "chardev-send-break", id=self._device)
        await asyncio.sleep(0.2)
        await self.type(key.encode())


@asynccontextmanager
async def of_socket(path: Path, control: Path, device: str) -> AsyncIterator[SocketLine]:
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except OSError as exc:
        raise InfraError(f"{path}: nobody listens there: {exc.strerror}") from exc
    try:
        yield SocketLine(reader, writer, control, device)
    finally:
        writer.close()
