"""How an executor stands on a stream: well, late or silent. Pure.

Judged by the newest branches. A branch counts from the moment at which it should have been tested; before that only
what was done on it does. It refuses to know what tests said: an executor whose tests all fail is well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

SILENT_AFTER = 3
"""Branches in a row without a run, after which an executor is not late but silent."""


class Standing(StrEnum):
    WELL = "well"
    LATE = "late"
    SILENT = "silent"

    @property
    def rank(self) -> int:
        return list(Standing).index(self)


@dataclass(frozen=True, slots=True)
class Attempted:
    """What an executor made of a branch. `state` is "" (nothing), open, done or abandoned; `due` when it should be
    done, of an open run its own expected end."""

    branch: str
    due: datetime
    state: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """A standing and why, with the branch that shows it."""

    standing: Standing
    text: str = ""
    branch: str = ""


WELL = Judged(Standing.WELL)


def judge(branches: Sequence[Attempted], now: datetime) -> Judged:
    """The standing from the newest branches of a stream, newest first."""
    missed: list[Attempted] = []
    for tried in branches:
        if tried.state == "done" or (tried.state == "open" and tried.due >= now):
            break
        if tried.state == "open" or tried.due < now:
            missed.append(tried)
    if not missed:
        return WELL
    newest = missed[0]
    if len(missed) >= SILENT_AFTER and all(tried.state != "open" for tried in missed):
        return Judged(Standing.SILENT, f"nothing on the last {len(missed)} branches that are due", newest.branch)
    return Judged(Standing.LATE, _late(newest), newest.branch)


def _late(tried: Attempted) -> str:
    match tried.state:
        case "open":
            return f"the run on {tried.branch} should have ended at {tried.due:%Y-%m-%d %H:%M} UTC"
        case "abandoned":
            return f"the run on {tried.branch} was given up"
        case _:
            return f"nothing on {tried.branch}, which was due at {tried.due:%Y-%m-%d %H:%M} UTC"


def behind(branches: Sequence[Attempted]) -> int | None:
    """How many branches are newer than the newest one that was done; None if none of them was."""
    return next((place for place, tried in enumerate(branches) if tried.state == "done"), None)
