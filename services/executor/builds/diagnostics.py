"""What a build printed, read: which units were built, and what was said of each. Pure.

A unit is what one recipe of a makefile makes: an object with all that is done for it (compiled, checked by sparse,
its comments read), a link, a module's post-processing. make keeps the output of one recipe together if it is asked
to, and kernel makefiles print ``  CC      path`` before. Messages of gcc, clang, sparse, kernel-doc, rustc, dtc,
objtool, modpost and linkers are told apart; what merely has the word warning or error in it is a message, too.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from services.executor.builds.recipe import OBJECTS, SOURCE
from shared.formats import clean

MOST_DETAIL = 24
"""Lines that are kept below one message."""
LONGEST = 1000
LONG_LINE, LONG_COMMAND = 2000, 100_000
"""What is read of a line, characters. Expressions below look at some of it more than once."""
MOST = 100_000
"""Messages that are read of one log. Whoever has more is not helped by more."""

Key = tuple[str, str, str]
"""A message without its position: path, level, text."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One message. `text` has no positions in it. `detail` are the lines around it, as printed."""

    text: str
    path: str = ""
    line: int | None = None
    column: int | None = None
    level: str = "warning"
    detail: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        return self.path, self.level, self.text


@dataclass(frozen=True, slots=True)
class Log:
    """`units`: what was built, in order, with what was said of each. "" is what make itself and nobody said. Of those
    that `failed`, not all was said.
    """

    units: Mapping[str, tuple[Diagnostic, ...]] = field(default_factory=dict)
    failed: frozenset[str] = frozenset()

    def plus(self, other: "Log") -> "Log":
        """This and then that; a unit that stands in both was built twice, or in two ways: all counts."""
        units = dict(self.units)
        for unit, said in other.units.items():
            units[unit] = units.get(unit, ()) + said
        return Log(units, self.failed | other.failed)


_HEAD = re.compile(r"  ([A-Z][A-Z0-9_-]*(?: \[[A-Z]\]| [A-Z])?) {1,}(\S[^|]*)")
_COMPILES = frozenset({"CC", "CC [M]", "AS", "AS [M]", "CHECK", "RUSTC [M]", "RUSTC L", "RUSTC M", "CXX"})
_RAW = re.compile(r"(?:ccache )?(?:[\w./+-]*-)?(?:gcc|clang|cc)(?:-\d+)? .*?\s-o\s*(\S+)")

_PLACED = re.compile(
    r"(?P<path>[^\s:|>][^:\n]*?):(?P<line>\d++)(?:[:.](?P<column>\d++)[-\d.]*+)?: ?"
    r"(?P<level>fatal error|error|warning|Warning|Error)\b(?: ?\((?P<kind>\w+)\))?:? ?(?P<text>.*)"
)
_CONTINUED = re.compile(r"[^\s:|>][^:\n]*?:\d+:\d+: {2,}(?P<text>\S.*)")
_BEFORE = re.compile(
    r"(In file included from|  *from ).*[:,]|.*: (In (member )?function|At top level|note: in included).*"
)
_KCONFIG = re.compile(r"(?=[^\s:]*Kconfig)(?P<path>[^\s:]++):(?P<line>\d+): (?P<text>\S.*)")
_UNDEFINED = re.compile(r"(?<![^\s:])(?P<path>[^\s:]*):?\(\.[\w.]+\+0x[0-9a-f]+\): (?P<text>undefined reference .*)")
_RUST = re.compile(r"(?P<level>warning|error)(?P<code>\[E\d+\])?: (?P<text>.*)")
_ARROW = re.compile(r" *--> (?P<path>[^\s:]+):(?P<line>\d+):(?P<column>\d+)")
_BLAMED = re.compile(r"(?P<path>[\w./+-]+\.(?:o|ko|a)): (?P<level>warning|error): (?P<text>objtool: .*)")
_WORD = re.compile(r"\b(warn(?:ing)?|error)\b", re.IGNORECASE)

