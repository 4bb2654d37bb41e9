"""Storing a blob and its row, which the database's references need."""

from shared.db.outbox import SQL
from shared.floor import Floor


async def keep(floor: Floor, data: bytes, visibility: str = "public") -> str:
    """Store `data`, record it, and return its sha256. Call it before the transaction that refers to it."""
    sha256 = await floor.blobs.put(data)
    await floor.pool.execute(SQL["record_blob"], sha256, len(data), len(data), visibility)
    return sha256
