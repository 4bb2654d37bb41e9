"""Which lines a tool prints of a tree that it did not print of the tree before: what a series made worse.

Compared is what was said, not where: lines of a source move. So each line is taken without positions and without the
folder of its tree, and counted: of a line that stands there more often than before, the last ones are the new ones.
"""

import re
from collections import Counter
from collections.abc import Iterable
from fnmatch import fnmatchcase

_POSITION = re.compile(
    r":[0-9]{1,9}(?::[0-9]{1,9})?(?=[:,\s]|$)|\b(lines?|column) [0-9]{1,9}(?:-[0-9]{1,9})?", re.IGNORECASE
)
_KEPT = 4096


def new_lines(before: Iterable[str], after: Iterable[str], folders: tuple[str, str] = ("", "")) -> list[str]:
    """The lines of `after` that `before` had not, in order. `folders` are the absolute ones of the two trees."""
    was = Counter(_sort(line, folders[0]) for line in before)
    lines = [(line, _sort(line, folders[1])) for line in after]
    extra = Counter(sort for _, sort in lines) - was
    found = []
    for line, sort in reversed(lines):
        if sort and extra[sort] > 0:
            extra[sort] -= 1
            found.append(line)
    return found[::-1]


def _sort(line: str, folder: str) -> str:
    line = line[:_KEPT].strip()
    if folder:
        line = line.replace(folder, "")
    return _POSITION.sub(lambda found: found[1] or "", line)


def counted(lines: Iterable[str], counts: tuple[str, ...], ignore: tuple[str, ...]) -> list[str]:
    """The lines that fit one of `counts` and none of `ignore`, which are globs."""
    return [line for line in lines if _any(line, counts) and not _any(line, ignore)]


def _any(line: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(line[:_KEPT], glob) for glob in globs)
