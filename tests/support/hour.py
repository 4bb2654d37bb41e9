"""Time that a test lets pass: whoever sleeps by it sleeps until the test has come to that moment."""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.executor.remote.pace import Pace
from shared.clock import wall


@dataclass
class Hour:
    """`passed` are the seconds skipped so far; what really goes by goes by as well. `slept` are all waits asked for."""

    passed: float = 0.0
    slept: list[float] = field(default_factory=list)
    _sleepers: list[tuple[float, asyncio.Future[None]]] = field(default_factory=list)

    @property
    def pace(self) -> Pace:
        return Pace(lambda: time.monotonic() + self.passed, self.sleep)

    def clock(self) -> datetime:
        return wall() + timedelta(seconds=self.passed)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        mine = (self.passed + seconds, asyncio.get_running_loop().create_future())
        self._sleepers.append(mine)
        try:
            await mine[1]
        finally:
            self._sleepers.remove(mine)

    @property
    def asleep(self) -> int:
        """How many sleep on: one who has been woken is up, even before it has moved."""
        return sum(1 for _, sleeper in self._sleepers if not sleeper.done())

    def skip(self) -> None:
        """Go on to the moment when the next sleeper wakes."""
        waiting = [one for one in self._sleepers if not one[1].done()]
        at, sleeper = min(waiting, key=lambda one: one[0])
        self.passed = max(self.passed, at)
        sleeper.set_result(None)
