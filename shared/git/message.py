"""A mail as `git am` reads it: author, date, message and diff.

`git mailinfo` does the reading; what `git am` does around it (line ends before, white space and names after) is
repeated here to the letter, because the commits must be the same. It refuses to know whether the diff applies.
"""

import codecs
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from shared.git.process import GitError
from shared.git.store import Store
from shared.model.mails import Person

# ident.c keeps these from the ends of a name or an address.
_CRUD = bytes(range(33)) + b".,:;<>\"\\'"
_BLANK = b" \t\r"
_NONCHARACTER = re.compile(
    "[\ufdd0-\ufdef" + "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF)) + "]"
)


@dataclass(frozen=True, slots=True)
class Letter:
    """What git read out of a mail. `author` is an ident without date, `date` as in the mail, or made from `now`."""

    number: int
    subject: str
    author: bytes
    date: bytes
    message: bytes
    diff: bytes
    diff_file: Path


@dataclass(frozen=True, slots=True)
class NotAMail:
    """Why git could make no commit of a mail."""

    number: int
    subject: str
    reason: str


async def read_letter(store: Store, folder: Path, number: int, mail: bytes, now: datetime) -> Letter | NotAMail:
    """Read mail `number`; `folder` takes the two files that `git mailinfo` writes."""
    body, diff = folder / f"message-{number}", folder / f"diff-{number}"
    try:
        ran = await store.git("mailinfo", str(body), str(diff), stdin=without_cr(mail) or b"\n")
    except GitError as error:
        if error.rc not in (1, 128):
            raise
        said = error.stderr.replace(str(diff), "mail").strip()[-300:]
        return NotAMail(number, "", f"git cannot read the mail: {said}")
    return _letter(number, ran.out, body.read_bytes(), diff, now)


def without_cr(mail: bytes) -> bytes:
    """The mail with the line ends that `git mailsplit` leaves it: the last carriage return of a line is dropped."""
    return mail.replace(b"\r\n", b"\n")


def _letter(number: int, info: bytes, log: bytes, diff_file: Path, now: datetime) -> Letter | NotAMail:
    facts = _facts(info)
    subject = facts["Subject"].decode("utf-8", "replace")
    message = compose(facts["Subject"], log)
    name, email = clean_name(facts["Author"]), clean_name(facts["Email"])
    diff = diff_file.read_bytes()
    if not name:
        return NotAMail(number, subject, "the mail names no author")
    if b"\0" in message:
        return NotAMail(number, subject, "a NUL in the message")
    if not diff.strip():
        return NotAMail(number, subject, "there is no diff in the mail")
    author = as_utf8(name + b" <" + email + b">")
    return Letter(number, subject, author, facts["Date"] or rfc2822(now), as_utf8(message), diff, diff_file)


def _facts(info: bytes) -> dict[str, bytes]:
    """The lines that mailinfo prints; of a repeated one the last counts, but subjects are lines of one."""
    facts = dict.fromkeys(("Author", "Email", "Subject", "Date"), b"")
    for line in info.split(b"\n"):
        key, colon, value = line.partition(b": ")
        word = key.decode("ascii", "replace")
        if colon and word in facts:
            facts[word] = facts[word] + b"\n" + value if word == "Subject" and facts[word] else value
    return facts


def compose(subject: bytes, log: bytes) -> bytes:
    """The commit message that `git am` makes of a subject and the text below it."""
    return stripspace(subject + b"\n\n" + log)


def stripspace(text: bytes) -> bytes:
    """As git-stripspace(1): no blanks at line ends, no blank lines at the ends, one where there were several."""
    lines = [line.rstrip(_BLANK) for line in text.split(b"\n")]
    kept = re.sub(rb"\n{3,}", b"\n\n", b"\n".join(lines)).strip(b"\n")
    return kept + b"\n" if kept else b""


def as_utf8(text: bytes) -> bytes:
    """As git writes a commit that is to be UTF-8: a byte that is not becomes the Latin-1 letter that it would be.

    git counts the noncharacters of Unicode among the invalid ones.
    """
    letters = text.decode("utf-8", "netci-latin1")
    return _NONCHARACTER.sub(lambda found: found[0].encode().decode("latin-1"), letters).encode()


def _latin1(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return chr(error.object[error.start]), error.start + 1


codecs.register_error("netci-latin1", _latin1)


def clean_name(name: bytes) -> bytes:
    """A name or an address as git writes it into a commit."""
    return name.strip(_CRUD).translate(None, b"\n<>")


def ident(person: Person) -> bytes:
    """A person as git writes it into a commit; who has no name goes by the address."""
    name = clean_name((person.name or person.email).encode())
    return name + b" <" + clean_name(person.email.encode()) + b">"


def rfc2822(when: datetime) -> bytes:
    """A date as mails and `git fast-import` write it."""
    return when.astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S +0000").encode()
