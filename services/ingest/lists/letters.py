"""What is kept of each mail of a list for putting series together. Pure.

A letter is a patch, a cover letter, a pull request, or anything else that is said on the list. What it is, its own
subject and contents say; what it belongs to, `threads` finds out.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from shared.formats.clean import cut
from shared.formats.pull import pull_request
from shared.formats.trailers import message_of
from shared.model.mails import Mail, Subject

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FAMILY = re.compile(r"-[0-9]{1,4}-")
_BASE = re.compile(r"^base-commit:[ \t]*([0-9a-f]{7,40})[ \t]*$", re.M | re.I)
_BEFORE = re.compile(r"^prerequisite-patch-id:[ \t]*([0-9a-f]{40})[ \t]*$", re.M | re.I)
_ON = re.compile(r"^(?:Based-on|Depends-on|prerequisite-message-id):[ \t]*(\S[^\n]{0,400})$", re.M | re.I)
_ID = re.compile(r"<?(?:https?://[^\s<>]*/)?([^\s<>/]+@[^\s<>/]+)/?>?")


class Kind(StrEnum):
    PATCH = "patch"
    COVER = "cover"
    PULL = "pull"
    TALK = "talk"


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail of a list. `digest` is of what the mail says, so that copies of one mail have the same.

    `sender` is the lower-case address of From, whoever is the author of the patch. `parent` is the mail it answers,
    `refs` all that it names, the oldest first. `sent` is what Date claims, 1970 where it claims nothing. `family` is
    what the Message-Ids of one ``git send-email`` or ``b4 send`` have in common; "" where nothing numbers them.
    """

    message_id: str
    digest: str
    kind: Kind
    sender: str
    subject: Subject
    parent: str = ""
    refs: tuple[str, ...] = ()
    sent: datetime = EPOCH
    family: str = ""
    change: str = ""

    @property
    def number(self) -> int:
        """Its number in its series; 0 is a cover letter, 1 a patch without a number."""
        return 0 if self.kind is Kind.COVER else 1 if self.subject.number is None else self.subject.number

    @property
    def total(self) -> int:
        return self.subject.total or 1

    @property
    def order(self) -> tuple[datetime, str, str]:
        """The order that does not depend on who delivered what first."""
        return (self.sent, self.message_id, self.digest)


@dataclass(frozen=True, slots=True)
class Needs:
    """What a series says that it stands on: `base` commit, patches by their ``git patch-id``, other series by
    Message-Id."""

    base: str = ""
    patches: tuple[str, ...] = ()
    series: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.base or self.patches or self.series)


def letter(mail: Mail) -> Letter:
    """What is kept of `mail`."""
    said = digest(mail)
    return Letter(
        message_id=mail.message_id or f"{said[:32]}@no-message-id",
        digest=said,
        kind=kind(mail),
        sender=mail.sender.email.lower(),
        subject=mail.subject,
        parent=mail.in_reply_to or (mail.references[-1] if mail.references else ""),
        refs=tuple(ref for ref in mail.references if ref != mail.message_id),
        sent=(mail.date or EPOCH).astimezone(UTC),
        family=family(mail.message_id),
        change=change(mail),
    )


def kind(mail: Mail) -> Kind:
    """A reply is talk, whatever it quotes; so is what has neither a diff, nor the number 0, nor a pull to ask for."""
    subject = mail.subject
    if subject.reply:
        return Kind.TALK
    if subject.number == 0 and subject.total:
        return Kind.COVER
    if mail.diff.strip():
        return Kind.PATCH
    if pull_request(mail.body):
        return Kind.PULL
    return Kind.PATCH if subject.number and subject.total and subject.total > 1 else Kind.TALK


def family(message_id: str) -> str:
    """``20261120.4711-3-ann@x`` and ``20261120.4711-1-ann@x`` are of one; "" where there is no number."""
    parts = list(_FAMILY.finditer(message_id))
    return message_id[: parts[-1].start()] + "-#-" + message_id[parts[-1].end() :] if parts else ""


def digest(mail: Mail) -> str:
    """Of subject and text, without blanks: a list's gateway may fold lines and add some at the end."""
    text = " ".join(f"{mail.subject.raw}\0{mail.body}".split())
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def change(mail: Mail) -> str:
    """Of title and diff: whether a patch was sent again as it was."""
    if not mail.diff:
        return ""
    return hashlib.sha256(f"{mail.subject.title}\0{mail.diff.rstrip()}".encode("utf-8", "replace")).hexdigest()


def needs(mails: Sequence[Mail]) -> Needs:
    """What the mails of one series, cover letter included, say that it stands on. Quoted lines say nothing."""
    bodies = [mail.body for mail in mails]
    base = next((found[1].lower() for body in bodies if (found := _BASE.search(body))), "")
    patches = [found.lower() for body in bodies for found in _BEFORE.findall(body)]
    own = {mail.message_id for mail in mails}
    before = [message_of(body) if mail.diff else body for mail, body in zip(mails, bodies, strict=True)]
    named = [found[1] for body in before for line in _ON.findall(body) if (found := _ID.search(line))]
    series = [cut(id_, 998) for id_ in named if id_ not in own]
    return Needs(base, tuple(dict.fromkeys(patches))[:500], tuple(dict.fromkeys(series))[:50])
