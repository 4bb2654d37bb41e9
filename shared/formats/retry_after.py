"""Retry-After (RFC 9110 §10.2.3): how long a server asks to be left alone."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_DIGITS = 9


def seconds_asked(text: str, most: float, now: datetime | None = None) -> float | None:
    """The seconds in the header's `text`, `most` where it is more; None if it says nothing of use.

    A date is one of use only to who says what time it is: `now`.
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), most) if len(text) <= _DIGITS else most
    if now is None:
        return None
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max(0.0, (at - now) / timedelta(seconds=1)), most)
