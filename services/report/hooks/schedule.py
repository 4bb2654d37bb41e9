"""What comes after an attempt: done, again and when, given up, or the endpoint disabled. Pure.

The schedule is that of Standard Webhooks, some 75 hours in all. A retry is never earlier than it says, and up to a
tenth later, so that what failed together does not come back together. Besides, an endpoint that fails rests as a
whole, up to five minutes: it is asked once in a while, not once for every event that waits for it.
"""

from dataclasses import dataclass
from typing import Literal

WAITS = (0.0, 5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)
"""Seconds before the first attempt, the second, …"""

JITTER = 0.1
ASKED_MOST = 86400.0
"""Seconds: what a receiver may ask for by Retry-After."""
THROTTLING = (429, 502, 503, 504)
GONE = 410

Outcome = Literal["delivered", "failed", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class Next:
    """What becomes of a delivery after an attempt, and of its endpoint.

    `wait`, of a delivery that is due again, and `rest`, of the endpoint, are in seconds. `disable` says why.
    """

    state: Literal["delivered", "due", "failed"]
    wait: float = 0.0
    rest: float = 0.0
    disable: str = ""


@dataclass(frozen=True, slots=True)
class Past:
    """What went before. `tries` counts this attempt; `failures` are the endpoint's in a row, this one included if it
    is one. `others_succeed`: something was delivered there since this delivery was first tried."""

    tries: int
    failures: int
    ping: bool = False
    others_succeed: bool = False


def after(past: Past, outcome: Outcome, status: int | None, asked: float | None, chance: float) -> Next:
    """`asked` are the seconds of Retry-After if there was one; `chance` is from 0 to 1."""
    if outcome == "delivered":
        return Next("delivered")
    if status == GONE:
        return Next("failed", disable="it answered 410: gone")
    if past.ping:
        return Next("failed")
    asked = min(asked, ASKED_MOST) if asked is not None and status in THROTTLING else 0.0
    rest = max(asked, rest_after(past.failures))
    if past.tries >= len(WAITS):
        # One event that it can't digest is no reason to keep all others from an endpoint.
        return Next("failed", rest=rest, disable="" if past.others_succeed else _exhausted())
    wait = WAITS[past.tries] * (1 + JITTER * chance)
    return Next("due", max(wait, asked), rest)


def _exhausted() -> str:
    return f"nothing could be delivered in {len(WAITS)} attempts over {sum(WAITS) / 3600:.0f} hours"


def rest_after(failures: int) -> float:
    """Seconds that an endpoint rests after so many failures in a row: never longer than the schedule waits."""
    return min(300.0, 5.0 * 2.0 ** min(10, failures - 1)) if failures > 0 else 0.0
