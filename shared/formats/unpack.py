"""Bodies that come packed, unpacked piece by piece and never past a cap: a bomb is refused while it is small.

Answers for Content-Encoding gzip, deflate (the zlib format, RFC 9110 8.4.1.2) and none. Knows nothing of what is
inside.
"""

import zlib
from collections.abc import Mapping
from typing import Any

from shared.formats.faults import Fault, Faulty, faulty, too_large

UNPACKED = 64 << 20
"""Bytes of a body after unpacking, unless said otherwise."""

PIECE = 1 << 20
"""Bytes that are unpacked at once: what is packed well is never in memory twice as a whole."""

_WINDOWS: Mapping[str, int] = {"gzip": 31, "x-gzip": 31, "deflate": 15}


class Unpacker:
    """`feed` it what arrives, and nothing while it is `waiting`; then `finish`. Raises Faulty, and is of no use after.

    What `feed` gives is a PIECE at most where it unpacks, and never more in sum than `limit` bytes. Nothing is unpacked
    beyond the byte that shows the limit to be passed.
    """

    def __init__(self, encoding: str = "", limit: int = UNPACKED) -> None:
        name = encoding.strip().lower()
        if name not in ("", "identity") and name not in _WINDOWS:
            raise Faulty(Fault("", f"content encoding {name[:40]!r} is not read: gzip, deflate or none"), status=415)
        self._name = name
        self._limit = self._left = limit
        self._stream: Any = zlib.decompressobj(_WINDOWS[name]) if name in _WINDOWS else None
        self.waiting = False
        """Whether there is more of what was fed: `feed` nothing to have it."""

    def feed(self, data: bytes = b"") -> bytes:
        """What `data` adds to the unpacked whole, or the first piece of that."""
        plain = data if self._stream is None else self._inflate(data)
        self._left -= len(plain)
        if self._left < 0:
            raise too_large(self._limit, " after unpacking")
        return plain

    def _inflate(self, data: bytes) -> bytes:
        if self._stream.eof and data:
            raise faulty(f"bytes after the end of the {self._name} data")
        most = min(PIECE, self._left + 1)
        try:
            plain: bytes = self._stream.decompress(self._stream.unconsumed_tail + data, most)
        except zlib.error as error:
            raise faulty(f"not {self._name}: {error}") from error
        if self._stream.unused_data:
            raise faulty(f"bytes after the end of the {self._name} data")
        self.waiting = len(plain) == most and not self._stream.eof
        return plain

    def finish(self) -> None:
        """Refuses data that ends before its end: a body cut off on the way is no whole body."""
        if self._stream is not None and not self._stream.eof:
            raise faulty(f"the {self._name} data is cut off before its end")


def unpack(data: bytes, encoding: str = "", limit: int = UNPACKED) -> bytes:
    """All of it at once."""
    unpacker = Unpacker(encoding, limit)
    plain = bytearray(unpacker.feed(data))
    while unpacker.waiting:
        plain += unpacker.feed()
    unpacker.finish()
    return bytes(plain)
