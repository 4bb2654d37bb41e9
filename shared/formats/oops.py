"""Crashes on a kernel's console or in its log: found in a stream as it comes, named, and told one from another.

`OopsReader` takes bytes in pieces of any size and gives each report when it is whole; `read` does the same for a log
that is there. What is the kernel's and what others wrote between is kept apart (`oops_lines`), what begins a report
stands in a table (`oops_kinds`), how it goes on in `oops_growing`, what it is called in `oops_report`. Knows neither
tests nor machines.

Theory of operation. As long as no report is open, one search passes over the console for what could open one, and
nothing else is looked at; so a console without crashes costs a search. In a report each line is read once. Of a line
without end, pieces of LINE bytes are lines. At most LANES reports are open at one time, each of bounded size.
"""

from collections.abc import Iterable

from shared.formats.oops_growing import Growing
from shared.formats.oops_kinds import BACKTRACE, Kind, Opening, opening
from shared.formats.oops_lines import USER, Line, lines
from shared.formats.oops_report import Report
from shared.formats.oops_rules import Judged, Rule, judge
from shared.formats.oops_search import Search, could_open

__all__ = ["Judged", "Kind", "OopsReader", "Report", "Rule", "judge", "read"]

LINE = 1024
"""Bytes of a line that are read as one."""
LANES = 16
REPORTS = 1000
"""Reports given of one stream; those after are only counted."""
_SLICE = 1 << 20
_SILENCE = 2000
"""Lines of others after which an open report is taken for over."""
_AFTER = 100
"""The same for one that has said that it ends."""
_LOOK = 32

_ASKING = frozenset({Kind.RCU_STALL, Kind.SOFT_LOCKUP, Kind.HARD_LOCKUP})
"""Kinds that have other CPUs tell where they are."""


class OopsReader:
    """Feed it a console, then `end`. `dropped` counts reports beyond the most that are given.

    `scanned` and `looked` count bytes, of the search and of the reading of lines: what it has worked.
    """

    def __init__(self, *, most: int = REPORTS) -> None:
        self._most = most
        self._given = self.dropped = 0
        self.scanned = self.looked = 0
        self._rest = b""
        self._offset, self._number, self._count = 0, 1, 0
        self._open: dict[str, tuple[Growing, int]] = {}
        self._guests: dict[str, str] = {}
        self._last = ""
        self._done: list[Report] = []

    @property
    def open(self) -> bool:
        """Whether a report has begun that is not over: the machine may be about to stop."""
        return bool(self._open)

    def feed(self, data: bytes) -> list[Report]:
        """The reports that are whole now."""
        for at in range(0, len(data), _SLICE):
            text = self._rest + data[at : at + _SLICE]
            end = text.rfind(b"\n") + 1
            end += (len(text) - end) // LINE * LINE
            self._rest = text[end:]
            self._scan(text[:end])
        return self._given_up()

    def end(self) -> list[Report]:
        """What is left, the console being over. The last line may be half of one."""
        if self._rest:
            self._scan(self._rest)
            self._rest = b""
        for lane in list(self._open):
            self._close(lane, "the console ended")
        return self._given_up()

    def _given_up(self) -> list[Report]:
        done, self._done = self._done, []
        return done

    def _scan(self, text: bytes) -> None:
        """Whole lines, or pieces of LINE bytes of one that has no end yet."""
        search = Search(text)
        at = 0
        while at < len(text):
            if not self._open:
                at = self._skip(text, at, search.after(at))
            if at < len(text):
                end = text.find(b"\n", at, at + LINE) + 1 or min(at + LINE, len(text))
                self._piece(text[at:end])
                at = end
        self.scanned += search.scanned

    def _skip(self, text: bytes, at: int, word: int) -> int:
        """Pass over all lines before the one of `word`; gives where that begins, or its piece with the word."""
        end = max(at, text.rfind(b"\n", at, word) + 1)
        end = len(text) if word == len(text) else end + (word - end) // LINE * LINE
        self._pass(text.count(b"\n", at, end), end - at)
        return end

    def _pass(self, newlines: int, size: int) -> None:
        self._number += newlines
        self._offset += size

    def _piece(self, raw: bytes) -> None:
        if self._open or could_open(raw):
            self.looked += len(raw)
            for line in lines(raw, self._offset, self._number):
                self._line(line)
                self._expire()
        self._pass(raw.endswith(b"\n"), len(raw))

    def _line(self, line: Line) -> None:
        self._count += 1
        lane = self._lane(line)
        growing = self._open[lane][0] if lane in self._open else None
        found = opening(line.text, line.lane != USER)
        if found is None:
            if growing is not None:
                self._go_on(lane, growing, growing.take(line))
            return
        if growing is None and (host := self._host(found[0])):
            self._guests[lane] = lane = host
            growing = self._open[host][0]
        if growing is not None and growing.joins(found[0]):
            self._go_on(lane, growing, growing.join(line, *found))
            return
        if growing is not None:
            self._close(lane, "another report began")
        self._begin(lane, Growing(line, *found))

    def _lane(self, line: Line) -> str:
        """The lane that the line belongs to.

        Whoever prints the kernel's log may indent the further lines of one message instead of stamping them.
        """
        lane, last = line.lane, self._last
        if lane == USER and USER not in self._open and last in self._open and line.text.startswith(" " * 8):
            lane = last
        self._last = lane
        return self._guests.get(lane, lane)

    def _host(self, found: Opening) -> str:
        """The lane of the report that another CPU's backtrace was asked for; "" if nobody asks."""
        if found is not BACKTRACE:
            return ""
        asking = (one for one, (growing, _) in self._open.items() if growing.kind in _ASKING and not growing.ended)
        return max(asking, key=lambda lane: self._open[lane][1], default="")

    def _begin(self, lane: str, growing: Growing) -> None:
        self._go_on(lane, growing, growing.start())
        if len(self._open) > LANES:
            self._close(next(iter(self._open)), "too many at one time")

    def _go_on(self, lane: str, growing: Growing, going: bool) -> None:
        self._touch(lane, growing)
        if not going:
            self._close(lane)

    def _touch(self, lane: str, growing: Growing) -> None:
        """The lane heard of last stands last."""
        self._open.pop(lane, None)
        self._open[lane] = (growing, self._count)

    def _expire(self) -> None:
        """Close what has been silent for long; looked for now and then, as there may be many."""
        if self._count % _LOOK == 0:
            for lane, (growing, heard) in list(self._open.items()):
                if self._count - heard >= (_AFTER if growing.ended else _SILENCE):
                    self._close(lane, "the lane fell silent")

    def _close(self, lane: str, broken: str = "") -> None:
        growing, _ = self._open.pop(lane)
        self._guests = {guest: host for guest, host in self._guests.items() if host != lane}
        report = growing.done(broken)
        if report is None:
            return
        if self._given < self._most:
            self._given += 1
            self._done.append(report)
        else:
            self.dropped += 1


def read(log: bytes | str | Iterable[bytes], *, most: int = REPORTS) -> tuple[Report, ...]:
    """The reports of a whole log, in the order in which they begin."""
    reader = OopsReader(most=most)
    if isinstance(log, str):
        log = log.encode(errors="replace")
    found = []
    for piece in (log,) if isinstance(log, bytes) else log:
        found += reader.feed(piece)
    found += reader.end()
    return tuple(sorted(found, key=lambda report: report.offset))
