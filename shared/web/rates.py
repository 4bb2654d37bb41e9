"""How often one address may ask. Answers yes, or when to come back; knows nothing of what is asked for.

A bucket of `burst` requests a client, refilled by `rate` a second. Only reading is counted: what writes has a token,
and limits of its own. An address that is a trusted proxy itself, without a client named by it, is ourselves.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from shared.web.client import TRUSTED, address_of, is_trusted
from shared.web.errors import refuse

FREE = ("/static/", "/healthz", "/readyz", "/metrics")
REMEMBERED = 20_000
"""Addresses held at one time; the one that asked longest ago is forgotten first, and begins anew."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one request was told: seconds to wait (0: go on), requests left now, and the limit."""

    wait: float
    left: int
    burst: int
    rate: float

    @property
    def headers(self) -> dict[str, str]:
        """The fields of draft-ietf-httpapi-ratelimit-headers-10, and Retry-After for who must wait."""
        window = max(1, round(self.burst / self.rate))
        told = {
            "RateLimit-Policy": f'"default";q={self.burst};w={window}',
            "RateLimit": f'"default";r={self.left};t={max(1, round((self.burst - self.left) / self.rate))}',
        }
        return told | ({"Retry-After": str(int(self.wait) + 1)} if self.wait else {})


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Rates:
    """The buckets of one process."""

    def __init__(self, rate: float = 20, burst: int = 300, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, address: str) -> float:
        """0 if the request may go on, else the seconds until the next may."""
        return self.ask(address).wait

    def ask(self, address: str) -> Allowance:
        """Count a request of `address` (or of whatever is counted: a token's id)."""
        now = self._clock()
        bucket = self._buckets.pop(address, None) or _Bucket(self._burst, now)
        self._buckets[address] = bucket
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        bucket.left = min(self._burst, bucket.left + (now - bucket.at) * self.rate)
        bucket.at = now
        if bucket.left < 1:
            return Allowance((1 - bucket.left) / self.rate, 0, self._burst, self.rate)
        bucket.left -= 1
        return Allowance(0, int(bucket.left), self._burst, self.rate)

    @property
    def middleware(self) -> Any:
        @web.middleware
        async def within(request: web.Request, handler: Callable[..., Any]) -> web.StreamResponse:
            address = address_of(request)
            if request.method not in ("GET", "HEAD") or request.path.startswith(FREE):
                return await handler(request)  # type: ignore[no-any-return]
            if is_trusted(address, request.app.get(TRUSTED, ())) or not (told := self.ask(address)).wait:
                return await handler(request)  # type: ignore[no-any-return]
            words = f"over {self.rate:g} requests a second; the event stream tells what changes without asking"
            return refuse(request, 429, words, told.headers)

        return within
