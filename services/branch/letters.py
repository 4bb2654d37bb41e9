"""The patches of a series as the mails that git reads, in order. Pure.

It refuses to judge them: what a diff may not do is `shared.formats.diff`'s, what does not apply is git's.
"""

import re
from collections.abc import Sequence

from shared.errors import Refused
from shared.formats.clean import plain
from shared.formats.mbox import parse_mail, split_mbox

_LIMIT = 64 << 20
_WORDS = 2000
_NAMES = 200


def letters(mbox: bytes, message_ids: Sequence[str]) -> list[bytes]:
    """The mails of `mbox` that are the patches `message_ids`, in that order.

    Where an id is not found, or none is given, every mail with a diff counts, in the mailbox's order, which is
    the one Patchwork keeps. Raises Refused when nothing is a patch.
    """
    if len(mbox) > _LIMIT:
        raise Refused(f"the series is {len(mbox)} bytes; more than {_LIMIT} are not read")
    mails = split_mbox(mbox)
    parsed = [parse_mail(raw) for raw in mails]
    by_id = {mail.message_id: mail.raw for mail in reversed(parsed)}
    if message_ids and all(name in by_id for name in message_ids):
        return [by_id[name] for name in message_ids]
    patches = [mail.raw for mail in parsed if mail.diff]
    if not patches:
        raise Refused("there is no patch in the series' mails")
    return patches


_SHA = re.compile(r"[0-9a-fA-F]{7,40}\b")


def named_commits(fixes: Sequence[str]) -> tuple[str, ...]:
    """The (abbreviated) commit ids at the beginning of ``Fixes:`` values, lower case, each once."""
    found = (_SHA.match(value.strip()) for value in fixes)
    return tuple(dict.fromkeys(match.group().lower() for match in found if match))


def shown(text: str) -> str:
    """Words that a patch had a part in, fit to store and show: one line, no control characters, not endless."""
    return plain(text.replace("\n", " "))[:_WORDS]


def shown_all(names: Sequence[str]) -> tuple[str, ...]:
    """File names of a patch, the same way."""
    return tuple(shown(name) for name in names[:_NAMES])


def pull_address(pull_url: str) -> tuple[str, str]:
    """Repository and ref of a pull request as Patchwork writes it: ``<url> <ref>``; the ref may be missing."""
    url, _, ref = plain(pull_url).strip().partition(" ")
    return url, ref.strip() or "HEAD"
