"""Which of some mails are the patches of a series, and which is its cover letter. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import Refused
from shared.formats.mbox import parse_mail
from shared.model.mails import Mail


@dataclass(frozen=True, slots=True)
class Letters:
    """The patches in order, the cover letter, the version, and older versions that were there as well."""

    patches: tuple[Mail, ...]
    cover: Mail | None = None
    version: int = 1
    older: tuple[int, ...] = ()


def letters(raw: Sequence[bytes]) -> Letters:
    """The series that mails hold: of a thread the newest version, without its replies.

    Raises Refused where there is no patch, or one is missing or there twice.
    """
    mails = [mail for mail in map(parse_mail, raw) if not mail.subject.reply]
    patches = [mail for mail in mails if mail.diff and mail.subject.number != 0]
    if not patches:
        raise Refused("there is no patch in it")
    versions = {mail.subject.version for mail in patches}
    newest = max(versions)
    patches = [mail for mail in patches if mail.subject.version == newest]
    covers = [mail for mail in mails if mail.subject.number == 0 and mail.subject.version == newest]
    older = tuple(sorted(versions - {newest}))
    return Letters(_ordered(patches), covers[0] if covers else None, newest, older)


def _ordered(patches: Sequence[Mail]) -> tuple[Mail, ...]:
    """By number; mails without one as they came."""
    total = max(mail.subject.total or 0 for mail in patches)
    if not total:
        return tuple(patches)
    by_number = {mail.subject.number: mail for mail in patches}
    if len(by_number) != len(patches):
        raise Refused("a patch of the series is there twice: give the mails of one series")
    if missing := [str(number) for number in range(1, total + 1) if number not in by_number]:
        raise Refused(f"of {total} patches of the series these are missing: {', '.join(missing[:20])}")
    return tuple(mail for number, mail in sorted(by_number.items(), key=lambda one: one[0] or 0))
