"""One attempt: resolve, judge the addresses, sign, send, read the answer. It decides nothing about what comes after.

The name is resolved at each attempt, each address that it leads to is judged, and the connection is made to one of
these and to nothing else: a name that leads elsewhere the second time it is asked leads us nowhere.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import structlog

from services.report.hooks.address import Target, parse, shown_location
from services.report.hooks.schedule import ASKED_MOST, Outcome
from services.report.hooks.seal import Seal
from services.report.hooks.store import Parcel
from shared.errors import NetciError, Refused, Transient
from shared.formats.clean import plain
from shared.formats.retry_after import seconds_asked
from shared.formats.signed import sign
from shared.http import Answer, Http, Unsent, trusting
from shared.net import Reach

log = structlog.get_logger(__name__)

TIMEOUT = 20.0
KEPT = 1024
"""Bytes of an answer that are kept for the log."""
ADDRESSES = 4
"""Of one name, tried one after the other while nothing was sent."""
MOST_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt ended. `asked` are the seconds of Retry-After; `headers` are those sent, the signature aside."""

    outcome: Outcome
    status: int | None = None
    answer: str = ""
    error: str = ""
    address: str = ""
    asked: float | None = None
    seconds: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)


def client(public_url: str, ca_file: Path | None) -> Http:
    """The client for all receivers."""
    agent = f"netci (+{public_url})"
    headers = {"User-Agent": agent, "Accept": "*/*", "Accept-Encoding": "identity"}
    try:
        trust = trusting(ca_file)
    except OSError as exc:
        raise Refused(f"webhooks.ca_file: {ca_file}: {exc.strerror or exc}") from None
    return Http("webhook", headers=headers, timeout=TIMEOUT, connections=MOST_AT_ONCE, trust=trust)


async def reach_of(target: Target, reach: Reach) -> tuple[str, ...]:
    """The addresses to connect to. Raises Refused for private ones, and for http where it is not in our networks."""
    addresses = await reach.addresses(target.host, target.port)
    if target.scheme == "http" and not all(reach.ours(address) for address in addresses):
        raise Refused(f"http to {target.host} is refused: use https (http is for networks of outgoing.allow_private)")
    return addresses


@dataclass(frozen=True, slots=True)
class Carrier:
    """Carries parcels out."""

    http: Http
    reach: Reach
    seal: Seal
    patience: float = TIMEOUT

    async def carry(self, parcel: Parcel, now: datetime) -> Ended:
        """Never raises for what the outside does. Raises InfraError where a secret can't be opened."""
        began = time.monotonic()
        headers = self.headers(parcel, now)
        try:
            ended = await self._send(parse(parcel.url), parcel.body.encode(), headers, now)
        except Refused as exc:
            ended = Ended("refused", error=str(exc))
        except Transient as exc:
            ended = Ended("failed", error=str(exc))
        except TimeoutError:
            ended = Ended("failed", error=f"no answer within {self.patience:g} s")
        except Exception as exc:
            # Raised on, it would end the sender, and every receiver would wait for the one that brought it about.
            log.exception("webhook: broke", hook=parcel.hook)
            ended = Ended("failed", error=f"the fault is ours: {type(exc).__name__}")
        kept = {name: value for name, value in headers.items() if name != "webhook-signature"}
        seconds = round(time.monotonic() - began, 3)
        return replace(ended, error=plain(ended.error)[:500], seconds=seconds, headers=kept)

    def headers(self, parcel: Parcel, now: datetime) -> dict[str, str]:
        """Signed with the secret and, for a while after it was turned, with the one before as well."""
        sealed = [parcel.secret]
        if parcel.old_secret is not None and parcel.old_until is not None and parcel.old_until > now:
            sealed.append(parcel.old_secret)
        ident, at, body = str(parcel.event), int(now.timestamp()), parcel.body.encode()
        signatures = [sign(self.seal.open(parcel.hook, secret), ident, at, body) for secret in sealed]
        return {
            "Content-Type": "application/cloudevents+json",
            "webhook-id": ident,
            "webhook-timestamp": str(at),
            "webhook-signature": " ".join(signatures),
        }

    async def _send(self, target: Target, body: bytes, headers: Mapping[str, str], now: datetime) -> Ended:
        async with asyncio.timeout(self.patience):
            address, answer = await self._post(target, body, headers)
        asked = seconds_asked(answer.headers.get("retry-after", ""), ASKED_MOST, now)
        outcome: Outcome = "delivered" if 200 <= answer.status < 300 else "failed"
        text = "\n".join(map(plain, answer.text().splitlines()))
        return Ended(outcome, answer.status, text, await self._trouble(answer, target), address, asked)

    async def _post(self, target: Target, body: bytes, headers: Mapping[str, str]) -> tuple[str, Answer]:
        addresses = await reach_of(target, self.reach)
        for address in addresses[:ADDRESSES]:
            try:
                return address, await self.http.post(target.url, body, headers, most=KEPT, pin=address)
            except Unsent as exc:
                unsent = exc  # Nothing went out, so another address of the same name is no repetition.
        raise unsent

    async def _trouble(self, answer: Answer, target: Target) -> str:
        if 200 <= answer.status < 300:
            return ""
        if 300 <= answer.status < 400:
            return await self._redirect(answer, target)
        return f"answered {answer.status}; only 2xx is taken as delivered"

    async def _redirect(self, answer: Answer, target: Target) -> str:
        """What to say of an answer that sends us elsewhere: where to, and that we don't go there."""
        location = answer.headers.get("location", "")
        words = f"answered {answer.status} to {shown_location(location) or 'nowhere'}; redirects are not followed"
        try:
            parts = urlsplit(urljoin(target.url, location))
            await self.reach.addresses(parts.hostname or "", parts.port or 443)
        except Refused:
            return f"{words}, and that is a private address, which is refused"
        except (NetciError, ValueError):
            pass
        return words
