"""Where a suite runs: leases, targets, hosts, commands and how they end.

Answers what a driver must offer and in which words. Refuses to know any protocol, any suite and any table: a
driver is handed a job and hands out a machine that nobody else commands while the lease is held.
"""

from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel

from shared.errors import InfraError, Superseded

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

    `run` names the run's folder on the host (letters, digits, ``.``, ``_``, ``-``) and is the same for whoever takes
    the run over. `lease` rises with every claim of anything that may use the host: hosts compare numbers, they do not
    know runs. `host` is one of the driver's hosts; empty means its first. `commit` is what is tested, and `config` are
    paths of its tree that say what the suite wants of a kernel's configuration: for drivers that build one.
    """

    run: str
    lease: int
    host: str = ""
    commit: str = ""
    config: tuple[str, ...] = ()


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


OWN = timedelta(minutes=2)
"""The limit of commands of our own that touch many files."""


async def must(host: Host, command: Command, timeout: timedelta = OWN) -> None:
    """Run what fails on a broken machine alone. Raises InfraError, with what it said, if it does."""
    said = Capture()
    done = await host.run(command, timeout=timeout, out=said)
    if not done.ok:
        why = said.stderr.decode(errors="replace").strip()[-300:] or f"{command.argv[0]} ended with {done.code}"
        raise InfraError(f"{host.name}: {why}", host=host.name)


Symbols = Callable[[Sequence[str]], Awaitable[Sequence[str]]]
"""Lines of a kernel's report, with the places in the source where they can be told."""


class Console(Protocol):
    """A machine's serial console, recorded from its first line. What it says comes from a machine that ran hostile
    code."""

    async def take(self, *, settle: timedelta = timedelta(0)) -> bytes:
        """What came since it was last taken, at most a few mebibytes; waits until nothing came for `settle`."""


class Seen:
    """A kernel's log as it was looked at last, for as long as its machine is leased; None if that is not known."""

    def __init__(self) -> None:
        self.log: Any = None


@dataclass(frozen=True, slots=True)
class Target:
    """What a lease hands out. `work` is this run's own folder on the host, absolute, and exists.

    `builder` is where a suite is prepared, if that is not the machine under test: what it leaves in its `work`, at the
    same path, the machine under test sees. `kept` are files of this machine that tell how its kernel was built, which
    are kept with the run, and empty if it was not; that took `built` seconds. `deploy` brings what was
    prepared to the machine, where it does not see it anyway, and `env` is what its tests find in their environment.
    `closing` is a script for its ``sh`` after each test, before the kernel's log is read; `seen` is what that had in it
    the last time. `symbols` tells the places in the source of a crash, where there are any. `facts` are the host's own
    words about itself (kernel, machine, hostname, cpus): shown, never trusted.
    """

    dut: Host
    work: PurePosixPath
    peer: Host | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    builder: Host | None = None
    kept: Mapping[str, Path] = field(default_factory=dict)
    built: float = 0.0
    deploy: Callable[[], Awaitable[None]] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    seen: Seen = field(default_factory=Seen)
    console: Console | None = None
    closing: str = ""
    symbols: Symbols | None = None


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


# What a driver may offer besides; whoever runs it asks by isinstance.


@runtime_checkable
class Follows(Protocol):
    """A host that runs a second thing in the same breath: a command of its own is dear where machines are slow."""

    async def run_then(
        self, command: Command, then: str, *, timeout: timedelta, out: Output | None = None
    ) -> tuple[Exit, bytes | None]:
        """As `Host.run`; when the command is over, however it ended, `then` is run, a short script for the host's
        ``sh``. Gives what that said, None if it did not come to it."""


@runtime_checkable
class Several(Protocol):
    """What it leases as one host is more than one machine, or one that other names stand for, too."""

    def machines(self, host: str) -> tuple[str, ...]:
        """The machines of a host, whose leases are held, all of them, before it is leased."""


@runtime_checkable
class Tells(Protocol):
    """It says what its machines are like, to whoever wants one like them."""

    public: Mapping[str, Any]


@runtime_checkable
class Builds(Protocol):
    """It may build what its machines boot from the commit of a job, which must be in the store that it was given."""

    builds: bool


@runtime_checkable
class Examines(Protocol):
    """Its machines wear out by what tests do to them, and are replaced."""

    async def sound(self, target: Target) -> str:
        """Asked after each test: why the machine should not be used for another one; "" if it is sound. Raises
        InfraError if it does not answer."""
