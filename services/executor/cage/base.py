"""What a cage offers, in words that know no tool: what is in it, what may be used up, how a command in it ended.

A command in a cage has no network, no credentials, a private /tmp and home, a read-only toolchain and what is bound
into it, nothing else of the machine. It is run by a throw-away user. When it ends, so does everything it began.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What one command may use. `memory`, `disk` (all that it writes) and `output` (each stream) are bytes."""

    seconds: float = 60.0
    memory: int = 2048 * MIB
    processes: int = 256
    output: int = 8 * MIB
    disk: int = 1024 * MIB

    def lasting(self, seconds: float) -> "Limits":
        return replace(self, seconds=seconds)


@dataclass(frozen=True, slots=True)
class Bind:
    """A file or folder of this machine at `target` inside (absolute). Read-only unless `writable`: then what is
    written stays, so that is for results alone: where commands have users of their own, the folder and what is in it
    become theirs.
    """

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Layer:
    """A folder that may be written inside, at `target`, and is as it was outside.

    What is written goes to `upper`, a folder that whoever made it throws away; the same `upper` may be given to
    several commands one after another (never two at one time), which then see what the former ones wrote: it is in
    a folder `data` of it. None: it lasts for one command. All of `lower` may be changed inside if it is all of one
    owner.
    """

    lower: Path
    target: str
    upper: Path | None = None


@dataclass(frozen=True, slots=True)
class Cage:
    """What is inside. Binds and layers are made in order, later ones over earlier ones. `env` is all there is, with
    PATH, HOME, TMPDIR and LANG=C.UTF-8 besides.
    """

    binds: tuple[Bind | Layer, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    limits: Limits = Limits()


Ending = Literal["exit", "time", "memory", "output", "processes", "disk", "killed"]


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended. `code` is its exit status, 128+n for signal n; with `ended` other than "exit" it is what
    that limit left, and `said` says which limit in words. What was printed is cut at the limit, `dropped` counts
    the rest; `merged` holds both streams in order.
    """

    code: int
    stdout: bytes = b""
    stderr: bytes = b""
    ended: Ending = "exit"
    seconds: float = 0.0
    dropped: int = 0
    merged: bytes = b""

    @property
    def ok(self) -> bool:
        return self.ended == "exit" and self.code == 0

    @property
    def said(self) -> str:
        """In words, for a person: "" for one that ended by itself."""
        return {
            "exit": "", "time": "took longer than it may", "memory": "used more memory than it may",
            "output": "printed more than it may", "processes": "started more processes than it may",
            "disk": "wrote more than it may", "killed": "was killed",
        }[self.ended]  # fmt: skip


Line = Callable[[bytes], None]
"""Called with each piece of output as it comes."""


class Isolation(Protocol):
    """One way to run commands in cages on this machine."""

    name: str

    async def run(
        self,
        cage: Cage,
        argv: tuple[str, ...],
        *,
        stdin: bytes = b"",
        pass_fds: tuple[int, ...] = (),
        heard: Line | None = None,
    ) -> Ran:
        """Run `argv`. Cancelled, it leaves no process and no mount behind. `pass_fds` are open inside under the
        same numbers. Raises InfraError if the cage itself cannot be made: the command then never ran.
        """
        ...

    def close(self) -> None:
        """Remove what is kept for the next command; none runs any more."""
        ...
