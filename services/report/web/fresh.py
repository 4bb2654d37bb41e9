"""One answer for all who ask the same at the same time.

A thousand open status pages ask again at every event. What was made stays good until anything has happened since, by
the bells, and for a second at most, as not everything rings.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from shared.db.bells import CHANNELS, Bells

GOOD_FOR = 1.0


class Fresh:
    """Holds the newest answer of one question."""

    def __init__(self, bells: Bells, clock: Callable[[], float] = time.monotonic) -> None:
        self._bells = bells
        self._clock = clock
        self._lock = asyncio.Lock()
        self._state: tuple[int, ...] = ()
        self._until = 0.0
        self._answer: Mapping[str, Any] = {}

    async def get(self, make: Callable[[], Awaitable[Mapping[str, Any]]]) -> Mapping[str, Any]:
        """The answer as of now; whoever asks while it is being made waits for that one."""
        async with self._lock:
            state = tuple(self._bells.count(channel) for channel in CHANNELS)
            if state != self._state or self._clock() >= self._until:
                self._answer = await make()
                # The state of before: what rang meanwhile may have been missed by the first of the queries.
                self._state, self._until = state, self._clock() + GOOD_FOR
            return self._answer
