"""Paths as a diff names them: unquoted, stripped as ``-p1`` strips them, and judged.

A path is refused when any file system or tool might take it for another than it shows: outside of the tree, inside
``.git`` (in any of the disguises that NTFS and HFS+ accept), or with characters that cannot be seen.
"""

import re
from collections.abc import Iterator

from shared.formats.clean import plain

DEV_NULL = "/dev/null"
_ESCAPE = re.compile(r"\\([0-7]{3}|.)", re.S)
_SIMPLE = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, '"': 34, "\\": 92}
# Code points that HFS+ ignores when it compares names.
_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_PRIVATE = frozenset({".git", "git~1", ".gitmodules", "gitmod~1"})


def unquote(name: str) -> str:
    """A name that git put in quotes (``"a/caf\\303\\251"``) as it is; any other unchanged."""
    if len(name) < 2 or not (name.startswith('"') and name.endswith('"')):
        return name
    raw = bytearray()
    at = 1
    inside = name[:-1]
    for found in _ESCAPE.finditer(inside, 1):
        raw += inside[at : found.start()].encode("utf-8", "replace")
        raw += _byte(found[1])
        at = found.end()
    raw += inside[at:].encode("utf-8", "replace")
    return raw.decode("utf-8", "replace")


def _byte(escape: str) -> bytes:
    if escape.isdigit() and len(escape) == 3:
        return bytes([int(escape, 8) & 255])
    return bytes([_SIMPLE[escape]]) if escape in _SIMPLE else escape.encode("utf-8", "replace")


def stripped(name: str) -> str:
    """`name` without its first component (``a/`` or ``b/``), as ``git apply -p1`` has it."""
    name = unquote(name)
    return name if name == DEV_NULL else name.partition("/")[2].lstrip("/")


def path_faults(raw: str, path: str) -> Iterator[tuple[str, str]]:
    """Rules that a name breaks, each with words. `raw` is as written, `path` unquoted and stripped."""
    if raw == DEV_NULL:
        return
    shown = plain(raw)[:200]
    if raw.startswith('"'):
        yield "quoted-path", f"quoted path {shown}"
    if unquote(raw).startswith("/"):
        yield "absolute-path", f"absolute path {shown}"
    if not path:
        yield "path", f"no path is left of {shown!r}"
        return
    if not path.isprintable() or "\ufffd" in path:
        yield "control-path", f"path with characters that cannot be shown: {shown}"
    if "\\" in path:
        yield "backslash-path", f"path with a backslash: {shown}"
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or ".." in unquote(raw).split("/"):
        yield "dots-path", f"path that leaves its folder: {shown}"
    if any(_folded(part) in _PRIVATE for part in parts):
        yield "git-path", f"path into git's own files: {shown}"
    if len(path.encode("utf-8", "replace")) > 4000 or any(len(part.encode("utf-8", "replace")) > 255 for part in parts):
        yield "long-path", f"path longer than file systems take: {shown}"


def _folded(part: str) -> str:
    """`part` as NTFS and HFS+ compare it: what follows a colon, and dots and blanks at the end, do not count."""
    return _IGNORED.sub("", part).partition(":")[0].rstrip(". ").casefold()
