"""What a driver boots: an image, and what belongs to it; and what is said when there is none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from services.executor.drivers.base import Job
from shared.errors import NetciError


@dataclass(frozen=True, slots=True)
class Kernel:
    """One on this machine. `modules` is its folder as below ``/lib/modules``, None if it needs none; `release` is that
    folder's name. `vmlinux` has its symbols, if anything has. `facts` are shown with the run; `kept` are files that are
    kept with it, by name: how it was configured, what its build printed. It was built in the folder `source`, in
    `seconds`.
    """

    image: Path
    modules: Path | None = None
    release: str = ""
    vmlinux: Path | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, Path] = field(default_factory=dict)
    source: str = ""
    seconds: float = 0.0


class DoesNotBuild(NetciError):
    """There is no kernel of this commit: its build failed, which is what its patches did. `log` is what it printed."""

    def __init__(self, text: str, log: str) -> None:
        super().__init__(text)
        self.log = log


class Kernels(Protocol):
    """Where a driver has its kernels from."""

    async def kernel(self, job: Job) -> Kernel:
        """The one for a lease. Raises DoesNotBuild, Refused for what is configured wrongly, InfraError if this machine
        cannot make it just now."""

    def examine(self) -> str:
        """In a few words, what there is. Raises Refused, naming the key, if that is nothing."""
