"""What has power over a machine: whether it is on, on and off, and its serial console.

Answers what every way to a machine's power must offer. Refuses to know who may use it: that is the lease's business.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from enum import StrEnum
from typing import ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from shared.errors import InfraError

OFF_FOR = 2.0
"""Seconds that a machine is off in a cycle: what is still charged is then discharged."""


class State(StrEnum):
    ON = "on"
    OFF = "off"
    UNKNOWN = "unknown"


class PowerTable(BaseModel):
    """What every ``power`` table of a machine is."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Power(Protocol):
    """Every method raises `InfraError`, saying what did not work, and is bounded in time."""

    name: ClassVar[str]
    Config: ClassVar[type[PowerTable]]

    async def state(self) -> State:
        """Whether it is on; UNKNOWN where that cannot be asked."""

    async def on(self) -> None: ...

    async def off(self) -> None:
        """At once, as if the plug were pulled."""

    async def cycle(self) -> None:
        """Off if it is on, and on."""

    def console(self) -> "AbstractAsyncContextManager[Line]":
        """Its serial console, for one listener at a time. Raises InfraError if there is none."""


class Line(Protocol):
    """An open serial console."""

    @property
    def reader(self) -> asyncio.StreamReader: ...

    async def type(self, data: bytes) -> None:
        """As on its keyboard."""

    async def sysrq(self, key: str) -> None:
        """A break, and a key: what the kernel's magic SysRq takes from a serial console."""


@asynccontextmanager
async def spoken(words: tuple[str, ...], *, stdin: bool = False) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program of this machine while inside; ended afterwards. Nothing of our environment goes along but PATH."""
    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
    pipe, none = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *words, stdin=pipe if stdin else none, stdout=pipe, stderr=pipe, env=env
        )
    except OSError as exc:
        raise InfraError(f"{words[0]} cannot be run: {exc.strerror}: is it installed?") from exc
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until(true: Callable[[], Awaitable[bool]], seconds: float, look: float, what: str) -> None:
    """Ask every `look` seconds until it is so. Raises InfraError, saying `what` did not come to be."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                if await true():
                    return
                await asyncio.sleep(look)
    except TimeoutError:
        raise InfraError(what) from None


async def ask(words: tuple[str, ...], seconds: float, what: str) -> str:
    """What a program says. Raises InfraError if it fails or takes longer."""
    try:
        async with spoken(words) as process, asyncio.timeout(seconds):
            said, complaint = await process.communicate()
    except TimeoutError:
        raise InfraError(f"{what}: {words[0]} gave no answer in {seconds:.0f} s") from None
    if process.returncode:
        why = (complaint or said).decode(errors="replace").strip()[-300:] or f"it ended with {process.returncode}"
        raise InfraError(f"{what}: {words[0]}: {why}")
    return said.decode(errors="replace")
