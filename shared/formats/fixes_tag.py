"""``Fixes:`` lines of a commit message, as written: what is wrong with their form, and whether a title is the commit's.

The form is ``Fixes: 0123456789ab ("title")``, on one line, among the other trailers. Pure; which commits there are is
for others to find out.
"""

import re
from dataclasses import dataclass

_TAG = re.compile(r"\s*Fixes:\s*(.*)", re.I)
_PARTS = re.compile(r"(commit)?\s*([0-9a-f]{5,40})\b(\s*)(.*)", re.I | re.S)
_QUOTES = (('"“', '"”'), ("'‘", "'’"))
_LEAST = 12
_KEPT = 2000


@dataclass(frozen=True, slots=True)
class FixesTag:
    """One line. `sha` is lower case, "" if there is none; `title` is without its frame; `faults` are of form."""

    line: str
    sha: str = ""
    title: str = ""
    faults: tuple[str, ...] = ()


def fixes_tags(message: str) -> tuple[FixesTag, ...]:
    """All lines of a message that begin so, wherever they stand."""
    lines = message.strip().split("\n")
    found = []
    for number, line in enumerate(lines):
        if match := _TAG.fullmatch(line[:_KEPT].rstrip()):
            around = [lines[n].strip() for n in (number - 1, number + 1) if 0 <= n < len(lines)]
            alone = len(around) == 2 and not any(around)
            wrapped = match[1].count("(") > match[1].count(")") and number + 1 < len(lines) and ")" in lines[number + 1]
            found.append(_tag(line.strip()[:_KEPT], match[1], alone, wrapped))
    return tuple(found)


def _tag(line: str, value: str, alone: bool, wrapped: bool) -> FixesTag:
    faults = ["empty lines surround the tag"] if alone else []
    match = _PARTS.fullmatch(value)
    if not match:
        return FixesTag(line, faults=(*faults, "no SHA1 recognised"))
    word, sha, space, title = match.groups()
    if word:
        faults.append(f"leading word '{word}' unexpected")
    if len(sha) < _LEAST:
        faults.append(f"SHA1 should be at least {_LEAST} digits long")
    if not title:
        faults.append("no title")
    elif not space:
        faults.append("no space between SHA1 and title")
    title, more = ("", ["the tag is split over two lines"]) if wrapped else _unframed(title)
    return FixesTag(line, sha.lower(), title, (*faults, *more))


def _unframed(title: str) -> tuple[str, list[str]]:
    """The title without parentheses and quotes, and what is wrong with those."""
    faults = []
    if title.startswith("("):
        inside, closed, _ = title[1:].rpartition(")")
        title = inside if closed else title[1:]
        faults += [] if closed else ["parenthesis is not closed"]
    for opening, closing in _QUOTES:
        if title[:1] and title[0] in opening:
            quoted = len(title) > 1 and title[-1] in closing
            title = title[1:-1] if quoted else title[1:]
            faults += [] if quoted else ["quote is not closed"]
            break
    return title.strip(), faults


def same_title(written: str, real: str) -> bool:
    """Whether a title as written stands for a commit's: the whole of it, or its beginning and end around ``...``."""
    written, real = written.strip().replace("…", "..."), real.strip()
    if not written or "..." not in written:
        return written == real
    first, _, last = written.partition("...")
    return real.startswith(first.rstrip()) and real.endswith(last.lstrip()) and len(first + last) <= len(real)
