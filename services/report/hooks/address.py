"""Addresses that may be registered, and how one is shown to others. Pure: where a name leads is asked elsewhere."""

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from shared.errors import Refused
from shared.formats.clean import plain

MOST = 2000
PORTS = (80, 443)
"""Of the ports below 1024 those where HTTP is spoken: whoever registers must not make us talk to mail servers."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL in its parts. `host` is without brackets."""

    url: str
    scheme: str
    host: str
    port: int

    @property
    def netloc(self) -> str:
        """As it is in a URL: without the port that is usual."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return shown if self.port == _usual(self.scheme) else f"{shown}:{self.port}"

    @property
    def shown(self) -> str:
        """For lists and logs: without the query, which often holds a secret."""
        return f"{self.scheme}://{self.netloc}{urlsplit(self.url).path}"


def parse(url: str) -> Target:
    """Raises Refused, saying what is wrong with it."""
    if len(url) > MOST:
        raise Refused(f"url: over {MOST} characters")
    if not re.fullmatch(r"[\x21-\x7e]+", url):
        raise Refused("url: printable ASCII without blanks, other characters percent-encoded or as punycode")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise Refused(f"url: {exc}") from None
    return _checked(url, parts, port)


def _checked(url: str, parts: SplitResult, port: int | None) -> Target:
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise Refused("url: https://host/path")
    if "@" in parts.netloc:
        raise Refused("url: a name or password does not belong in it; requests are signed instead")
    if "\\" in url or "#" in url:
        raise Refused("url: no backslash and no fragment")
    port = _usual(parts.scheme) if port is None else port
    if port < 1024 and port not in PORTS:
        raise Refused(f"url: port {port} is not for HTTP; 80, 443 and those from 1024 on are")
    return Target(url, parts.scheme, parts.hostname, port)


def _usual(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def shown_location(location: str) -> str:
    """Where a redirect leads, fit for a log."""
    return plain(location.partition("?")[0])[:200]
