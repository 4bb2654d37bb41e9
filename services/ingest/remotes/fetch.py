"""Getting the files that a remote publishes, wherever it says they are.

An address from outside is followed over http and https only, to no private network unless `[outgoing] allow_private`
names it, over a few redirects at most; the connection goes to the very address that was judged. It refuses to know
what the files say.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from shared.errors import Missing, Refused, Transient
from shared.http import Answer, Http, client
from shared.net import Reach

REDIRECTS = 3
LONGEST_ASKED = 3600.0
"""Seconds; a server that asks for more is asked again all the same."""
_MOVED = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class Marks:
    """By what a server knows again what it gave us."""

    etag: str = ""
    modified: str = ""

    @property
    def headers(self) -> dict[str, str]:
        said = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in said.items() if value}


@dataclass(frozen=True, slots=True)
class File:
    """What a server gave: the bytes, and by what it knows them again."""

    body: bytes
    marks: Marks


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetches for one remote."""

    http: Http
    reach: Reach

    async def get(self, url: str, limit: int, marks: Marks = Marks()) -> File | None:
        """The file at `url`; None if it is the one of `marks`.

        Raises Refused for an address that is not followed, Missing where there is nothing, Transient for all else.
        """
        for _ in range(REDIRECTS + 1):
            answer = await self._ask(url, limit, marks)
            if answer.status not in _MOVED:
                return _file(url, answer)
            if not (where := answer.headers.get("location")):
                raise Transient(f"{url} is moved, it is not said where to")
            url = urljoin(url, where)
        raise Refused(f"more than {REDIRECTS} redirects, the last to {url[:300]}")

    async def _ask(self, url: str, limit: int, marks: Marks) -> Answer:
        host, port = where_of(url)
        try:
            addresses = await self.reach.addresses(host, port)
        except Refused as exc:
            raise Refused(f"{url[:300]}: {exc}; its operator may name it in [outgoing] allow_private") from None
        # Not packed: a small answer would unpack to a large one.
        headers = {"Accept-Encoding": "identity", **marks.headers}
        return await self.http.request("GET", url, headers=headers, limit=limit, pin=addresses[0])


def where_of(url: str) -> tuple[str, int]:
    """The host and port that an address leads to. Raises Refused for one that is not followed."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise Refused(f"{url[:300]!r} is no address: {exc}") from None
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        raise Refused(f"{url[:300]!r} is no address of a file: http(s)://host/path, without a login")
    return host, port or (443 if parts.scheme == "https" else 80)


def _file(url: str, answer: Answer) -> File | None:
    said = answer.headers
    match answer.status:
        case 304:
            return None
        case 200:
            # Longer ones would be stored and sent for ever.
            marks = Marks(
                *(text if len(text) <= 300 else "" for text in (said.get("etag", ""), said.get("last-modified", "")))
            )
            return File(answer.body, marks)
        case 404 | 410:
            raise Missing(f"{url[:300]} answers {answer.status}: there is nothing")
        case status:
            raise Transient(f"{url[:300]} answers {status}", retry_after=answer.retry_after(LONGEST_ASKED))


@asynccontextmanager
async def fetcher(name: str, reach: Reach, agent: str, timeout: float) -> AsyncIterator[Fetcher]:
    """A fetcher whose connections are closed at the end; `timeout` bounds one file."""
    async with client(f"remote {name}", headers={"User-Agent": agent}, timeout=timeout) as http:
        yield Fetcher(http, reach)
