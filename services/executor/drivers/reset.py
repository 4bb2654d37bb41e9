"""Making a host as new: the operator's command, and waiting for the host to come back.

Answers when a reset has worked. Refuses to know what it does: a snapshot put back, a reboot, a container
thrown away. The command may take the connection down with it; that is what a reset is.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol, TypeVar

from services.executor.drivers.base import Command, Exit, Output, shell
from services.executor.drivers.ssh_config import SshConfig
from shared.errors import InfraError

T = TypeVar("T")
PAUSE = 2.0
"""Seconds between two tries to reach a host that is coming back."""


class _Resettable(Protocol):
    name: str

    async def run(self, command: Command, *, timeout: timedelta, out: Output | None = None) -> Exit: ...


class Reset:
    """The reset of one driver's hosts."""

    def __init__(self, config: SshConfig) -> None:
        self._text, self._here = config.reset, config.reset_on == "here"
        self._limit = config.reset_timeout
        self.wanted = bool(config.reset)

    async def run(self, host: _Resettable) -> None:
        """Reset a host we own. A connection lost on the way is how a reboot looks; a failing command is an
        error.
        """
        code = await (self._from_here(host.name) if self._here else self._on_host(host))
        if code not in (0, None):
            raise InfraError(f"{host.name}: its reset failed with {code}", host=host.name)

    async def _on_host(self, host: _Resettable) -> int | None:
        try:
            done = await host.run(shell(self._text), timeout=self._limit)
        except InfraError:
            return None
        return 124 if done.timed_out else done.code

    async def _from_here(self, name: str) -> int | None:
        # Nothing of our environment goes along: it may hold secrets, and the command is somebody's script.
        env = {"PATH": os.environ.get("PATH", os.defpath), "NETCI_HOST": name}
        process = await asyncio.create_subprocess_exec("/bin/sh", "-c", self._text, env=env)
        try:
            async with asyncio.timeout(self._limit.total_seconds()):
                return await process.wait()
        except TimeoutError:
            return 124
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def back(self, own: Callable[[], Awaitable[T]], name: str) -> T:
        """Own the host again as soon as it answers."""
        try:
            async with asyncio.timeout(self._limit.total_seconds()):
                while True:
                    try:
                        return await own()
                    except InfraError:
                        await asyncio.sleep(PAUSE)
        except TimeoutError as error:
            raise InfraError(f"{name}: it did not come back from its reset", host=name) from error
