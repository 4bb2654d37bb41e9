"""How a machine stands, and what follows from one more good or bad experience with it. Pure, but for the Protocol.

A machine that fails is suspect, and after some failures in a row quarantined: it is given to nobody until a person says
so. One that is in maintenance is a person's. Whatever a lease does to a machine is dirt until it was reset: the book
says so before it is done, so that a lease which never ended is cleaned up after by the next one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

from shared.formats.clean import cut, plain


class State(StrEnum):
    HEALTHY = "healthy"
    SUSPECT = "suspect"
    QUARANTINED = "quarantined"
    MAINTENANCE = "maintenance"


@dataclass(frozen=True, slots=True)
class Standing:
    """`failures` in a row, the last one because of `why`. `dirty`: somebody had it and has not reset it. `lease`
    is the youngest number that it was leased by. `facts` are what it last said of itself.
    """

    state: State = State.HEALTHY
    failures: int = 0
    why: str = ""
    dirty: bool = False
    lease: int = 0
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        return self.state in (State.HEALTHY, State.SUSPECT)


def well(now: Standing) -> Standing:
    """It was reset, and is sound."""
    state = now.state if now.state is State.MAINTENANCE else State.HEALTHY
    return replace(now, state=state, failures=0, why=now.why if state is State.MAINTENANCE else "", dirty=False)


def failed(now: Standing, why: str, most: int) -> Standing:
    """It is broken, or does not answer; `most` times in a row are too many."""
    failures = now.failures + 1
    state = State.QUARANTINED if failures >= most else State.SUSPECT
    if not now.usable:
        state = now.state
    return replace(now, state=state, failures=failures, why=cut(plain(why), 300), dirty=True)


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What a machine says otherwise than the last time; "" the first time."""
    if not before:
        return ""
    keys = [key for key in sorted({*before, *now}) if before.get(key, "") != now.get(key, "")]
    return cut("; ".join(f"{key}: {before.get(key) or 'none'} → {now.get(key) or 'none'}" for key in keys), 300)


class Book(Protocol):
    """Kept durably, and by whoever holds the machine's lease alone."""

    async def standing(self, machine: str) -> Standing: ...

    async def write(self, machine: str, standing: Standing) -> None: ...
