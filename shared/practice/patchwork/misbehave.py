"""How a practice Patchwork misbehaves on the wire, on demand: which fault, for which requests, how often or how long.

`Misbehaviour` only decides; `server` carries out. The faults of events (lost, doubled, late) are of `faults`, and are
set here too, so that one control does for both. Nothing is random: a test that names a fault gets it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, get_args

from shared.errors import Refused
from shared.practice.patchwork.state import Patchwork

Kind = Literal["slow", "reset", "status", "html", "truncated", "hang", "drop-after", "shuffle-events"]
EventKind = Literal["lose-events", "double-events", "late-mails"]
KINDS = get_args(Kind)
EVENT_KINDS = get_args(EventKind)


@dataclass(slots=True)
class Fault:
    """One fault on the wire.

    slow: answer after `delay` seconds. reset: the connection is reset without a byte. status: answer `status`, with
    `Retry-After: retry_after` if given, as a proxy's HTML. html: 200 with a page for humans. truncated: the right
    headers, half of the body, then the connection ends. hang: no answer until the fault ends. drop-after: do what was
    asked, then reset without an answer. shuffle-events: the right events in the wrong order. (No listener at all is
    `Served.down`.)
    """

    kind: str
    """One of `KINDS`."""
    path: str = ""
    """A regular expression searched in path and query; empty is every request."""
    method: str = ""
    count: int | None = None
    """How many requests more; None is no limit."""
    until: float | None = None
    """Monotonic time of its end; None is never."""
    delay: float = 0.0
    status: int = 503
    retry_after: int | None = None

    def hits(self, method: str, target: str, now: float) -> bool:
        if self.over(now) or (self.method and self.method != method):
            return False
        return re.search(self.path, target) is not None

    def over(self, now: float) -> bool:
        return self.count == 0 or (self.until is not None and now >= self.until)


@dataclass(slots=True)
class Misbehaviour:
    pw: Patchwork
    clock: Callable[[], float] = time.monotonic
    faults: list[Fault] = field(default_factory=list)
    age: int = 0
    """Counts the calls of `clear`."""

    def add(
        self,
        kind: str,
        *,
        path: str = "",
        method: str = "",
        count: int | None = None,
        seconds: float | None = None,
        delay: float = 0.0,
        status: int = 503,
        retry_after: int | None = None,
        category: str = "series-completed",
    ) -> None:
        """Misbehave from now on, for `count` requests, `seconds`, or until `clear`. Several faults at once all apply.

        `lose-events` and `double-events` take a `category` and count events, `late-mails` counts mails. Raises
        `Refused`.
        """
        if kind in EVENT_KINDS:
            self._events(kind, category, 1 if count is None else count)
            return
        if kind not in KINDS:
            raise Refused(f"no misbehaviour {kind}; there are: {', '.join(KINDS + EVENT_KINDS)}")
        try:
            re.compile(path)
        except re.error as error:
            raise Refused(f"path is no regular expression: {error}") from None
        until = None if seconds is None else self.clock() + seconds
        self.faults.append(Fault(kind, path, method, count, until, delay, status, retry_after))

    def _events(self, kind: str, category: str, count: int) -> None:
        if kind == "lose-events":
            self.pw.faults.lose[category] += count
        elif kind == "double-events":
            self.pw.faults.double[category] += count
        else:
            self.pw.faults.late_mails += count

    def now(self, method: str, target: str) -> list[Fault]:
        """The faults of this request; uses up their counts."""
        moment = self.clock()
        self.faults = [fault for fault in self.faults if not fault.over(moment)]
        hits = [fault for fault in self.faults if fault.hits(method, target, moment)]
        for fault in hits:
            if fault.count is not None:
                fault.count -= 1
        return hits

    def holds(self, fault: Fault, since: int) -> bool:
        """Whether a fault met in the age `since` is still on (for requests that hang until it ends)."""
        return since == self.age and not (fault.until is not None and self.clock() >= fault.until)

    def clear(self) -> None:
        """Behave. Late events are released too."""
        self.age += 1
        self.faults.clear()
        self.pw.faults.lose.clear()
        self.pw.faults.double.clear()
        self.pw.faults.late_mails = 0
        self.pw.release()
