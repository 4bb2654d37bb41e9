"""The changed lines of a diff, each with its place: for rules that look at lines, not at files. Pure.

Reads hunks by the counts of their headers, as ``git apply`` does: text that looks like a change but stands outside of
a hunk, a signature or a commit message, is none. Never raises; a diff with faults gives what can be made out.
"""

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from shared.formats.diff_paths import DEV_NULL, stripped

_HUNK = re.compile(r"@@ -([0-9]{1,9})(?:,([0-9]{1,9}))? \+([0-9]{1,9})(?:,([0-9]{1,9}))? @@")


@dataclass(frozen=True, slots=True)
class Changed:
    """A line that was added, or removed. `path` and `number` (from 1) are the new file's, or the old one's."""

    path: str
    number: int
    added: bool
    text: str


def changed_lines(diff: str) -> Iterator[Changed]:
    """All added and removed lines, in the order of the diff."""
    lines = diff.split("\n")
    old = new = ""
    at = 0
    while at < len(lines):
        if lines[at].startswith("--- ") and lines[at + 1 : at + 2] and lines[at + 1].startswith("+++ "):
            old, new = _path(lines[at]), _path(lines[at + 1])
            at += 2
        elif found := _HUNK.match(lines[at]):
            at = yield from _hunk(lines, at + 1, found, (old, new))
        else:
            at += 1


def _path(line: str) -> str:
    """Of a ``---`` or ``+++`` line, without what a date adds."""
    path = stripped(line[4:].partition("\t")[0].rstrip("\r"))
    return "" if path == DEV_NULL else path


def _hunk(lines: list[str], at: int, found: re.Match[str], paths: tuple[str, str]) -> Generator[Changed, None, int]:
    """The changed lines of the hunk whose first line is `at`; returns where it ends."""
    old, old_left = int(found[1]), int(found[2] or 1)
    new, new_left = int(found[3]), int(found[4] or 1)
    while (old_left > 0 or new_left > 0) and at < len(lines):
        sort, text = lines[at][:1] or " ", lines[at][1:]
        if sort not in "+- \\":
            break
        if sort == "+":
            yield Changed(paths[1], new, True, text)
        elif sort == "-":
            yield Changed(paths[0], old, False, text)
        if sort in "+ ":
            new, new_left = new + 1, new_left - 1
        if sort in "- ":
            old, old_left = old + 1, old_left - 1
        at += 1
    return at
