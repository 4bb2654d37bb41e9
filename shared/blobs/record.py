"""Storing a blob and its row, which the database's references need."""

import hashlib

from shared.db.outbox import SQL
from shared.floor import Floor


async def keep(floor: Floor, data: bytes, visibility: str = "public") -> str:
    """Store `data`, record it, and return its sha256. Call it before the transaction that refers to it."""
    # The row first: retention removes row and bytes in one transaction, and this waits for its end. The other way
    # round the bytes could go between being found there and being recorded.
    sha256 = hashlib.sha256(data).hexdigest()
    await floor.pool.execute(SQL["record_blob"], sha256, len(data), len(data), visibility)
    return await floor.blobs.put(data)
