"""Where suites of guests are prepared: on this machine, in a cage, at the path that guests see the result at.

A guest without KVM is ten times slower than its host, and need not have a compiler. What is compiled is strangers'
code, so it has no network here, nothing of this machine and no lasting place but the run's own folder.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterable
from datetime import timedelta
from pathlib import Path, PurePosixPath

from services.executor.cage.base import Bind, Cage, Isolation, Limits, Ran
from services.executor.drivers import transfer
from services.executor.drivers.base import Command, Exit, Output
from shared.errors import InfraError, Refused

_MINUTES = 900.0
_TAR = "/in/tar"
_PUT = 'if [ -d "$1" ]; then mkdir -p "$2" && cp -R "$1/." "$2"; else mkdir -p "${2%/*}" && cp "$1" "$2"; fi'


class Builder:
    """See `base.Host`. `folder` of this machine is `work` inside."""

    def __init__(self, name: str, isolation: Isolation, folder: Path, work: PurePosixPath, limits: Limits) -> None:
        self.name = name
        self._isolation, self._folder, self._work, self._limits = isolation, folder, work, limits

    async def run(self, command: Command, *, timeout: timedelta, out: Output | None = None) -> Exit:
        ran = await self._run(command, timeout.total_seconds(), ())
        if out is not None:
            if command.merge:
                out.write(ran.merged, stderr=False)
            else:
                out.write(ran.stdout, stderr=False)
                out.write(ran.stderr, stderr=True)
            if ran.said and ran.ended != "time":
                out.write(f"netci: the command {ran.said}\n".encode(), stderr=not command.merge)
        if ran.ended == "time":
            return Exit(None, True, ran.seconds, ran.dropped)
        return Exit(ran.code if ran.ended == "exit" else ran.code or 1, False, ran.seconds, ran.dropped)

    async def _run(self, command: Command, seconds: float, more: tuple[Bind, ...]) -> Ran:
        if not isinstance(command.stdin, bytes):
            raise Refused("a builder's command takes bytes, not a stream")
        limits = Limits(seconds, self._limits.memory, self._limits.processes, command.cap, self._limits.disk)
        binds = (Bind(self._folder, str(self._work), writable=True), *more)
        cage = Cage(binds, dict(command.env), str(command.cwd or self._work), limits)
        return await self._isolation.run(cage, command.argv, stdin=command.stdin)

    async def put(self, source: Path, to: PurePosixPath) -> None:
        words = ("sh", "-c", _PUT, "sh", "/in/source", str(to))
        await self._must(Command(words), (Bind(source, "/in/source"),), f"sending {source.name}")

    async def unpack(self, tar: AsyncIterable[bytes], to: PurePosixPath) -> None:
        with tempfile.NamedTemporaryFile(dir=self._folder.parent, prefix=".tar-") as file:
            async for data in tar:
                await asyncio.to_thread(file.write, data)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            words = ("sh", "-c", 'mkdir -p "$2" && tar -xf "$1" -C "$2"', "sh", _TAR, str(to))
            await self._must(Command(words), (Bind(Path(file.name), _TAR),), f"unpacking into {to.name}")

    async def _must(self, command: Command, binds: tuple[Bind, ...], doing: str) -> None:
        ran = await self._run(command, _MINUTES, binds)
        if not ran.ok:
            why = ran.said or ran.stderr.decode(errors="replace").strip()[-300:]
            raise InfraError(f"{self.name}: failed {doing}: {why}", host=self.name)

    async def get(self, source: PurePosixPath, to: Path, *, limit: int) -> int:
        ran = await self._run(transfer.command_to_get(source, limit), _MINUTES, ())
        if not ran.ok:
            raise Refused(f"{self.name}: {source} is not a file to fetch", host=self.name)
        await asyncio.to_thread(to.write_bytes, ran.stdout[:limit])
        return min(limit, len(ran.stdout))
