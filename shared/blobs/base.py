"""What a store of blobs does. A blob is reached through the run or series that names it, never listed."""

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from shared.blobs.incoming import Incoming


class Blobs(Protocol):
    """Content-addressed bytes; putting the same bytes twice is harmless."""

    async def put(self, data: bytes) -> str:
        """Store `data`; returns its sha256 in hex."""
        ...

    def incoming(self) -> Incoming:
        """Where a blob may come in that is not held in memory: `take` it when it is whole, `drop` it at last."""
        ...

    async def take(self, incoming: Incoming) -> str:
        """Store what has come; returns its sha256."""
        ...

    async def get(self, sha256: str) -> bytes:
        """The bytes. Raises Missing, or InfraError if what is stored does not match its name."""
        ...

    def pieces(self, sha256: str) -> Iterator[bytes]:
        """The same piece by piece, for what is too large to hold. Blocking: draw them in a thread."""
        ...

    async def has(self, sha256: str) -> bool: ...

    async def delete(self, sha256: str) -> None: ...

    async def sweep(self, before: datetime) -> int:
        """Remove what came before then and never became a blob; gives how many."""
        ...
