"""A log as it is read: a window of its lines, what failed in all of it, where a word is, and what may be folded. Pure.

Logs are strangers' text and may be large: they come in pieces of bytes, no more of them is held than is shown, and
every line that leaves here is harmless text.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from shared.formats.clean import plain

WINDOW = 5000
"""Lines on one page."""
LINE = 4000
"""Characters shown of one line."""
HELD = 4 << 20
"""Bytes of lines on one page, as far as whole lines go."""
FOUND = 300
"""Lines told of that failed, or that have the word that is looked for."""
LOOKED_AT = 64 << 20
"""Bytes of a log in which failures and words are looked for."""
FOLDED = 4
"""So many lines of a test that passed, and more, are folded."""

BAD = ("not-ok", "crash")
"""Kinds of lines that a reader came for."""

_CRASH = re.compile(
    r"Call Trace:|BUG: |WARNING: CPU|WARNING: .* at |Kernel panic|Oops: |general protection fault|cut here|UBSAN: "
)
_POINT = re.compile(r"^((?:# ?| {4})*)(ok|not ok) \d+")
_TELLING = tuple(
    word.encode()
    for word in (
        "ok ",
        "Call Trace:",
        "BUG: ",
        "WARNING: ",
        "Kernel panic",
        "Oops: ",
        "cut here",
        "general prot",
        "UBSAN: ",
    )
)
"""A line that fails, or is a point of TAP, has one of these; what it is is looked at line by line."""


@dataclass(frozen=True, slots=True)
class Window:
    """Lines `first` to `last` (from 1) of `total`."""

    lines: tuple[tuple[int, str, str], ...]
    first: int
    last: int
    total: int


def window(data: bytes, first: int, most: int = WINDOW) -> Window:
    """Part of a log as (number, kind, harmless text). `kind` colours what TAP says: ok, not-ok, skip or ""."""
    return window_of(lambda: iter((data,)), first, most)


def window_of(read: Callable[[], Iterator[bytes]], first: int, most: int = WINDOW) -> Window:
    """The same of a log that `read` gives in pieces: no more of it is held than is shown."""
    lines, total = _lines(read(), first, most)
    if first > max(1, total):
        first = max(1, total)
        lines, total = _lines(read(), first, most)
    shown = tuple((number, *_line(bytes(line))) for number, line in lines.items())
    return Window(shown, first, first + len(shown) - 1, total)


def _lines(pieces: Iterable[bytes], first: int, most: int) -> tuple[dict[int, bytearray], int]:
    """Lines from `first` on by number, `most` of them or some `HELD` bytes, and how many there are in all."""
    lines: dict[int, bytearray] = {}
    number, last, held, whole = 1, first + most - 1, 0, True
    for piece in filter(None, pieces):
        whole = piece.endswith(b"\n")
        count = piece.count(b"\n")
        if number > last or number + count < first:
            number += count
            continue
        for index, part in enumerate(piece.split(b"\n")):
            number += index > 0
            if first <= number <= last:
                line = lines.setdefault(number, bytearray())
                held -= len(line)
                line += part[: LINE * 4 + 1 - len(line)]
                held += len(line)
                last = last if held <= HELD else number
    total = number - whole
    lines.pop(total + 1, None)
    return lines, total


def _line(raw: bytes) -> tuple[str, str]:
    text = raw[: LINE * 4].decode("utf-8", "replace").rstrip("\r")
    more = " […]" if len(text) > LINE or len(raw) > LINE * 4 else ""
    text = "    ".join(plain(part) for part in text[:LINE].split("\t"))
    return kind_of_line(text), text + more


def kind_of_line(text: str) -> str:
    """What a line of TAP says, at any depth of nesting."""
    bare = text.lstrip("# ")
    if bare.startswith("not ok "):
        return "not-ok"
    if bare.startswith("ok "):
        return "skip" if "# SKIP" in bare.upper() else "ok"
    return "crash" if _CRASH.search(text) else ""


@dataclass(frozen=True, slots=True)
class Outline:
    """What a log holds as a whole: how many points of each kind (ok, not-ok, skip) and the lines of what failed.

    `all_of_it` is false where the log is longer than is looked at.
    """

    counts: dict[str, int]
    failures: tuple[tuple[int, str], ...]
    all_of_it: bool


def outline(pieces: Iterable[bytes]) -> Outline:
    """The outline of a log in pieces."""
    counts: Counter[str] = Counter()
    failures: list[tuple[int, str]] = []
    whole = _Whole(pieces)
    for number, raw in whole.lines(_tellings):
        kind, text = _line(raw)
        counts[kind] += 1
        if kind in BAD and len(failures) < FOUND:
            failures.append((number, text))
    return Outline({kind: counts[kind] for kind in ("ok", "not-ok", "skip")}, tuple(failures), whole.all_of_it)


@dataclass(frozen=True, slots=True)
class Search:
    """The lines that have a word, `total` of them; the first are in `lines`."""

    lines: tuple[tuple[int, str, str], ...]
    total: int
    all_of_it: bool


def search(pieces: Iterable[bytes], word: str) -> Search:
    """The lines of a log in which `word` is, in any case of letters."""
    wanted = re.compile(re.escape(word.encode()), re.I)
    found: list[tuple[int, str, str]] = []
    whole, total = _Whole(pieces), 0
    for number, raw in whole.lines(lambda data: (match.start() for match in wanted.finditer(data))):
        total += 1
        if len(found) < FOUND:
            found.append((number, *_line(raw)))
    return Search(tuple(found), total, whole.all_of_it)


Spots = Callable[[bytes], Iterable[int]]
"""The places of whole lines where something is, in their order."""


def _tellings(data: bytes) -> list[int]:
    # One search a word: an alternation of them is ten times slower.
    return sorted(spot for word in _TELLING for spot in _spots(data, word))


def _spots(data: bytes, word: bytes) -> Iterator[int]:
    at = data.find(word)
    while at >= 0:
        yield at
        at = data.find(word, at + 1)


class _Whole:
    """Looks through a log for lines that something is in, without touching the others."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self.all_of_it = True

    def lines(self, spots: Spots) -> Iterator[tuple[int, bytes]]:
        """(number, line) of each line in which `spots` are, once each."""
        number, rest, seen = 1, b"", 0
        for piece in self._pieces:
            seen += len(piece)
            if seen > LOOKED_AT:
                self.all_of_it = False
                break
            data = rest + piece
            end = data.rfind(b"\n") + 1
            # A line without an end that is longer than is shown of any is looked at as far as it came.
            rest = data[end:][: LINE * 4]
            yield from _matching(data[:end], number, spots)
            number += data.count(b"\n", 0, end)
        if rest:
            yield from _matching(rest, number, spots)


