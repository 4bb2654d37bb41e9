"""A kernel's report as it is told: its name, what tells it from others, where it was found. Pure.

Titles are for people, and spelled as syzbot spells them. Fingerprints are for comparing: two runs of one crash have the
same one, whatever the addresses, the numbers and the compiler's suffixes.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from shared.formats import oops_frames
from shared.formats.clean import cut
from shared.formats.oops_kinds import Kind, Opening

TITLE = 160
FINGERPRINT = 300

AT_HERE = frozenset({
    Kind.OOPS, Kind.BUG, Kind.WARNING, Kind.LIST, Kind.REFCOUNT, Kind.PAGE, Kind.CFI, Kind.RCU_STALL,
    Kind.SOFT_LOCKUP, Kind.HARD_LOCKUP, Kind.PANIC,
})  # fmt: skip
"""Kinds whose place is the instruction pointer: functions above it on the stack only led to the report."""

_NUMBER = re.compile(r"\b[0-9a-f]{8,16}\b|0x[0-9a-f]+|(?<![A-Za-z_])[0-9]+")


@dataclass(frozen=True, slots=True)
class Report:
    """What the kernel said of one crash.

    `functions` are those of its stack, innermost first, as far as the unwinder was sure of them. `source` is the place
    that the kernel itself names, ``net/core/dev.c:123``. `fatal`: the machine said that it stops. `offset` (bytes) and
    `number` (lines, from 1) are where it begins in the stream; `at` is the kernel's clock in seconds. `text` has its
    lines without prefixes, its first few hundred. `broken` says why its end is missing, "" if it is not.
    """

    kind: Kind
    title: str
    fingerprint: str
    functions: tuple[str, ...]
    source: str
    fatal: bool
    offset: int
    number: int
    at: float | None
    text: tuple[str, ...]
    broken: str
    needles: tuple[str, ...]

    @property
    def nipa(self) -> str:
        """The fingerprint by which NIPA knows it; "" where NIPA sees no functions."""
        return oops_frames.nipa_form(self.needles)

    def __str__(self) -> str:
        """One line: the title, and what to search other runs for."""
        return f"{self.title} ({self.fingerprint})"


@dataclass(frozen=True, slots=True)
class Told:
    """What was read of a report that names it.

    `groups` are those of its opening, `frames` its stack, innermost first. `here` is the function of the instruction
    pointer, `doer` who took the lock or did what may not be done, `access` how memory was touched: "" if not told.
    """

    opening: Opening
    groups: Mapping[str, str]
    frames: tuple[str, ...]
    here: str = ""
    doer: str = ""
    access: str = ""

    @property
    def functions(self) -> tuple[str, ...]:
        """The stack from where it happened on."""
        first = self.here or (self.groups.get("func", "") if self.opening.kind in AT_HERE else "")
        if not first:
            return self.frames
        if first in self.frames:
            at = self.frames.index(first)
            if not any(oops_frames.telling(self.frames[:at])):
                return self.frames[at:]
        return (first, *self.frames)

    @property
    def title(self) -> str:
        groups = {key: value if key == "cache" else _normal(value) for key, value in self.groups.items()}
        title = (self.opening.title or "WARNING").format_map(defaultdict(str, groups)).strip()
        title += f" {self.access}" if self.access else ""
        where = self.where if self.opening.where else ""
        return cut(f"{title} in {where}" if where else title, TITLE)

    @property
    def where(self) -> str:
        """The function to name, the two of a race; "" if none is known."""
        if both := self.groups.get("both"):
            return " / ".join(map(oops_frames.bare, both.split(" / ")))
        said, functions = self.groups.get("func", ""), self.functions
        if self.doer and self.opening.kind in (Kind.LOCKDEP, Kind.ATOMIC):
            functions = (self.doer, *functions)
        names = (*functions, said) if self.opening.kind in AT_HERE else (said, *functions)
        names = tuple(filter(None, names))
        return next(oops_frames.telling(names), oops_frames.bare(names[0]) if names else "")

    @property
    def fingerprint(self) -> str:
        """The kind and the functions that tell; of a report without any, the place it names or its title."""
        names = list(oops_frames.telling(self.functions))[: oops_frames.FRAMES]
        if "both" in self.groups:
            names = sorted(self.where.split(" / "))
        if not names:
            where = self.where if self.opening.where else ""
            names = [where or self.groups.get("source", "") or self.title]
        return cut(":".join([self.opening.kind, *names]), FINGERPRINT)


def _normal(text: str) -> str:
    """Words without the numbers that differ from crash to crash."""
    return _NUMBER.sub("N", text).strip()
