"""A patch, series or cover letter as the mailbox that Patchwork offers for download: bytes that `git am` takes.

The mail is put together anew: Patchwork's own headers first, then those of the mail, the message, the tags that
replies gave since (so the text changes in time), what followed the `---`, and the diff.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.encoders import encode_7or8bit
from email.generator import Generator
from email.header import Header
from email.mime.nonmultipart import MIMENonMultipart
from email.parser import HeaderParser
from email.utils import formataddr, formatdate
from io import StringIO

from shared.practice.patchwork.records import Comment, Cover, Patch, Series
from shared.practice.patchwork.state import Patchwork

TAG = re.compile(r"^(Tested|Reviewed|Acked|Signed-off|Nacked|Reported)-by:.*$", re.M | re.I)
CUT = re.compile(r"^-{2,3} ?$", re.M)
OWN = {"content-type", "content-transfer-encoding"}


def of_patch(pw: Patchwork, patch: Patch) -> str:
    tags = _tags(c for c in pw.patch_comments.values() if c.patch == patch.id)
    mail = _mail(_body(patch.content, tags, patch.diff))
    _own_headers(pw, mail, patch)
    if patch.delegate is not None:
        mail["X-Patchwork-Delegate"] = pw.users[patch.delegate].email
    return _written(mail, patch)


def of_cover(pw: Patchwork, cover: Cover) -> str:
    tags = _tags(c for c in pw.cover_comments.values() if c.cover == cover.id)
    mail = _mail(_body(cover.content, tags, None))
    _own_headers(pw, mail, cover)
    return _written(mail, cover)


def of_series(pw: Patchwork, series: Series) -> str:
    """Patches by number, without the cover letter; an incomplete series looks no different."""
    return joined(pw, sorted(pw.received(series), key=lambda patch: patch.number or 0))


def joined(pw: Patchwork, patches: Iterable[Patch]) -> str:
    return "\n".join(of_patch(pw, patch) for patch in patches)


def file_name(name: str) -> str:
    """The name that Patchwork proposes for a download, without its ending."""
    dashed = re.sub(r"[^a-zA-Z0-9_-]+", "-", name)
    return dashed.strip("-")


def _tags(comments: Iterable[Comment]) -> str:
    return "".join(match[0] + "\n" for comment in comments for match in TAG.finditer(comment.content))


def _body(content: str, tags: str, diff: str | None) -> str:
    message = content.strip() + "\n" if content else ""
    behind = ""
    parts = CUT.split(message, maxsplit=1)
    if len(parts) == 2:
        message, behind = parts[0].strip() + "\n", parts[1].rstrip()
    body = message + tags
    if behind:
        body += f"---\n{behind.lstrip(chr(10))}\n"
    return body + ("\n" + diff if diff else "")


def _mail(body: str) -> MIMENonMultipart:
    mail = MIMENonMultipart("text", "plain", charset="utf-8")
    mail.set_payload(body.encode())
    encode_7or8bit(mail)
    # As text again: with bytes the generator would turn 8bit to base64, which Patchwork does not.
    mail.set_payload(body)
    return mail


def _own_headers(pw: Patchwork, mail: MIMENonMultipart, submission: Patch | Cover) -> None:
    person = pw.people[submission.submitter]
    mail["X-Patchwork-Submitter"] = formataddr((str(Header(person.name or "", "utf-8")), person.email))
    mail["X-Patchwork-Id"] = str(submission.id)


def _written(mail: MIMENonMultipart, submission: Patch | Cover) -> str:
    mail.set_unixfrom("From patchwork " + submission.date.ctime())
    for name, value in HeaderParser().parsestr(submission.headers).items():
        if name.lower() not in OWN:
            mail[name] = value
    if "Date" not in mail:
        mail["Date"] = formatdate(submission.date.timestamp())
    out = StringIO()
    Generator(out, mangle_from_=False, maxheaderlen=78).flatten(mail, unixfrom=True)
    return out.getvalue()
