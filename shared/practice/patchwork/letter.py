"""One mail as Patchwork reads it: headers, subject, marker, version, references, content.

It knows no project and no series. `read` refuses what Patchwork's parser refuses; a part whose bytes do not fit its
declared charset is passed over, so such a mail has no content and is dropped by the caller, without an error.
"""

from __future__ import annotations

import codecs
import email
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import Header, decode_header, make_header
from email.message import Message
from email.utils import mktime_tz, parsedate_tz

from shared.errors import Refused
from shared.practice.patchwork import diff as diffs

REPLY = re.compile(r"^(re)[:\s]\s*", re.I)
FORWARD = re.compile(r"^(re|fwd?)[:\s]\s*", re.I)
PREFIX = re.compile(r"^\[([^\]]*)\]\s*(.*)$")
MARKER = re.compile(r".*?([0-9]+)(?:/| of )([0-9]+)$")
VERSION = re.compile(r"^[vV](\d+)$")
SIGNATURE = re.compile(r"^(-- |_+)\n.*", re.S | re.M)
ADDRESS = re.compile(r'"?(.*?)"?\s*<([^>]+)>')


@dataclass(frozen=True, slots=True)
class Title:
    """A subject without `PATCH` and the project's own name."""

    name: str
    prefixes: tuple[str, ...]
    number: int | None
    total: int | None
    version: int


@dataclass(frozen=True, slots=True)
class Letter:
    msgid: str
    subject: str
    list_ids: tuple[str, ...]
    author: tuple[str | None, str]
    """Name and address."""
    date: datetime | None
    """UTC without zone; None when absent or unreadable."""
    references: tuple[str, ...]
    """Nearest ancestor first."""
    headers: str
    is_reply: bool
    diff: str | None
    content: str
    pull_url: str | None
    hint: str
    state: str
    delegate: str

    def title(self, link_name: str) -> Title:
        """The subject as the project shows it: `[net-next,v2,1/3] ...`."""
        text = _spaced(FORWARD.sub(" ", self.subject))
        prefixes, text = _prefixes(text, {"patch", link_name.lower()})
        number, total = _marker(prefixes)
        name = f"[{','.join(prefixes)}] {text}" if prefixes else text
        return Title(name, prefixes, number, total, _version(text, prefixes))


def read(raw: bytes) -> Letter:
    """Read one message.

    Raises `Refused` when From, Subject or Message-Id is missing or unreadable.
    """
    mail = email.message_from_bytes(raw)
    subject, msgid = _needed(mail, "Subject"), _needed(mail, "Message-Id")
    is_reply = bool(REPLY.match(subject))
    diff, content = (None, _comment(mail)) if is_reply else _patch(mail)
    return Letter(
        msgid=msgid[:255],
        subject=subject,
        list_ids=tuple(_list_ids(mail)),
        author=_author(_needed(mail, "From")),
        date=_date(clean(mail.get("Date")) or ""),
        references=tuple(_references(mail)),
        headers=_headers(mail),
        is_reply=is_reply,
        diff=diff,
        content=content,
        pull_url=diffs.pull_request(content),
        hint=(clean(mail.get("X-Patchwork-Hint")) or "").lower(),
        state=clean(mail.get("X-Patchwork-State")) or "",
        delegate=clean(mail.get("X-Patchwork-Delegate")) or "",
    )


def clean(value: object) -> str | None:
    """A header decoded and on one line; None when absent or hopeless."""
    header = _header(value)
    return None if header is None else _spaced(str(header)) or None


def _needed(mail: Message, name: str) -> str:
    value = clean(mail.get(name))
    if not value:
        raise Refused(f"the mail has no usable {name} header")
    return value


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _header(value: object, name: str | None = None) -> Header | None:
    if value is None:
        return None
    try:
        header = _made(decode_header(value), name)  # type: ignore[arg-type]
        header.encode()
    except (HeaderParseError, IndexError):
        return None
    return header


