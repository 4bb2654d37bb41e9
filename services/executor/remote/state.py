"""How the running process stands with the server, for `netci remote status`: a small file, written when it changes."""

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from services.executor.remote.spool import Spool
from shared.clock import Clock

NAME = "state.json"
FRESH = timedelta(seconds=10)
"""A contact that is newer than this is not worth a write of its own."""


@dataclass
class Standing:
    """`contact` is when the server last answered; `trouble` why posting waits, `following` why nothing is heard."""

    contact: str = ""
    heard: str = ""
    trouble: str = ""
    denied: str = ""
    following: str = ""
    waiting: dict[str, str] = field(default_factory=dict)


class State:
    """Kept by the process that runs."""

    def __init__(self, spool: Spool, clock: Clock) -> None:
        self._spool, self._clock = spool, clock
        self.now = Standing()
        self._written = Standing()

    def answered(self) -> None:
        self.now.contact = self._clock().isoformat()
        self.now.trouble = ""
        self.note()

    def heard(self) -> None:
        self.now.heard = self._clock().isoformat()
        self.now.following = ""
        self.note()

    def note(self) -> None:
        """Write it down if there is news in it."""
        if self._is_old():
            self._spool.write(NAME, json.dumps(asdict(self.now)))
            self._written = Standing(**asdict(self.now))

    def _is_old(self) -> bool:
        now, then = asdict(self.now), asdict(self._written)
        times = [(now.pop(name), then.pop(name)) for name in ("contact", "heard")]
        return now != then or any(a and (not b or _apart(a, b) > FRESH) for a, b in times)


def _apart(a: str, b: str) -> timedelta:
    return abs(datetime.fromisoformat(a) - datetime.fromisoformat(b))


def read(spool: Spool) -> Standing:
    """As it was written last."""
    try:
        return Standing(**json.loads(spool.read(NAME) or "{}"))
    except (ValueError, TypeError):
        return Standing()
