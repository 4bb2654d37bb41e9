"""Time, handed in: whoever decides by the clock takes one, so that tests never sleep."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns now, always with a zone, always UTC."""


def wall() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)
