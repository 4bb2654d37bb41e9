"""One answer for all who ask the same at the same time.

A thousand open status pages ask again at every event. What was made stays good until anything has happened since, by
the bells, and for a second at most, as not everything rings.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

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


T = TypeVar("T")
KEPT_FOR = 10.0
MOST_KEPT = 200


@dataclass
class _Answer:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    until: float = 0.0
    data: Mapping[str, Any] = field(default_factory=dict)


class Heavy:
    """Answers that look back over weeks, each kept for some seconds, as weeks do not change in seconds. So many are
    made at one time: a crowd that walks through all of them waits for itself, and for nobody else.
    """

    def __init__(self, at_once: int = 2, clock: Callable[[], float] = time.monotonic) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._clock = clock
        self._answers: OrderedDict[str, _Answer] = OrderedDict()

    async def work(self, call: Callable[[], T]) -> T:
        """`call` in a thread, in one of the places: what takes the processor for long holds up nobody."""
        async with self._places:
            return await asyncio.to_thread(call)

    async def get(self, key: str, make: Callable[[], Awaitable[Mapping[str, Any]]]) -> Mapping[str, Any]:
        """The answer to `key`; whoever asks while it is being made waits for that one."""
        answer = self._answers.setdefault(key, _Answer())
        self._answers.move_to_end(key)
        while len(self._answers) > MOST_KEPT:
            self._answers.popitem(last=False)
        async with answer.lock:
            if self._clock() >= answer.until:
                async with self._places:
                    answer.data = await make()
                answer.until = self._clock() + KEPT_FOR
            return answer.data