def _matching(data: bytes, number: int, spots: Spots) -> Iterator[tuple[int, bytes]]:
    at, told = 0, -1
    for spot in spots(data):
        start = data.rfind(b"\n", 0, spot) + 1
        if start <= told:
            continue
        number += data.count(b"\n", at, start)
        at = told = start
        end = data.find(b"\n", start)
        yield number, data[start : end if end >= 0 else len(data)]


@dataclass(frozen=True, slots=True)
class Part:
    """Lines that are shown together; `folded` ones under the line that says what they came to."""

    lines: Sequence[tuple[int, str, str]]
    folded: bool = False
    title: str = ""


def parts(lines: Sequence[tuple[int, str, str]]) -> list[Part]:
    """What of a window may be folded: the lines of a test that passed or was skipped, up to its point. Tests are the
    points of the outermost level that has any; what comes after the last of them belongs to none.
    """
    depth = min((level for line in lines if (level := depth_of(line[2])) is not None), default=None)
    found: list[Part] = []
    start = 0
    for place, (_, kind, text) in enumerate(lines):
        if depth is None or depth_of(text) != depth:
            continue
        body = lines[start:place]
        if kind in ("ok", "skip") and len(body) >= FOLDED and not any(one[1] in BAD for one in body):
            found += [Part(body, True, text.strip("# ")), Part(lines[place : place + 1])]
        else:
            found.append(Part(lines[start : place + 1]))
        start = place + 1
    return [*found, Part(lines[start:])] if start < len(lines) else found


def depth_of(text: str) -> int | None:
    """How deep a point of TAP is nested; None for a line that is none."""
    if (match := _POINT.match(text)) is None:
        return None
    return match[1].count("#") + match[1].count("    ")
