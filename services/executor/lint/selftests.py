"""How lists in the selftests are kept: one entry a line, in order, so that two series seldom touch the same line. Pure.

Each rule answers with remarks on one file's text; a patch is blamed for those that it brings.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from services.executor.lint.compare import Remark
from shared.formats.globs import matches

_ASSIGNED = re.compile(r"^([A-Z_][A-Z0-9_]*)\s*(?::?=|\+=)(.*)$")
_FREE = ("FLAGS", "LIBS")
_SHORT = 5
_LONGEST = 1000
"""Of a glob, characters; no name is so long."""


def config_remarks(path: str, text: str) -> list[Remark]:
    """Options of a ``config`` are sorted; underscores count for nothing, so that FOO_BAR stands by FOO."""
    lines = [(at, line) for at, line in _lines(text) if "=" in line and not line.strip().startswith("#")]
    return _disorder(path, [(at, _option(line), line.strip()) for at, line in lines])


def gitignore_remarks(path: str, text: str) -> list[Remark]:
    """Names of a ``.gitignore`` are sorted; exceptions stand where they must."""
    lines = [(at, line.strip()) for at, line in _lines(text)]
    return _disorder(path, [(at, line.lstrip("/"), line) for at, line in lines if line and line[0] not in "#!"])


def makefile_remarks(path: str, text: str) -> list[Remark]:
    """A list of a Makefile is one block with one item a line, sorted, and a comment at its end."""
    found: list[Remark] = []
    for name, block in _blocks(text).items():
        found += [Remark(path, at, "error", name, words) for at, words in _block_faults(name, block)]
    return found


def listed(makefile: str, word: str) -> bool:
    """Whether a Makefile speaks of a file or program of that name."""
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", makefile) is not None


def is_program(makefile: str, stem: str) -> bool:
    """Whether it may be the name of a program: false where only its source or object is spoken of."""
    return (
        not listed(makefile, stem)
        or re.search(rf"(?<![\w-]){re.escape(stem)}(?!\.[co]\b)(?![\w-])", makefile) is not None
    )


def ignored(gitignore: str, name: str) -> bool:
    """Whether a ``.gitignore`` covers a file of that name in its folder."""
    globs = [line.strip().lstrip("/") for line in gitignore.splitlines() if line.strip()[:1] not in ("", "#", "!")]
    return any(len(glob) <= _LONGEST and matches(name, glob) for glob in globs)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    return enumerate(text.split("\n"), 1)


def _option(line: str) -> str:
    return line.split("=")[0].strip().replace("_", "")


def _disorder(path: str, entries: list[tuple[int, str, str]]) -> list[Remark]:
    return [
        Remark(path, at, "error", "order", f"{shown} should stand before {before}")
        for (_, last, before), (at, key, shown) in pairwise(entries)
        if key < last
    ]


@dataclass(slots=True)
class _Block:
    """All assignments of one name: `lines` with their numbers, `starts` where a later one begins anew."""

    lines: list[tuple[int, str]] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)


def _blocks(text: str) -> dict[str, _Block]:
    """Lists by name. Flags and libraries have an order of their own; what is within a condition must be apart."""
    found: dict[str, _Block] = {}
    within, going = 0, ""
    for at, line in _lines(text):
        going, continues = (going, True) if going else _begins(line, within)
        if not going and not continues:
            within += line.startswith(("ifeq", "ifneq", "ifdef", "ifndef")) - line.startswith("endif")
            continue
        if going:
            _take(found.setdefault(going, _Block()), at, line)
        going = going if line.endswith("\\") else ""
    return found


def _begins(line: str, within: int) -> tuple[str, bool]:
    """The name of the list that the line begins, "" for none of interest; and whether it is an assignment at all."""
    if not (match := _ASSIGNED.match(line)):
        return "", False
    name, value = match[1], match[2].strip()
    odd = within or value.startswith("$") or len(name) < 3 or any(word in name for word in _FREE)
    return ("" if odd else name), True


def _take(block: _Block, at: int, line: str) -> None:
    match = _ASSIGNED.match(line)
    if match and block.lines and block.lines[-1][0] != at - 1:
        block.starts.append(at)
    if not match:
        block.lines.append((at, line))
    elif match[2].strip() != "\\":
        block.lines.append((at, "\t" + match[2].strip()))


def _block_faults(name: str, block: _Block) -> Iterator[tuple[int, str]]:
    lines = block.lines
    if not lines:
        return
    closed = lines[-1][1].strip().startswith("#")
    items = [(at, line.removesuffix("\\").strip()) for at, line in (lines[:-1] if closed else lines)]
    for at, line in lines[: len(items)]:
        if not line.startswith("\t"):
            yield at, f"{line.strip()[:80]} should be indented with a tab"
    for at, item in items:
        if " " in item and "$" not in item:
            yield at, f"more than one item in a line: {item[:80]}"
    yield from _end_faults(name, lines, closed)
    yield from _order_faults(items)
    yield from ((at, f"{name} is assigned in more than one block") for at in block.starts)


def _end_faults(name: str, lines: list[tuple[int, str]], closed: bool) -> Iterator[tuple[int, str]]:
    at, last = lines[-1][0], lines[-1][1].strip()
    if len(lines) > 1 and not closed:
        yield at, f"the list should end with a comment: # {name}"
    elif closed and len(last) > _SHORT and name not in last:
        yield at, f"the comment at the end should name {name}"


def _order_faults(items: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Items of the folder itself before those of folders below it; calls stand where they must."""
    plain = [(at, item) for at, item in items if item and not item.startswith("$")]
    for (_, last), (at, item) in pairwise(plain):
        if last >= item and (last.count("/"), last.lower()) > (item.count("/"), item.lower()):
            yield at, f"{item} should stand before {last}"
