"""A kernel's report while it comes in: which lines belong to it, and which of its stacks is the crash's.

Theory of operation. A report begins with an opening and goes on in its own lane. Its lines are so many that they are
not told one by one: what looks like a report's is taken at once, anything else is held until something of the report
follows, and if that does not come soon, the report was over before it. Some kinds say where they end; after that a few
lines may follow still, registers again or the panic. Only one stack tells where the crash is; the others, of whoever
allocated or holds something, are kept as text.
"""

from dataclasses import dataclass, field

from shared.formats import oops_frames
from shared.formats import oops_words as words
from shared.formats.oops_kinds import CUT_HERE, Kind, Opening
from shared.formats.oops_lines import Line
from shared.formats.oops_report import AT_HERE, Report, Told

TEXT_LINES = 400
"""Lines of a report that are kept."""
LINE_KEPT = 500
MOST_LINES = 5000
"""Lines after which a report is closed, whatever comes."""
MOST_FRAMES = 64
NEEDLES = 16

_PATIENCE = 24
"""Lines that are not of a report, in its lane, before it is taken for over."""
_IMPATIENCE = 3
"""The same once it has its stack and nothing is to come."""

_RULED = frozenset({Kind.KASAN, Kind.KCSAN, Kind.KMSAN, Kind.KFENCE, Kind.UBSAN})
"""Kinds that end with a line drawn under them."""
_MARKED = frozenset({Kind.OOPS, Kind.BUG, Kind.WARNING, Kind.LIST, Kind.REFCOUNT}) | _RULED
"""Kinds that say where they end."""


@dataclass
class Growing:
    """A report that comes in."""

    begun: Line
    opening: Opening
    groups: dict[str, str]
    text: list[str] = field(default_factory=list)
    ended: bool = False
    fatal: bool = False
    lines: int = 0
    _held: list[str] = field(default_factory=list)
    _frames: list[str] = field(default_factory=list)
    _here: str = ""
    _doer: str = ""
    _access: str = ""
    _stacks: int = 0
    _over: bool = False
    _needles: list[str] = field(default_factory=list)
    _looking: int = 0

    @property
    def kind(self) -> Kind:
        return self.opening.kind

    def start(self) -> bool:
        """Read the line that opened it."""
        return self._accept(self.begun.text, self.opening)

    def joins(self, other: Opening) -> bool:
        """Whether `other` goes on to tell this crash."""
        if other.kind is Kind.PANIC:
            return True
        if other.kind in (Kind.DUMP, Kind.NOTE):
            return not self.ended or self.fatal
        return not self.ended and not self._frames and other.kind in self.opening.joins

    def join(self, line: Line, other: Opening, groups: dict[str, str]) -> bool:
        """Take the first line of `other` as one of this report; False if it was the last it can take."""
        if self.opening is CUT_HERE:
            self.opening, self.groups = other, groups
        else:
            self.groups = groups | self.groups
        return self._accept(line.text, other)

    def _accept(self, text: str, opening: Opening) -> bool:
        self.lines += 1
        self.fatal |= opening.fatal
        self._keep(text)
        self._read(text)
        return self.lines < MOST_LINES

    def take(self, line: Line) -> bool:
        """Take the next line of the lane; False if the report was over before it."""
        text = line.text
        self.lines += 1
        if not text:
            return self.lines < MOST_LINES
        if not _belongs(text):
            self._held.append(text[:LINE_KEPT])
            return len(self._held) < self._patience() and self.lines < MOST_LINES
        for held in self._held:
            self._keep(held)
        self._held.clear()
        self._keep(text)
        self._read(text)
        return self.lines < MOST_LINES

    @property
    def _marked(self) -> bool:
        return self.kind in _MARKED and not self.opening.sure

    def _patience(self) -> int:
        if self.ended or (self._frames and not self._marked):
            return _IMPATIENCE
        return _PATIENCE

    def _keep(self, text: str) -> None:
        if len(self.text) < TEXT_LINES:
            self.text.append(text[:LINE_KEPT])

    def _read(self, text: str) -> None:
        self._read_needle(text)
        self.fatal |= words.FATAL.match(text) is not None
        if self.ended:
            return
        self._read_end(text)
        self._read_stack(text)
        if not self._access and (found := words.ACCESS.match(text)):
            self._access = found[1]
        if not self._doer and (found := words.LOCK_AT.match(text)):
            self._doer = found[1] or found[2]

    def _read_end(self, text: str) -> None:
        if self._frames:
            ruled = self.kind in _RULED
            self.ended = text.startswith("=" * 30) if ruled else text == " </TASK>"
        self.ended |= text.startswith("---[ end ")

    def _read_stack(self, text: str) -> None:
        if self._over:
            return
        if found := oops_frames.here(text):
            self._point(found)
        elif one := oops_frames.frame(text):
            name, sure = one
            if sure and len(self._frames) < MOST_FRAMES:
                self._frames.append(name)
        elif words.STACK.match(text):
            self._stack(text)
        elif words.OTHER_STACK.match(text) or ((self._frames or self._here) and words.NEXT_STACK.match(text)):
            self._over = True

    def _point(self, name: str) -> None:
        """The instruction pointer: what was on the stack until here only led to the report."""
        if self._here or self.kind not in AT_HERE:
            return
        self._here = name
        self._frames.clear()

    def _stack(self, text: str) -> None:
        """A stack begins. Some tell others before their own."""
        if not text.startswith(("Call", "stack")):
            return
        self._stacks += 1
        if self._stacks == 1 and self.kind in (Kind.LOCKDEP, Kind.SLAB):
            self._frames.clear()
        elif self._frames and self._stacks > 1:
            self._over = True

    def _read_needle(self, text: str) -> None:
        """What NIPA would read: it looks from the first of some words to the end of the first stack."""
        if self._looking == 0 and words.NIPA_BEGIN.match(text):
            self._looking = 1
        if self._looking != 1:
            return
        if text.startswith(words.NIPA_END) or len(self._needles) >= NEEDLES:
            self._looking = 2
        elif name := oops_frames.nipa_frame(text):
            self._needles.append(name)

    @property
    def whole(self) -> bool:
        """Whether nothing more needs to come: it has said that it is over, or has what there is of its kind."""
        return self.ended or (not self._marked and (bool(self._frames) or not self.opening.where))

    def done(self, broken: str = "") -> Report | None:
        """The report; None if it came to nothing."""
        # A dump without a function of the kernel's is that of a program: some architectures tell of its faults so.
        if (self.opening is CUT_HERE or self.kind is Kind.DUMP) and not (self._frames or self._here):
            return None
        told = Told(self.opening, self.groups, tuple(self._frames), self._here, self._doer, self._access)
        begun, source = self.begun, self.groups.get("source", "")
        return Report(
            self.kind, told.title, told.fingerprint, told.functions, source, self.fatal, begun.offset, begun.number,
            begun.at, tuple(self.text), "" if self.whole else broken, tuple(self._needles),
        )  # fmt: skip


def _belongs(text: str) -> bool:
    """Whether the line looks like one of a report."""
    if words.BODY.match(text) or words.NEXT_STACK.match(text):
        return True
    return oops_frames.frame(text) is not None or oops_frames.here(text) != ""
