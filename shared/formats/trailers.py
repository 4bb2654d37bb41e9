"""Trailers of a commit message: the ``Key: value`` lines of its last paragraph, and the commits that it fixes.

Reads the message as git will keep it: what follows the ``---`` line is the mail's and not the commit's. Knows
nothing of what a trailer obliges anybody to.
"""

import re
from collections.abc import Iterable, Iterator

from shared.model.mails import Trailer

_KEY = re.compile(r"([A-Za-z][A-Za-z0-9-]{1,48})[ \t]{0,8}:[ \t]+(\S.*)")
_LINK = re.compile(r"(?:https?|ftp|git)$", re.I)
_NOTE = re.compile(r"\[[^\]]*:.*|#.*|\(cherry picked from commit .*")
_FIXES = re.compile(r"(?:commit[ \t]+)?([0-9a-fA-F]{6,40})\b[ \t,:]*(.*)", re.S)
_ENDS = ("---", "diff --git ", "diff -", "Index: ", "--- ")
_VALUE_KEPT = 2048


def message_of(body: str) -> str:
    """The part of a mail's text that becomes the commit message: up to ``---`` or the diff."""
    kept = []
    for line in body.split("\n"):
        line = line.rstrip("\r")
        if line.rstrip() == "---" or line.startswith(_ENDS[1:]):
            break
        kept.append(line)
    return "\n".join(kept)


def trailers(body: str) -> tuple[Trailer, ...]:
    """The trailers of a mail's text, in order, values unfolded.

    As ``git interpret-trailers`` has it: the last paragraph counts if it is all trailers, or a quarter of it is and
    one of them is git's own (Signed-off-by). Fixes lines of an earlier paragraph are taken too: people put a
    blank line between them and the rest, and a fix that goes unseen goes to the wrong tree.
    """
    paragraphs = [list(p) for p in _paragraphs(message_of(body))]
    found = [t for p in paragraphs[:-1] for t in _read(p) if t.key.lower() == "fixes" and fixes([t])]
    if paragraphs and _is_block(paragraphs[-1]):
        found += _read(paragraphs[-1])
    elif paragraphs:
        found += [t for t in _read(paragraphs[-1]) if t.key.lower() == "fixes" and fixes([t])]
    return tuple(found)


def fixes(found: Iterable[Trailer]) -> tuple[tuple[str, str], ...]:
    """The commits that `found` names as broken: abbreviated id in lower case, and title without its frame."""
    named = []
    for trailer in found:
        if trailer.key.lower() == "fixes" and (match := _FIXES.match(trailer.value)):
            named.append((match[1].lower(), _unframed(match[2].strip())))
    return tuple(named)


def _unframed(title: str) -> str:
    title = title.removeprefix("(").removesuffix(")").strip()
    return title.removeprefix('"').removesuffix('"').strip()


def _paragraphs(text: str) -> Iterator[list[str]]:
    lines: list[str] = []
    for line in [*text.split("\n"), ""]:
        if line.strip():
            lines.append(line)
        elif lines:
            yield lines
            lines = []


def _is_block(lines: list[str]) -> bool:
    keys = [bool(_trailer(line)) for line in lines if line[:1] not in " \t" and not _NOTE.match(line)]
    if not keys:
        return False
    return all(keys) or (sum(keys) * 4 >= len(keys) and any("igned-off-by:" in line for line in lines))


def _trailer(line: str) -> Trailer | None:
    match = _KEY.match(line)
    if not match or _LINK.match(match[1]) or match[2].startswith("//"):
        return None
    return Trailer(match[1], match[2].rstrip()[:_VALUE_KEPT])


def _read(lines: list[str]) -> list[Trailer]:
    found: list[Trailer] = []
    joining = False
    for line in lines:
        trailer = _trailer(line)
        if trailer:
            found.append(trailer)
        elif joining and line[:1] in " \t":
            joined = f"{found[-1].value} {line.strip()}"
            found[-1] = Trailer(found[-1].key, joined[:_VALUE_KEPT])
        joining = bool(trailer) or (joining and line[:1] in " \t")
    return found
