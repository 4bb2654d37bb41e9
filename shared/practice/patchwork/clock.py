"""The time that a practice Patchwork writes down: never the same twice, so events have one order.

Without zone, as Patchwork's own; `offset` makes it the local time of a server that runs elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def utc_now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


class Ticking:
    """Reads `source` (UTC without zone) and steps a microsecond when it did not advance."""

    def __init__(self, source: Callable[[], datetime] = utc_now, offset: timedelta = timedelta(0)) -> None:
        self.source = source
        self.offset = offset
        self.last = datetime(1970, 1, 1)  # noqa: DTZ001 - Patchwork keeps time without zone

    def __call__(self) -> datetime:
        now = self.source() + self.offset
        self.last = now if now > self.last else self.last + timedelta(microseconds=1)
        return self.last
