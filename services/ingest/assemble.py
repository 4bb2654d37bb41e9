"""A series put together from its mails: the order of its patches, and whether they are one series at all.

Patchwork threads by headers that senders get wrong, so a series that it calls complete may hold patch 1 of one
version and patch 2 of another, or one patch twice. What counts is what each mail's own subject says. Pure; knows
nothing of trees, of other series, or of where the mails came from.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from services.ingest.sources.base import Parcel, Pull
from shared.errors import Refused
from shared.formats.clean import cut, plain
from shared.formats.diff import changes, faults
from shared.formats.mbox import parse_mail, split_mbox
from shared.formats.subject import parse_subject
from shared.formats.trailers import fixes
from shared.model.mails import Mail, Person, Subject

MOST_PATCHES = 500
MOST_FILES = 5000
_WORDS = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Patch:
    """One patch of a series, `number` from 1. `files` are the paths before and after; `fault`: why not to apply it."""

    number: int
    external_id: int
    message_id: str
    title: str
    author: Person
    files: tuple[str, ...] = ()
    fixes: tuple[str, ...] = ()
    fault: str = ""
    web_url: str = ""


@dataclass(frozen=True, slots=True)
class Assembled:
    """A series as its mails tell it. `fault` is "" or the reason why it is not one; then it is not announced.

    `message_id` is the cover's, else the first patch's. `refs` are the messages that its first mail answers.
    `tags` are the words of every subject's prefix, in order, lower case, each once.
    """

    message_id: str
    cover_message_id: str
    subject: str
    title: str
    version: int
    resend: bool
    tags: tuple[str, ...]
    refs: tuple[str, ...]
    patches: tuple[Patch, ...]
    pull: Pull | None = None
    fault: str = ""

    @property
    def likeness(self) -> str:
        return likeness(self.title)


def likeness(title: str) -> str:
    """What two versions of a title have in common: its words, without case or punctuation."""
    return cut(_WORDS.sub(" ", title.casefold()).strip(), 500)


def read_mails(mbox: bytes) -> tuple[Mail, ...]:
    """The mails of a series' mbox, in its order. Raises Refused for one that cannot be read."""
    mails = split_mbox(mbox)
    if len(mails) > MOST_PATCHES:
        raise Refused(f"{len(mails)} mails in one series, more than {MOST_PATCHES} are not read")
    return tuple(parse_mail(raw) for raw in mails)


@dataclass(frozen=True, slots=True)
class PullQuestion:
    """Where to ask for a pull request: a patch by number, or a mail that the series answers."""

    patch: int = 0
    message_id: str = ""


def pull_question(parcel: Parcel, mails: Sequence[Mail]) -> PullQuestion | None:
    """Whether the series may be a pull request: one mail without a diff, or patches under a 0/n that is no cover.

    A 0/n that asks to pull is a patch without a series at Patchwork, and the series has no cover letter.
    """
    if parcel.cover_message_id or not mails:
        return None
    if len(mails) == 1:
        first = mails[0]
        return PullQuestion(patch=first.patchwork_id or 0) if not first.diff.strip() and first.patchwork_id else None
    above = {mail.in_reply_to for mail in mails}
    own = {mail.message_id for mail in mails}
    return PullQuestion(message_id=above.pop()) if len(above) == 1 and not above & own and "" not in above else None


def assemble(parcel: Parcel, mails: Sequence[Mail], cover: Mail | None, pull: Pull | None = None) -> Assembled:
    """The series of `parcel` from its `mails`, which come in the order of their numbers."""
    mails = sorted(mails, key=lambda mail: mail.subject.number or 1)
    fault = "" if pull and len(mails) == 1 else why_not_one(parcel, mails)
    head = cover.subject if cover else parse_subject(parcel.cover_name) if parcel.cover_name else None
    first = mails[0] if mails else None
    subject = head or (first.subject if first else parse_subject(parcel.name))
    cover_id = (cover.message_id if cover else "") or parcel.cover_message_id
    top = cover or first
    return Assembled(
        message_id=cover_id or (first.message_id if first else "") or f"{parcel.external_id}@unknown",
        cover_message_id=cover_id,
        subject=cut(subject.raw, 1000),
        title=cut(subject.title, 1000) or "(no title)",
        version=min(subject.version, 10_000),
        resend=subject.resend,
        tags=tags_of([*([head] if head else []), *(mail.subject for mail in mails)]),
        refs=tuple(dict.fromkeys([top.in_reply_to, *top.references])) if top else (),
        patches=tuple(
            _patch(parcel, number, mail, pull is not None and len(mails) == 1) for number, mail in enumerate(mails, 1)
        ),
        pull=pull,
        fault=fault,
    )


def why_not_one(parcel: Parcel, mails: Sequence[Mail]) -> str:
    """Why these mails are not one whole series; "" if they are."""
    if len(mails) != len(parcel.pieces) or not mails:
        return f"{len(parcel.pieces)} patches are listed and {len(mails)} are in the mbox"
    subjects = [mail.subject for mail in mails]
    if fault := _mixed("versions", [f"v{s.version}" for s in subjects]):
        return fault
    if fault := _mixed("sizes", [f"{s.number}/{s.total}" for s in subjects], [str(s.total) for s in subjects]):
        return fault
    numbers = Counter(subject.number or 1 for subject in subjects)
    if twice := [number for number, times in numbers.items() if times > 1]:
        return f"patch {twice[0]} is there {numbers[twice[0]]} times"
    if missing := set(range(1, max(subjects[0].total or 1, len(mails)) + 1)) - numbers.keys():
        return f"patch {min(missing)} is missing, in its place is {max(numbers)}/{subjects[0].total or 1}"
    return ""


def _mixed(what: str, shown: Sequence[str], keys: Sequence[str] | None = None) -> str:
    keys = keys or shown
    if len(set(keys)) <= 1:
        return ""
    other = next(i for i, key in enumerate(keys) if key != keys[0])
    return f"patches of different {what} in one series: {shown[0]} and {shown[other]}"


def tags_of(subjects: Sequence[Subject]) -> tuple[str, ...]:
    """The tags of all subjects, lower case, in order, each once."""
    return tuple(dict.fromkeys(cut(tag.lower(), 100) for subject in subjects for tag in subject.tags))[:50]


def _patch(parcel: Parcel, number: int, mail: Mail, pulled: bool) -> Patch:
    listed = {piece.external_id: piece for piece in parcel.pieces}
    by_id = {piece.message_id: piece for piece in parcel.pieces}
    piece = listed.get(mail.patchwork_id or 0) or by_id.get(mail.message_id)
    return Patch(
        number=number,
        external_id=piece.external_id if piece else mail.patchwork_id or -number,
        message_id=mail.message_id,
        title=cut(mail.subject.title, 1000) or "(no title)",
        author=mail.author,
        files=files_of(mail.diff),
        fixes=tuple(cut(plain(commit), 40) for commit, _ in fixes(mail.trailers))[:50],
        fault="" if pulled else fault_of(mail.diff),
        web_url=piece.web_url if piece else "",
    )


def files_of(diff: str) -> tuple[str, ...]:
    """The paths that a diff touches; of a rename both."""
    paths = (path for change in changes(diff) for path in (change.old_path, change.path) if path)
    return tuple(dict.fromkeys(cut(plain(path), 4096) for path in paths))[:MOST_FILES]


def fault_of(diff: str) -> str:
    """The first fault of a diff in words; "" for an honest one."""
    if not diff.strip():
        return "no diff in the mail"
    found = faults(diff)
    return cut(plain(f"{found[0].rule}: {found[0].text} (line {found[0].line})"), 500) if found else ""
