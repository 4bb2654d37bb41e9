"""Which of the branches that wait is tested next, and which are not tested any more, with the reason. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

Policy = Literal["newest", "all"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A branch that one executor has before it. `begun`: its run is open and is ended in any case."""

    key: str
    stream: str
    announced: datetime
    begun: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """What to take up now ("" for nothing), and what to drop."""

    take: str = ""
    drop: Mapping[str, str] = field(default_factory=dict)


def choose(waiting: Iterable[Waiting], policy: Policy, oldest: timedelta, now: datetime) -> Choice:
    """What was begun comes first. Of the others the newest of each stream, or all from the oldest on."""
    by_age = sorted(waiting, key=lambda w: (w.announced, w.key))
    fresh = [w for w in by_age if not w.begun]
    drop = {w.key: f"announced over {_say(oldest)} ago" for w in fresh if now - w.announced > oldest}
    if policy == "newest":
        newest = {w.stream: w.key for w in fresh}
        drop |= {
            w.key: "a newer branch of its stream came before it was begun"
            for w in fresh
            if newest[w.stream] != w.key and w.key not in drop
        }
    left = [w for w in by_age if w.key not in drop]
    take = min(left, key=lambda w: not w.begun, default=None)
    return Choice(take.key if take else "", drop)


def _say(age: timedelta) -> str:
    return f"{age.total_seconds() / 3600:g} h"
