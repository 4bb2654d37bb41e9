"""What a NIPA installation is found to hold, whichever way it was read."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class FoundBranch:
    """A branch as NIPA lists it. Empty strings and None are what it does not say."""

    name: str
    date: datetime | None = None
    base: str = ""
    url: str = ""
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run not read yet: `data` is its file. The times are those beside the file, for want of its own."""

    branch: str
    remote: str
    data: bytes
    where: str
    started: datetime | None = None
    ended: datetime | None = None


class Source(Protocol):
    """An installation. Rows of stability and devices are as ``/query`` tells them, or as the tables have them."""

    async def branches(self) -> Mapping[str, FoundBranch]: ...
    async def names(self) -> list[str]:
        """Branches that have runs."""
        ...

    def runs(self, branch: str) -> AsyncIterator[FoundRun]: ...
    async def stability(self) -> list[Mapping[str, Any]]: ...
    async def devices(self) -> list[Mapping[str, Any]]: ...
