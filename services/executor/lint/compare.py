"""What a tool said before a patch and says after it: which of it is new. Pure.

Compared is what was said, not where: lines move. Neither are counts enough, for a patch may put a new warning in the
place of an old one. So each sort of remark is counted by itself: file, level, code and words without positions.
Where there are more of a sort than before, those on lines that the patch wrote are the new ones.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

_POSITION = re.compile(r"\b(lines?|line:|column) [0-9]+(?:\s*-\s*[0-9]+)?|:[0-9]+(?::[0-9]+)?\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that a tool said of a file. `level` is the tool's word: error, warning, info, style."""

    path: str
    line: int | None
    level: str
    code: str
    text: str

    @property
    def sort(self) -> tuple[str, str, str, str]:
        return self.path, self.level, self.code, _POSITION.sub(r"\1", self.text)

    def __str__(self) -> str:
        place = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{place}: {self.level}: {self.text}" + (f" [{self.code}]" if self.code else "")


@dataclass(frozen=True, slots=True)
class Difference:
    """`new` came with the patch, `kept` was there before, `gone` is no more; each in the order of the tool."""

    new: tuple[Remark, ...] = ()
    kept: tuple[Remark, ...] = ()
    gone: tuple[Remark, ...] = ()


def difference(
    before: Iterable[Remark], after: Iterable[Remark], written: Mapping[str, AbstractSet[int]] | None = None
) -> Difference:
    """What differs. `written`: for each path the lines that the patch added."""
    before, after = tuple(before), tuple(after)
    was, now = Counter(one.sort for one in before), Counter(one.sort for one in after)
    new = _excess(after, now - was, written or {})
    gone = _excess(before, was - now, {})
    return Difference(
        tuple(one for at, one in enumerate(after) if at in new),
        tuple(one for at, one in enumerate(after) if at not in new),
        tuple(one for at, one in enumerate(before) if at in gone),
    )


def _excess(
    remarks: tuple[Remark, ...], excess: Counter[tuple[str, str, str, str]], written: Mapping[str, AbstractSet[int]]
) -> set[int]:
    """Places in `remarks` of those that are too many of their sort: written lines first, then the last ones."""
    order = sorted(range(len(remarks)), key=lambda at: (remarks[at].line not in written.get(remarks[at].path, ()), -at))
    found: set[int] = set()
    for at in order:
        if excess[remarks[at].sort] > 0:
            excess[remarks[at].sort] -= 1
            found.add(at)
    return found
