"""The end of the log in memory, as frames that all readers share: who comes back after a break needs no database.

When a server starts again all of its readers come at once, each with a cursor of a moment ago. Pure.
"""

from bisect import bisect_right
from collections.abc import Sequence

from shared.web.frames import Frame


class Recent:
    """Every event after `floor`, as long as they are no more than `limit` bytes; then the oldest are let go."""

    def __init__(self, limit: int) -> None:
        self.floor = 0
        self._limit = limit
        self._size = 0
        self._frames: list[Frame] = []

    def begin(self, floor: int) -> None:
        """Empty: what comes is what follows `floor`."""
        self.floor, self._size = floor, 0
        self._frames.clear()

    def add(self, frames: Sequence[Frame]) -> None:
        self._frames += frames
        self._size += sum(len(frame.wire) for frame in frames)
        if self._size > self._limit:
            self._let_go()

    def _let_go(self) -> None:
        """A good part at once, as a list is moved whenever its head is cut off."""
        count = 0
        while self._size > self._limit * 3 // 4:
            self._size -= len(self._frames[count].wire)
            count += 1
        self.floor = self._frames[count - 1].sequence
        del self._frames[:count]

    def after(self, sequence: int, size: int) -> Sequence[Frame] | None:
        """What follows `sequence`, some `size` bytes of it; None if it reaches back too far."""
        if sequence < self.floor:
            return None
        begin = end = bisect_right(self._frames, sequence, key=lambda frame: frame.sequence)
        while end < len(self._frames) and size > 0:
            size -= len(self._frames[end].wire)
            end += 1
        return self._frames[begin:end]
