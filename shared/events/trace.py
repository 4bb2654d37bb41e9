"""W3C trace context, carried through events so that one series' way can be followed across rooms."""

import os
from contextvars import ContextVar

_current: ContextVar[str] = ContextVar("traceparent", default="")


def traceparent() -> str:
    """The current trace with a fresh span id; a new trace where none is current."""
    parts = _current.get().split("-")
    trace = parts[1] if len(parts) == 4 else os.urandom(16).hex()
    return f"00-{trace}-{os.urandom(8).hex()}-01"


def follow(parent: str) -> None:
    """Go on in the trace of `parent`, the traceparent of the event that is being handled."""
    _current.set(parent)
