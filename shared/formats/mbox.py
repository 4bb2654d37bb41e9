"""Mails and mailboxes read into the model: who sent what, as which patch of how many, changing what.

Reads the mail as ``git mailinfo`` will, so that what we decide on is what becomes the commit: the diff is taken from
the bytes after the transfer encoding, whatever charset the mail claims; an in-body ``From:`` names the author. On any
bytes the answer is a `Mail` or `Refused`. Knows nothing of threads and series.
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message
from email.utils import parsedate_to_datetime

from shared.errors import Refused
from shared.formats.clean import cut, plain
from shared.formats.encoded import decode_header, decoded, untransferred
from shared.formats.subject import parse_subject
from shared.formats.trailers import trailers
from shared.model.mails import Mail, Person

MAIL_BYTES = 32 << 20
_PARTS = 50
_HEADER_KEPT = 1 << 16
_ID_KEPT = 998
_REFERENCES_KEPT = 200
_DAY = rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ 0-3]?[0-9] [0-9:]{5,8}[^\n]{0,40}?[0-9]{4}[^\n]{0,40}"
_FROM = re.compile(rb"(?:\A|(?<=\n))From [^\s]{1,400} {1,3}" + _DAY + rb"\r?\n(?=[!-9;-~]{1,80}:)")
_SEPARATOR = b"From mboxrd@z Thu Jan  1 00:00:00 1970\n"
_UNESCAPED = re.compile(rb"^(>*From )", re.M)
_ESCAPED = re.compile(rb"^>(>*From )", re.M)
_ID = re.compile(r"<([^<>\s]+)>")
_ADDRESS = re.compile(r"(.*)<([^<>]*)>[^<>]*", re.S)
_COMMENT = re.compile(r"(\S+)\s+\((.*)\)\s*", re.S)
_DIFF = re.compile(rb"^(?:diff -|Index: |--- [^\s])", re.M)
_IN_BODY = re.compile(r"\n{0,9}(?:(?:Subject|Date):[^\n]*\n){0,2}From:[ \t]*([^\n]{1,400}@[^\n]*)(?:\n|\Z)", re.I)


def split_mbox(raw: bytes) -> list[bytes]:
    """The mails of a mailbox, without their ``From `` lines.

    A separator is a ``From `` line with a date that a header follows, for Patchwork escapes nothing and commit
    messages say "From now on". Only mailboxes of the mboxrd kind, which name themselves so in that line as
    public-inbox and git do, get their ``>From`` back: elsewhere the author wrote it. Without any separator the
    whole is one mail; of nothing there is none.
    """
    starts = list(_FROM.finditer(raw))
    if not starts:
        return [raw] if raw.strip() else []
    ends = [found.start() for found in starts[1:]] + [len(raw)]
    mails = [raw[: starts[0].start()]] if raw[: starts[0].start()].strip() else []
    for found, end in zip(starts, ends, strict=True):
        mail = raw[found.end() : end]
        # The blank line before the next separator belongs to the mailbox.
        mail = mail[:-1] if mail.endswith(b"\n\n") and end < len(raw) else mail
        mails.append(_ESCAPED.sub(rb"\1", mail) if found[0].startswith(b"From mboxrd@z ") else mail)
    return mails


def unpacked(data: bytes, most: int) -> bytes:
    """A mailbox that may be packed by gzip, as archives give it out. Raises `Refused` beyond `most` bytes."""
    plain = data
    if data.startswith(b"\x1f\x8b"):
        unpacker = zlib.decompressobj(wbits=31)
        try:
            plain = unpacker.decompress(data, most + 1)
        except zlib.error as exc:
            raise Refused(f"it is no gzip file: {exc}") from None
        if len(plain) <= most and not unpacker.eof:
            raise Refused("the gzip file ends early")
    if len(plain) > most:
        raise Refused(f"more than {most} bytes are not read")
    return plain


def join_mbox(mails: Iterable[bytes]) -> bytes:
    """A mailbox of the mboxrd kind, from which `split_mbox` gives the mails back."""
    return b"\n".join(_SEPARATOR + _UNESCAPED.sub(rb">\1", mail) for mail in mails)


def parse_mail(raw: bytes) -> Mail:
    """One mail. Raises `Refused` if it is larger than `MAIL_BYTES`, nested too deep, or has no mail header.

    Absent or broken fields are empty, a broken date is None. `diff` is decoded as UTF-8 with U+FFFD for what is
    not, and may hold NULs: `shared.formats.diff.faults` says so. `author` is the in-body one where there is one,
    as in the commit.
    """
    if len(raw) > MAIL_BYTES:
        raise Refused(f"mail of {len(raw)} bytes, more than {MAIL_BYTES} are not read")
    if raw.count(b"multipart/") > _PARTS:
        raise Refused("mail with too many parts")
    try:
        message = message_from_bytes(_unix(raw.lstrip(b"\r\n")))
        headers = _headers(message)
        payload = list(_texts(message))
    # The standard library's mail parser raises nearly anything on hostile input (ValueError, IndexError,
    # RecursionError …); which of them it was helps nobody.
    except Exception as error:
        raise Refused(f"mail that cannot be taken apart: {type(error).__name__}") from error
    if not headers.keys() & {"message-id", "subject", "from"}:
        raise Refused("no mail: neither Message-Id nor Subject nor From")
    return _mail(raw, headers, payload)


def _mail(raw: bytes, headers: dict[str, str], payload: list[tuple[bytes, str]]) -> Mail:
    sender = parse_person(headers.get("from", ""))
    body = "\n".join(decoded(part, charset) for part, charset in payload).replace("\r\n", "\n")
    patchwork_id = headers.get("x-patchwork-id", "").strip()
    return Mail(
        message_id=_message_id(headers.get("message-id", "")),
        subject=parse_subject(plain(decode_header(headers.get("subject", "")))),
        author=_in_body_author(body) or sender,
        date=parse_date(headers.get("date", "")),
        body=body,
        diff=_diff(b"\n".join(part for part, _ in payload)),
        raw=raw,
        in_reply_to=next(iter(_ids(headers.get("in-reply-to", ""))), ""),
        references=_ids(headers.get("references", "")),
        trailers=trailers(body),
        patchwork_id=int(patchwork_id) if re.fullmatch(r"[0-9]{1,18}", patchwork_id) else None,
        sender=sender,
    )


def _unix(raw: bytes) -> bytes:
    """Line ends as ``git mailsplit`` makes them: a mail whose headers end in CRLF was sent so as a whole."""
    return raw.replace(b"\r\n", b"\n") if raw[: raw.find(b"\n") + 1].endswith(b"\r\n") else raw


def _headers(message: Message) -> dict[str, str]:
    """The first of each header, raw. Patchwork puts its own before those of the sender."""
    first: dict[str, str] = {}
    for name, value in message.raw_items():
        first.setdefault(name.lower(), str(value)[:_HEADER_KEPT])
    return first


def _texts(message: Message) -> Iterator[tuple[bytes, str]]:
    """The text parts, attached patches among them, each with its charset. HTML is for nobody here."""
    for part in message.walk():
        if part.is_multipart() or part.get_content_maintype() != "text" or part.get_content_subtype() == "html":
            continue
        encoding = _headers(part).get("content-transfer-encoding", "")
        # Without the header the library hands out the bytes as they are; its own decoders raise.
        del part["Content-Transfer-Encoding"]
        raw = part.get_payload(decode=True)
        if isinstance(raw, bytes):
            yield untransferred(raw, encoding), part.get_content_charset("")


def _diff(payload: bytes) -> str:
    found = _DIFF.search(payload)
    return payload[found.start() :].decode("utf-8", "replace") if found else ""


def _message_id(value: str) -> str:
    ids = _ids(value)
    return ids[0] if ids else plain(decode_header(value)).strip(" <>")[:_ID_KEPT]


def _ids(value: str) -> tuple[str, ...]:
    return tuple(found[:_ID_KEPT] for found in _ID.findall(plain(decode_header(value)))[-_REFERENCES_KEPT:])


def _in_body_author(body: str) -> Person | None:
    found = _IN_BODY.match(body)
    return parse_person(found[1]) if found else None


def parse_person(value: str) -> Person:
    """A ``From`` value, raw: ``Name <address>``, ``address (Name)`` or an address alone."""
    if found := _ADDRESS.fullmatch(value):
        name, email = found[1], found[2]
    elif found := _COMMENT.fullmatch(value):
        name, email = found[2], found[1]
    else:
        name, email = ("", value) if "@" in value else (value, "")
    name = plain(decode_header(name)).strip().removeprefix('"').removesuffix('"').replace('\\"', '"')
    return Person(cut(name.strip(), 400), cut(plain(decode_header(email)).strip(), 400))


def parse_date(value: str) -> datetime | None:
    """A ``Date`` value with its offset, UTC if it names none; None if it is no date."""
    try:
        date = parsedate_to_datetime(decode_header(value)[:200])
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        date.astimezone(UTC)
    # The year 9999 in the far west has no UTC time, and every other nonsense raises one of these.
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return date
