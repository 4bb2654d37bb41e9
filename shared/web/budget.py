"""How many may stay with us at one time: streams and long polls, of one reader and of all together.

Readers without a token are counted by address, the others by token; neither kind can take the other's place.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from shared.web.auth import Exhausted

WAIT = {"Retry-After": "10"}


class Budget:
    """Of one kind of readers: `each` for one of them, `total` for all."""

    def __init__(self, what: str, each: int, total: int) -> None:
        self._what = what
        self._each = each
        self._total = total
        self._open: Counter[str] = Counter()
        self._all = 0

    @property
    def open(self) -> int:
        return self._all

    @contextmanager
    def held(self, who: str) -> Iterator[None]:
        """A place for `who`, until the end of the block. Raises Exhausted."""
        if self._open[who] >= self._each:
            raise Exhausted(f"{self._each} streams and long polls of one {self._what} are enough", headers=WAIT)
        if self._all >= self._total:
            raise Exhausted("all places for streams and long polls are taken; try again soon", headers=WAIT)
        self._open[who] += 1
        self._all += 1
        try:
            yield
        finally:
            self._all -= 1
            self._open[who] -= 1
            if not self._open[who]:
                del self._open[who]
