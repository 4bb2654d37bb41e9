"""Tokens as their holders see them, and what a scope allows. Pure.

``netci_<id>_<secret><checksum>``: the id (8 letters or digits) is public and names the token in lists and logs; the
secret is 40 letters or digits, some 238 bits of chance; the last six are a checksum, so that secret scanners know a
real one from a look-alike, and a slip of the pen is told without asking the database.
"""

import hashlib
import re
import secrets
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
FORM = re.compile(r"netci_(?P<id>[0-9A-Za-z]{8})_(?P<secret>[0-9A-Za-z]{40})(?P<sum>[0-9A-Za-z]{6})")


class Right(StrEnum):
    """What a token may do. The first two take a glob, as in ``results:write:vmksft-*``."""

    RESULTS = "results:write"
    CHECKS = "checks:write"
    EVENTS = "events:read"
    HOOKS = "hooks:manage"
    HARDWARE = "hw:lease"
    ADMIN = "admin"


GLOBBED = (Right.RESULTS, Right.CHECKS)


@dataclass(frozen=True, slots=True)
class Scope:
    """One right of a token, for the names that `glob` matches."""

    right: Right
    glob: str = ""

    def __str__(self) -> str:
        return f"{self.right}:{self.glob}" if self.glob else str(self.right)

    @classmethod
    def parse(cls, text: str) -> "Scope":
        """Raises ValueError for what is no scope."""
        for right in Right:
            if text == right and right not in GLOBBED:
                return cls(right)
            if right in GLOBBED and text.startswith(f"{right}:"):
                return cls(right, _glob(text.removeprefix(f"{right}:")))
        known = ", ".join(f"{r}:<glob>" if r in GLOBBED else str(r) for r in Right)
        raise ValueError(f"{text!r} is no scope; there are {known}")


def _glob(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.*?-]{1,100}", text):
        raise ValueError(f"{text!r} is no glob of a name: letters, digits, . _ - and * ?")
    return text


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was shown and holds. `remote` is the one lab whose objects it may write, "" for none.

    `projects` are those whose own events it may read; none named means all of them.
    """

    id: str
    name: str
    remote: str
    scopes: tuple[Scope, ...]
    projects: tuple[str, ...] = ()
    sandbox: bool = False
    expires: datetime | None = None

    def may(self, right: Right, name: str = "") -> bool:
        """Whether it has `right`, for `name` where the right is for names."""
        return any(s.right is right and (not s.glob or fnmatchcase(name, s.glob)) for s in self.scopes)

    @property
    def admin(self) -> bool:
        return self.may(Right.ADMIN)

    def reads(self, project: str) -> bool:
        """Whether the project's own events are for it."""
        return self.admin or (self.may(Right.EVENTS) and (not self.projects or project in self.projects))


@dataclass(frozen=True, slots=True)
class Minted:
    """A new token: `text` is shown once, `digest` is kept."""

    id: str
    text: str
    digest: bytes


def mint() -> Minted:
    """Make a token by chance."""
    id_, secret = _chance(8), _chance(40)
    body = f"netci_{id_}_{secret}"
    text = body + checksum(body)
    return Minted(id_, text, digest_of(text))


def _chance(length: int) -> str:
    return "".join(secrets.choice(_DIGITS) for _ in range(length))


def checksum(body: str) -> str:
    """Six digits of base 62 over all that stands before them (CRC-32)."""
    value, out = zlib.crc32(body.encode()), ""
    for _ in range(6):
        value, rest = divmod(value, 62)
        out = _DIGITS[rest] + out
    return out


def digest_of(text: str) -> bytes:
    """What is stored: a token has too much chance in it to be guessed from this."""
    return hashlib.sha256(text.encode()).digest()


def id_of(text: str) -> str | None:
    """The public id of a well-formed token; None if it is none, or was copied wrongly."""
    match = FORM.fullmatch(text)
    if match is None or checksum(text[:-6]) != match["sum"]:
        return None
    return match["id"]


def parse_scopes(texts: Iterable[str]) -> tuple[Scope, ...]:
    """Raises ValueError naming the first that is none."""
    return tuple(Scope.parse(text) for text in texts)


def writes(scopes: Sequence[Scope]) -> bool:
    """Whether any of them writes what belongs to a remote."""
    return any(s.right in (*GLOBBED, Right.HARDWARE) for s in scopes)
