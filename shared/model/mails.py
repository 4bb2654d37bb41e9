"""Mails as reviewers read them: who, which series, which patch of how many, and what they change."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Person:
    """A name and an address, as written; either may be empty, the address is lower-cased for comparing only."""

    name: str
    email: str

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>" if self.name else self.email


@dataclass(frozen=True, slots=True)
class Subject:
    """A parsed subject line.

    ``[PATCH net-next v2 1/3] tcp: x`` gives tags ``("net-next",)``, version 2, number 1, total 3 and title
    ``tcp: x``. `number` is None without ``n/m``; 0 is a cover letter. `tags` are the words of the prefix that
    are neither PATCH, RFC, RESEND, GIT, PULL, a version nor a number, in order, case kept, split at comma,
    slash and blank. `raw` is the unfolded, decoded line.
    """

    raw: str
    title: str
    tags: tuple[str, ...] = ()
    version: int = 1
    number: int | None = None
    total: int | None = None
    rfc: bool = False
    resend: bool = False
    pull: bool = False
    reply: bool = False


@dataclass(frozen=True, slots=True)
class Trailer:
    """One ``Key: value`` line of a commit message's last paragraph."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Mail:
    """One message. `body` is the decoded text, `diff` the part of it from the first diff header on.

    `message_id` and the references carry no angle brackets. `raw` is the message as it came, for git to read:
    what we parse here decides things, what git parses becomes the commit. `patchwork_id` is X-Patchwork-Id. `sender` is
    who mailed it (From), `author` who wrote it.
    """

    message_id: str
    subject: Subject
    author: Person
    date: datetime | None
    body: str
    diff: str
    raw: bytes = field(repr=False)
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    trailers: tuple[Trailer, ...] = ()
    patchwork_id: int | None = None
    sender: Person = Person("", "")


class ChangeKind(StrEnum):
    """What a diff does to one file."""

    ADD = "add"
    DELETE = "delete"
    MODIFY = "modify"
    RENAME = "rename"
    COPY = "copy"
    MODE = "mode"


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file of a diff. `path` is the new path (the old one for a deletion); paths are decoded, relative.

    `added` and `removed` count lines; `old_mode` and `new_mode` are git's octal modes as text where the diff
    names them. `binary` is true for ``GIT binary patch`` and ``Binary files differ``.
    """

    path: str
    kind: ChangeKind
    old_path: str = ""
    old_mode: str = ""
    new_mode: str = ""
    added: int = 0
    removed: int = 0
    binary: bool = False


@dataclass(frozen=True, slots=True)
class DiffFault:
    """Why a diff must not reach any tool: the rule, the line (from 1) and the words for a person."""

    rule: str
    line: int
    text: str