def _made(parts: list[tuple[bytes | str, str | None]], name: str | None) -> Header:
    """Bytes that do not fit the charset they claim are kept as unknown ones."""
    try:
        return make_header(parts, header_name=name, continuation_ws="\t")
    except (UnicodeDecodeError, LookupError, ValueError):
        unknown = [(part, "unknown-8bit") for part, _ in parts]
        return make_header(unknown, header_name=name, continuation_ws="\t")


def _headers(mail: Message) -> str:
    made = ((name, _header(value, name)) for name, value in mail.items())
    return "\n".join(f"{name}: {header.encode()}" for name, header in made if header is not None)


def _list_ids(mail: Message) -> Iterator[str]:
    for name in ("List-ID", "X-Mailing-List", "X-list"):
        value = clean(mail.get(name))
        if value:
            inside = re.search(r"<([^>]+)>", value)
            yield inside[1] if inside else value


def _author(value: str) -> tuple[str | None, str]:
    match = ADDRESS.match(value)
    return (match[1].strip() or None, match[2].strip()) if match else (None, value)


def _date(value: str) -> datetime | None:
    fields = parsedate_tz(value)
    if fields is None:
        return None
    try:
        return datetime.fromtimestamp(mktime_tz(fields), UTC).replace(tzinfo=None)
    except (OverflowError, ValueError, OSError):
        return None


def _references(mail: Message) -> Iterator[str]:
    parents = [clean(value) for value in mail.get_all("In-Reply-To", [])]
    lines = [clean(value) for value in mail.get_all("References", [])]
    older = [ref for line in lines if line for ref in reversed(line.split())]
    yield from dict.fromkeys([ref for ref in parents if ref] + older)


def _prefixes(text: str, dropped: set[str]) -> tuple[tuple[str, ...], str]:
    found: list[str] = []
    while match := PREFIX.match(text):
        found += [word for word in re.split(r"[,\s]+", match[1]) if word and word.lower() not in dropped]
        text = match[2]
    return tuple(found), _spaced(text)


def _marker(prefixes: tuple[str, ...]) -> tuple[int | None, int | None]:
    found = next(filter(None, map(MARKER.match, prefixes)), None)
    return (int(found[1]), int(found[2])) if found else (None, None)


def _version(text: str, prefixes: tuple[str, ...]) -> int:
    found = next(filter(None, map(VERSION.match, prefixes)), None) or re.search(r"\([vV](\d+)\)", text)
    return int(found[1]) if found else 1


def _parts(mail: Message) -> Iterator[tuple[str, str]]:
    """Subtype and text of every text part that can be decoded."""
    for part in mail.walk():
        if part.get_content_maintype() == "text":
            text = _decoded(part)
            if text is not None:
                yield part.get_content_subtype(), text


def _decoded(part: Message) -> str | None:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return None
    for charset in _charsets(part.get_content_charset()):
        try:
            return payload.decode(charset)
        except UnicodeDecodeError:
            continue
    return None


def _charsets(declared: str | None) -> tuple[str, ...]:
    try:
        if declared is not None:
            codecs.lookup(declared)
            return (declared,)
    except (LookupError, ValueError, TypeError):
        pass
    return ("utf-8", "windows-1252", "iso-8859-1")


def _patch(mail: Message) -> tuple[str | None, str]:
    diff: str | None = None
    text = ""
    for subtype, part in _parts(mail):
        if subtype in ("x-patch", "x-diff"):
            diff = part
        elif subtype == "plain":
            found, rest = (None, part) if diff else diffs.split(part)
            diff = diff or found
            text += rest.strip() + "\n"
    return diff, _trimmed(text)


def _comment(mail: Message) -> str:
    return _trimmed("".join(part.strip() + "\n" for subtype, part in _parts(mail) if subtype == "plain"))


def _trimmed(text: str) -> str:
    return SIGNATURE.sub("", text).strip()