_MAKE = re.compile(r"g?make(?:\[\d+\])?: (?P<text>.*)")
_FAILED = re.compile(r"\*\*\* \[(?P<target>[^\]]*+)\] (Error \d+|[A-Z].*)|\*\*\* (Waiting for unfinished|Deleting).*")
_SUMMARY = re.compile(
    r"\d+ (warnings?|errors?)( and \d+ errors?)? (generated|emitted)\.?|(cc1|lto1): (all|some) warnings.*|"
    r"(warning|error): (\d+ warnings? emitted|aborting due to .*|could not compile .*)(; .*)?|"
    r"[^\s:]+:\d+:warning: override: (reassigning to symbol \w+|\w+ changes choice state)"
)

_TREE = re.compile(rf"(?<![\w.])(?:{SOURCE}|{OBJECTS})/(?:\./)?")
_POSITION = re.compile(r"(?<![\w./+-])([\w./+-]{1,255}\.[A-Za-z]{1,4}):\d+(?::\d+)?")
_OFFSET = re.compile(r"\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?")
_NUMBERED = re.compile(r"(__UNIQUE_ID_[A-Za-z_]{0,200})\d+|\bline \d+")


def plain(text: str) -> str:
    """Text without the places that our folders have, and without positions."""
    text = _OFFSET.sub("", _POSITION.sub(r"\1", _TREE.sub("", text)))
    return " ".join(_NUMBERED.sub(lambda found: found[1] or "line", text).split())[:LONGEST]


def path_of(text: str) -> str:
    """A path as the tree has it: relative, without our folders and without ``..``."""
    text = _TREE.sub("", text.strip())
    parts: list[str] = []
    for part in PurePosixPath(text).parts:
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts).replace("//", "/")


def unit_of(verb: str, path: str) -> str:
    """What a line ``  VERB  path`` begins. All that is done for one object is one unit."""
    path = path_of(path)
    if verb in _COMPILES:
        return path.rsplit(".", 1)[0] if "." in path.rsplit("/", 1)[-1] else path
    return f"{verb.replace(' [M]', '')} {path}"


def read(log: str) -> Log:
    """All units and messages of a log."""
    reader = _Reader()
    for line in log.splitlines():
        reader.take(line[:LONG_COMMAND])
    units = {unit: tuple(said) for unit, said in reader.units.items() if unit or said}
    return Log(units, frozenset(reader.failed))


def read_as(unit: str, log: str) -> Log:
    """All messages of a log, as said of one unit."""
    return Log({unit: tuple(one for said in read(log).units.values() for one in said)})


def mirrored(log: Log, products: str, mirrors: str) -> Log:
    """Makefiles that are called in a folder of their own name files as seen from there: by the unit one knows it."""
    units = {unit: tuple(_mirrored(one, unit, products, mirrors) for one in said) for unit, said in log.units.items()}
    return replace(log, units=units)


def _mirrored(one: Diagnostic, unit: str, products: str, mirrors: str) -> Diagnostic:
    if not unit.startswith(f"{products}/") or not one.path or one.path.startswith((mirrors, products, "<")):
        return one
    folder = unit.removeprefix(f"{products}/").rpartition("/")[0]
    return replace(one, path=path_of(f"{mirrors}/{folder}/{one.path}"))


def quiet(units: Mapping[str, tuple[Diagnostic, ...]], noise: Sequence[str]) -> dict[str, tuple[Diagnostic, ...]]:
    """The same units, without the messages that one of these regular expressions is found in."""
    without = [re.compile(expression) for expression in noise]
    return {unit: tuple(one for one in said if not _is_noise(one, without)) for unit, said in units.items()}


def _is_noise(one: Diagnostic, without: Sequence[re.Pattern[str]]) -> bool:
    line = f"{one.path}: {one.level}: {one.text}"
    return any(expression.search(line) for expression in without)


