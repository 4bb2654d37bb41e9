"""Which files a diff may speak of: generously, because they are only looked up, never trusted.

Pure. Every path that `git apply -p1` could read out of the diff should be among the answers; some that it would not
may be too. Whoever applies the diff checks afterwards that nothing outside these paths changed.
"""

import re
from collections.abc import Iterator

_LINE = re.compile(rb"^(diff --git|---|\+\+\+|rename (?:from|to|old|new)|copy (?:from|to)) ([^\n]*)", re.MULTILINE)
_DATED = re.compile(rb"[ \t]+\d{2,4}-\d\d-\d\d.*", re.DOTALL)
_ESCAPE = re.compile(rb'\\([0-3][0-7]{2}|["\\abfnrtv])')
_LETTERS = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)

# Twice the longest path of Linux, with a prefix: a line beyond that names nothing that git could open.
_LONGEST = 2 * (4096 + 16)

# Several times what any tree has: every folder on the way is looked up.
_DEEPEST = 60


def touched(diff: bytes) -> frozenset[bytes]:
    """The paths, relative to the root of the tree, that the headers of `diff` may name."""
    found: set[bytes] = set()
    for kind, rest in _LINE.findall(diff):
        rest = rest.removesuffix(b"\r")
        if len(rest) > _LONGEST:
            continue
        if kind == b"diff --git":
            found.update(_pair(rest))
        elif kind in (b"---", b"+++"):
            found.update(strip(name) for name in _names(rest))
        else:
            found.update(_names(rest))
    return frozenset(path for name in found if is_plain(path := re.sub(rb"/+", b"/", name)))


def has_endless_name(diff: bytes) -> bool:
    """Whether a header names a path that no file system could hold, or that is deeper than any tree.

    git spends time on it that grows with the square of its length, and of a header of very many words it dies.
    """
    return any(len(rest) > _LONGEST or rest.count(b"/") > 2 * _DEEPEST for _, rest in _LINE.findall(diff))


def strip(name: bytes) -> bytes:
    """`name` without its first component, ``a/`` or ``b/``; a name without a slash stays."""
    return name.partition(b"/")[2] if b"/" in name else name


def is_plain(path: bytes) -> bool:
    """Whether git could hold this path: relative, no empty, ``.``, ``..`` or ``.git`` component, no NUL."""
    parts = path.split(b"/")
    return b"\0" not in path and not any(part.lower() in (b"", b".", b"..", b".git") for part in parts)


def _names(rest: bytes) -> Iterator[bytes]:
    if rest.startswith(b'"'):
        yield from _quoted(rest)
    yield rest
    yield rest.rstrip()
    yield rest.partition(b"\t")[0]
    yield _DATED.sub(b"", rest)


def _quoted(rest: bytes) -> list[bytes]:
    return [_ESCAPE.sub(_unescape, name) for name in _QUOTED.findall(rest)]


def _unescape(match: re.Match[bytes]) -> bytes:
    code = match[1]
    return bytes([int(code, 8)]) if len(code) == 3 else _LETTERS.get(code, code)


def _pair(rest: bytes) -> Iterator[bytes]:
    """The names of ``a/x b/x``. Unquoted, git believes them only when both say the same; the middle is unmarked."""
    for name in _quoted(rest):
        yield strip(name)
    for blank in re.finditer(rb"[ \t]", rest):
        left, right = strip(rest[: blank.start()]), strip(rest[blank.end() :])
        if left == right.rstrip():
            yield left
