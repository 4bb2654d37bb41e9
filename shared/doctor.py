"""Findings: what is there, what is missing, and how to mend it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `mend` says what to do where `ok` is false."""

    ok: bool
    what: str
    detail: str = ""
    mend: str = ""
