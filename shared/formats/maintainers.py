"""The kernel's MAINTAINERS file: its sections, and which files each of them covers by its F: and X: lines. Pure.

Patterns mean what get_maintainer.pl takes them for: ``a/b/`` is all below, ``*`` and ``?`` are any characters, and a
pattern covers a path that begins as it says and has as many slashes. Regular expressions (N: and K: lines) are not
looked at: the file may come from a stranger.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.formats.globs import begins

_LINE = re.compile(r"([A-Z]):\s*(.*)")
_MOST_WILD = 20
_AT_ONCE = 16
"""Characters that a wildcard goes over in the time in which a pattern without any is looked at."""
_LENGTH = 64
"""Characters of a usual path."""
_MOST_SOUGHT = 2_000_000
"""Paths that are looked at for one entry."""


@dataclass(frozen=True, slots=True)
class Section:
    """An entry by its title, with its patterns of files (F:) and of files it leaves out (X:)."""

    title: str
    files: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def effort(self, length: int) -> int:
        """What it costs at most to ask of a path of so many characters, in plain patterns looked at."""
        return sum(_effort(p, length) for p in (*self.files, *self.left_out))

    def covers(self, path: str, folders: frozenset[str] = frozenset()) -> bool:
        """Whether `path` is one of its files. `folders` are known to be such though a pattern lacks the slash."""
        return any(_matches(path, p, folders) for p in self.files) and not any(
            _matches(path, p, folders) for p in self.left_out
        )


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of a tree, sorted, and the folders that they are in."""

    paths: Sequence[str]
    folders: frozenset[str] = field(default=frozenset(), repr=False)

    @classmethod
    def of(cls, paths: Sequence[str]) -> "Tree":
        folders: set[str] = set()
        for path in paths:
            while (path := path.rpartition("/")[0]) and path not in folders:
                folders.add(path)
        return cls(sorted(paths), frozenset(folders))

    def effort(self, section: Section) -> int:
        """What `covered` costs at most, in the same measure."""
        patterns = (*section.files, *section.left_out)
        return sum(len(self._near(p)) * _effort(p, _LENGTH) for p in patterns)

    def covered(self, section: Section) -> set[str]:
        """Its files that a section covers. Of patterns that would have the whole tree searched again and again only
        the first are looked at.
        """
        left = _MOST_SOUGHT
        found: set[str] = set()
        gone: set[str] = set()
        for patterns, into in ((section.files, found), (section.left_out, gone)):
            for pattern in patterns:
                some = self._near(pattern) if left > 0 else range(0)
                left -= len(some)
                into |= {self.paths[at] for at in some if _matches(self.paths[at], pattern, self.folders)}
        return found - gone

    def _near(self, pattern: str) -> range:
        """Where the paths are that begin as the pattern does, as far as that is without wildcards."""
        start = _plain(pattern)
        return range(bisect_left(self.paths, start), bisect_left(self.paths, start + "\U0010ffff"))


def sections(text: str) -> tuple[Section, ...]:
    """The entries in order: a title is the line before the first lettered line of a block."""
    found: list[Section] = []
    title = ""
    lines: list[tuple[str, str]] = []
    for line in [*text.splitlines(), ""]:
        match = _LINE.match(line)
        if match:
            lines.append((match[1], match[2].strip()))
        elif lines:
            found.append(_section(title, lines))
            lines = []
        title = title if match else line.strip() or title
    return tuple(found)


def _section(title: str, lines: list[tuple[str, str]]) -> Section:
    files = tuple(value for letter, value in lines if letter == "F" and value)
    return Section(title, files, tuple(value for letter, value in lines if letter == "X" and value))


def _effort(pattern: str, length: int) -> int:
    return 1 + _wild(pattern) * length // _AT_ONCE


def _wild(pattern: str) -> int:
    return pattern.count("*") + pattern.count("?")


def _plain(pattern: str) -> str:
    """The beginning of a pattern, up to its first wildcard."""
    return pattern.partition("*")[0].partition("?")[0]


def _matches(path: str, pattern: str, folders: frozenset[str]) -> bool:
    if not path.startswith(_plain(pattern)):
        return False
    pattern = f"{pattern}/" if pattern in folders else pattern
    if _wild(pattern) > _MOST_WILD:
        return False
    if not pattern.endswith("/") and path.count("/") != pattern.count("/"):
        return False
    return begins(path, pattern)
