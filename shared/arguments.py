"""Values of command lines, read as those of the configuration are."""

import argparse
from datetime import timedelta

from shared.settings import parse_duration


def duration(text: str) -> timedelta:
    """A time as ``90m`` or ``7d``, for an argument's `type`."""
    try:
        value = parse_duration(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text!r} is not {exc}") from None
    assert isinstance(value, timedelta)
    return value
