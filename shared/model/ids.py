"""Identities: UUIDs that sort by time, and the names under which rooms refer to each other's rows."""

import os
import time
import uuid
from typing import NewType

EventId = NewType("EventId", uuid.UUID)
SeriesId = NewType("SeriesId", int)
CutId = NewType("CutId", int)
RunId = NewType("RunId", int)
Sha = NewType("Sha", str)
"""A git object id, 40 lower-case hex digits."""

OWN_REMOTE = "netci"
"""The remote of our own checks' runs. No lab has this name, so what such a run says is ours."""


def uuid7(now: float | None = None, entropy: bytes | None = None) -> uuid.UUID:
    """A UUID of version 7 (RFC 9562): 48 bits of Unix milliseconds, then chance. `now` is Unix seconds."""
    millis = int((time.time() if now is None else now) * 1000) & (1 << 48) - 1
    rest = int.from_bytes(entropy or os.urandom(10), "big")
    value = millis << 80 | 0x7 << 76 | (rest >> 68 & 0xFFF) << 64 | 0b10 << 62 | rest & (1 << 62) - 1
    return uuid.UUID(int=value)


def is_sha(text: str) -> bool:
    """Whether `text` is a full git object id."""
    return len(text) == 40 and all(c in "0123456789abcdef" for c in text)