class _Reader:
    """Goes line by line: a head begins a unit, a message belongs to it, other lines belong to the message."""

    def __init__(self) -> None:
        self.units: dict[str, list[Diagnostic]] = {"": []}
        self.failed: set[str] = set()
        self._said = self.units[""]
        self._pending: list[str] = []
        self._open = False
        self._read = 0

    def take(self, line: str) -> None:
        if raw := _RAW.match(line):
            self._begin(path_of(raw[1]))
            return
        line = clean.plain(line[:LONG_LINE]).rstrip()
        if head := _HEAD.fullmatch(line):
            self._begin(unit_of(head[1], head[2]))
        elif make := _MAKE.match(line):
            self._make(make["text"])
        elif not _SUMMARY.fullmatch(line):
            self._line(line)

    def _begin(self, unit: str) -> None:
        self._said = self.units.setdefault(unit, [])
        self._pending, self._open = [], False

    def _make(self, text: str) -> None:
        """make speaks of a recipe after it: this closes the unit. A target that nobody can make is an error."""
        self._open = False
        if failed := _FAILED.fullmatch(text):
            # Before the target stands where the recipe is.
            self.failed.add(unit_of("CC", (failed["target"] or "").rpartition(": ")[2]))
        elif text.startswith("*** "):
            self.units[""].append(Diagnostic(plain(text[4:]), level="error"))
        elif " warning: " in f" {text}":
            self.units[""].append(Diagnostic(plain(text)))

    def _line(self, line: str) -> None:
        if self._read < MOST and (found := _message(line)):
            self._read += 1
            self._said.append(replace(found, detail=(*self._pending, line)[-MOST_DETAIL:]))
            self._pending, self._open = [], True
        elif arrow := _ARROW.match(line):
            self._place(arrow)
        elif more := _CONTINUED.fullmatch(line):
            self._continue(line, more["text"])
        elif _BEFORE.fullmatch(line):
            self._pending = [*self._pending, line][-8:]
        else:
            self._add(line)

    def _place(self, arrow: re.Match[str]) -> None:
        """rustc says where below what it says."""
        if self._open and self._said[-1].line is None:
            line, column = int(arrow["line"]), int(arrow["column"])
            self._said[-1] = replace(self._said[-1], path=path_of(arrow["path"]), line=line, column=column)
        self._add(arrow.string)

    def _continue(self, line: str, text: str) -> None:
        """sparse says what it expected, and what it got, in lines of their own."""
        if self._open:
            last = self._said[-1]
            self._said[-1] = replace(last, text=f"{last.text}; {plain(text)}"[:LONGEST])
        self._add(line)

    def _add(self, line: str) -> None:
        if self._open and line and len(self._said[-1].detail) < MOST_DETAIL:
            self._said[-1] = replace(self._said[-1], detail=(*self._said[-1].detail, line[:LONGEST]))


def _message(line: str) -> Diagnostic | None:
    if found := _PLACED.match(line):
        column = int(found["column"]) if found["column"] else None
        text = plain(f"({found['kind']}) {found['text']}" if found["kind"] else found["text"])
        return Diagnostic(text, path_of(found["path"]), int(found["line"]), column, _level(found["level"]))
    if found := _KCONFIG.fullmatch(line):
        return Diagnostic(plain(found["text"]), path_of(found["path"]), int(found["line"]), level="error")
    if "undefined reference" in line and (found := _UNDEFINED.search(line)):
        return Diagnostic(plain(found["text"]), path_of(found["path"]), level="error")
    if found := _BLAMED.match(line):
        return Diagnostic(plain(found["text"]), path_of(found["path"]), level=_level(found["level"]))
    if found := _RUST.match(line):
        return Diagnostic(plain(found["text"] + (found["code"] or "")), level=_level(found["level"]))
    if "|" not in line and (word := _WORD.search(line)) and ": note: " not in line:
        return Diagnostic(plain(line), level=_level(word[1]))
    return None


def _level(word: str) -> str:
    return "error" if "error" in word.lower() else "warning"
