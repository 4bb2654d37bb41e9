"""A series as its checks look at it: from its mails, and from the commits that they became. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from services.executor.checking.subjects import applied
from services.executor.checks.base import Patch, Subject
from shared.errors import Refused
from shared.formats.diff import changes
from shared.formats.mbox import parse_mail, split_mbox
from shared.model.ids import Sha
from shared.model.mails import Mail

LARGEST = 64 << 20
"""Bytes of mails of one series that are read."""


def mails_of(mbox: bytes, message_ids: Sequence[str]) -> tuple[Mail, ...]:
    """The patches' mails in the series' order; where an id is missing, all that have a diff. Raises Refused."""
    if len(mbox) > LARGEST:
        raise Refused(f"the series is {len(mbox)} bytes; more than {LARGEST} are not read")
    found = [parse_mail(raw) for raw in split_mbox(mbox)]
    by_id = {mail.message_id: mail for mail in reversed(found)}
    if message_ids and all(name in by_id for name in message_ids):
        return tuple(by_id[name] for name in message_ids)
    return tuple(mail for mail in found if mail.diff) or tuple(found[:1])


def as_mailed(about: Subject, mails: Sequence[Mail], cover: bytes, pull: str) -> Subject:
    """`about` with its patches. A pull request without patches of its own is one patch: all that it brings."""
    patches = tuple(Patch(number, mail, changes(mail.diff)) for number, mail in enumerate(mails, 1))
    letters = split_mbox(cover) if cover else []
    bare = bool(pull) and not any(mail.diff.strip() for mail in mails)
    return replace(
        about, patches=patches[:1] if bare else patches, cover=parse_mail(letters[0]) if letters else None,
        pull=pull if bare else "", cover_pull=bool(pull) and not bare, beside=_others(patches) if bare else (),
    )  # fmt: skip


def as_applied(mailed: Subject, commits: Sequence[str], base: str, head: str, pull: str) -> Subject:
    """The same with its commits. Raises Refused if they are not those of its patches."""
    if pull and (mailed.pull or len(commits) != len(mailed.patches)):
        # What was pulled is not what was mailed, patch by patch: it is looked at as a whole.
        whole = replace(mailed.patches[0], commit=Sha(head), parent=Sha(base))
        beside = mailed.beside or _others(mailed.patches)
        return replace(mailed, patches=(whole,), base=Sha(base), head=Sha(head), pull=pull, beside=beside)
    return applied(mailed, Sha(base), tuple(map(Sha, commits)))


def _others(patches: Sequence[Patch]) -> tuple[int, ...]:
    return tuple(patch.number for patch in patches[1:])
