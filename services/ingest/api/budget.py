"""How many bytes of bodies one process holds at once. Whoever comes when it is full is told to come back."""

from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import Transient


class Share:
    """What one request holds."""

    def __init__(self, budget: "Budget") -> None:
        self._budget = budget
        self.size = 0

    def take(self, size: int) -> None:
        """Hold `size` bytes more. Raises Transient if they are not there."""
        if self._budget.held + size > self._budget.most:
            raise Transient("much is being sent just now; try again soon", headers={"Retry-After": "5"})
        self._budget.held += size
        self.size += size


class Budget:
    """`most` bytes at once, over all requests."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0

    @contextmanager
    def share(self) -> Iterator[Share]:
        """A share that is given back at the end."""
        share = Share(self)
        try:
            yield share
        finally:
            self.held -= share.size
