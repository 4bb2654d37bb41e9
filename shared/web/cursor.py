"""Where a reader of the log is: a number, and the epoch it belongs to.

A restored backup goes on with numbers that were given out before for other events. So a cursor carries the first
eight hex digits of the log's epoch: ``17-6f1c9a20``. A bare number is taken as of the present epoch.
"""

import re
from dataclasses import dataclass
from typing import Any

from shared.errors import Refused

_FORM = re.compile(r"(?P<n>[0-9]{1,18})(?:-(?P<epoch>[0-9a-f]{8}))?")


@dataclass(frozen=True, slots=True)
class Cursor:
    sequence: int
    epoch: str = ""

    def __str__(self) -> str:
        return f"{self.sequence}-{self.epoch}" if self.epoch else str(self.sequence)


@dataclass(frozen=True, slots=True)
class Log:
    """What is known of the log: its last number, the oldest kept (None: nothing is), the epoch."""

    last: int
    oldest: int | None
    epoch: str

    def gap(self, cursor: Cursor) -> bool:
        """Whether events after `cursor` are gone, or never were what the reader takes them for."""
        if cursor.epoch and cursor.epoch != self.epoch:
            return True
        if cursor.sequence > self.last:
            return True
        oldest = self.last + 1 if self.oldest is None else self.oldest
        return cursor.sequence < oldest - 1

    @property
    def begin(self) -> int:
        """The cursor after which everything kept comes."""
        return self.last if self.oldest is None else self.oldest - 1


def parse_cursor(text: str) -> Cursor:
    """Raises Refused."""
    if (match := _FORM.fullmatch(text.strip())) is None:
        raise Refused(f"not a cursor: {text[:40]!r}; one looks like 17 or 17-6f1c9a20")
    return Cursor(int(match["n"]), match["epoch"] or "")


def log_of(row: Any) -> Log:
    """From the statement `log_state`."""
    return Log(row["last"], row["oldest"], row["epoch"].hex[:8])
