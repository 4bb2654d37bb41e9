"""How a lab waits: handed in as the clock is, so that a test may let an hour pass."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """`seconds` only rise, from wherever they began; `sleep` returns when so many of them are over."""

    seconds: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


REAL = Pace()
