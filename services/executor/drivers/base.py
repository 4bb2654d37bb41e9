"""Where a suite runs: leases, targets, hosts, commands and how they end.

Answers what a driver must offer and in which words. Refuses to know any protocol, any suite and any table: a
driver is handed a job and hands out a machine that nobody else commands while the lease is held.
"""

from collections.abc import AsyncIterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel

from shared.errors import Superseded

MIB = 1024 * 1024


class LeaseLost(Superseded):
    """The host has served a younger lease: somebody else owns the run now, and this owner writes nothing
    more.

    The number comes from a machine that ran hostile code, so the caller asks its own table before it believes
    it.
    """


@dataclass(frozen=True, slots=True)
class Job:
    """What a lease is for.

    `run` names the run's folder on the host (letters, digits, ``.``, ``_``, ``-``) and is the same for
    whoever takes the run over. `lease` rises with every claim of anything that may use the host: hosts
    compare numbers, they do not know runs. `host` is one of the driver's hosts; empty means its first.
    """

    run: str
    lease: int
    host: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """Words to run, never a line to be split.

    `cwd` defaults to the lease's work folder. `merge` sends standard error into standard output, in order.
    `cap` is how many bytes of each stream are kept; what follows is read, dropped and counted.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: PurePosixPath | None = None
    stdin: bytes | AsyncIterable[bytes] = b""
    merge: bool = False
    cap: int = 8 * MIB


def shell(text: str, *words: str, **fields: Any) -> Command:
    """A script for the host's ``sh``; `words` are its ``$1`` and on. `fields` are those of `Command`."""
    return Command(("sh", "-c", text, "sh", *words), **fields)


@dataclass(frozen=True, slots=True)
class Exit:
    """How a command ended. `code` is None when the time limit ended it; 128+n means signal n, as shells say
    it.

    `seconds` is wall time seen from here; `dropped` counts the bytes beyond the cap.
    """

    code: int | None
    timed_out: bool = False
    seconds: float = 0.0
    dropped: int = 0

    @property
    def ok(self) -> bool:
        return self.code == 0


class Output(Protocol):
    """Takes what a command says, in the order it came in on each stream. Must not block."""

    def write(self, data: bytes, *, stderr: bool) -> None: ...


class Capture:
    """An `Output` that keeps everything; the command's cap is what bounds it."""

    def __init__(self) -> None:
        self._said = (bytearray(), bytearray())

    def write(self, data: bytes, *, stderr: bool) -> None:
        self._said[stderr].extend(data)

    @property
    def stdout(self) -> bytes:
        return bytes(self._said[0])

    @property
    def stderr(self) -> bytes:
        return bytes(self._said[1])


class Host(Protocol):
    """A machine under a lease.

    Every method raises `InfraError` when the machine or the way to it is broken and `LeaseLost` when the
    lease is no longer the youngest. Cancelling `run` ends the command on the host too.
    """

    name: str

    async def run(self, command: Command, *, timeout: timedelta, out: Output | None = None) -> Exit:
        """Run and wait, at most `timeout`: then the whole process group is ended and the exit says so."""

    async def put(self, source: Path, to: PurePosixPath) -> None:
        """Send a file as the file `to`, or a folder's content into the folder `to`."""

    async def unpack(self, tar: AsyncIterable[bytes], to: PurePosixPath) -> None:
        """Unpack an uncompressed tar stream (``git archive``) into the folder `to`, made if missing."""

    async def get(self, source: PurePosixPath, to: Path, *, limit: int) -> int:
        """Fetch one regular file, at most `limit` bytes; gives the bytes written. Never follows a link."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a lease hands out. `work` is this run's own folder on the host, absolute, and exists.

    `facts` are the host's own words about itself (kernel, machine, hostname, cpus): shown, never trusted.
    """

    dut: Host
    work: PurePosixPath
    peer: Host | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


class Driver(Protocol):
    """A way to machines. `hosts` are leased one by one; two leases of one host at a time is the caller's
    error.
    """

    name: ClassVar[str]
    Config: ClassVar[type[BaseModel]]
    hosts: tuple[str, ...]

    def lease(self, job: Job) -> AbstractAsyncContextManager[Target]:
        """Own a host: what a former owner left running is ended first, what we leave running after."""

    async def reach(self, host: str) -> str:
        """Ask a host, proven to be itself, for its name and kernel, and change nothing on it. Raises InfraError."""
