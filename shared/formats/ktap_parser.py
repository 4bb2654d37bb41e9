"""KTAP read as it comes: which tests ran, how they nest, and what does not add up.

Reads KTAP 1 and TAP 13/14 as kselftest, KUnit and shell scripts write them: nested by two blanks or by
``# ``, with or without plan and version lines, in any mixture with kernel messages. A log is hostile text:
nothing in it makes this module raise, and every size is capped. Judges no program: exit codes are for `ktap`.

Theory of operation. Both ways of nesting put two characters before a line for each level, so the *width* of
the prefix is the level, and a stack of open blocks, each wider than the one below, is all the state there is.
Children come before their parent: a result at a width takes everything wider as its children. A line that is
none of ours changes nothing; most are not, so one expression skips over them in C, many lines at a call.
"""

import re
from collections.abc import Callable

from shared.formats.clean import cut, plain
from shared.formats.ktap_report import Report, flatten
from shared.formats.ktap_tree import NAME_BYTES, Block, judge, read_result, totals_fault

_BATCH = 1 << 16
_LINE_KEPT = 1 << 14
_REST_KEPT = 1 << 12
_MARKS_READ = 1_000_000
"""Lines that say something, of whatever kind, before a log is taken for one that is made to waste our time."""
# The prefix is possessive and bounded: no line, however long, is looked at twice.
_LINE = re.compile(
    r"\n((?:# |  ){0,64}+)(?:"
    r"(not )?ok ([0-9]{1,9})(?![0-9])(?=[ \t\r\n])([^\n]*)"
    r"|1\.\.([0-9]{1,9})(?=[ \t\r\n])[ \t]{0,64}+(#[^\n]*|\r?(?=\n))"
    r"|K?TAP version [0-9]"
    r"|(Bail out!)([^\n]*)"
    r"|(Totals:|Subtest:|selftests:| RUN ) {0,64}+([^\n]*))"
)
_TOTAL = re.compile(r"\b(pass|fail|xfail|xpass|skip|error|total):([0-9]{1,9})(?![0-9])")
_HEADER = re.compile(r"[^\s:][^:]*: .+")


class KtapParser:
    """Feed it a log in pieces of any size, then `finish`. The pieces may break lines anywhere.

    `max_results` bounds what is kept; results beyond it are not read and the report is `unsound`.
    """

    def __init__(self, *, max_results: int = 10_000, max_depth: int = 16) -> None:
        self._max_results, self._max_depth = max_results, max_depth
        self._pieces: list[str] = ["\n"]
        self._size = 0
        self._line = 0
        self._dropping = False
        self._stack: list[Block] = []
        self._faults: dict[str, None] = {}
        self._count = self._marks = 0
        self._unsound = ""
        self._bail = ""

    def feed(self, text: str) -> None:
        """Read a piece of the log. Work is put off until there is enough of it to be worth a scan."""
        self._pieces.append(text)
        self._size += len(text)
        if self._size >= _BATCH:
            self._scan()

    @property
    def running(self) -> str:
        """The test that has started and not ended yet, as far as the log names it."""
        self._scan()
        return self._started()

    def finish(self, *, cut_short: bool = False) -> Report:
        """The report.

        `cut_short`: the program did not get to its end. What is missing is then not its fault, and a last line
        without its newline may be half of one.
        """
        if not cut_short:
            self.feed("\n")
        self._scan()
        started = self._started()
        top = self._fold(-1, cut_short)
        seen = top is not None
        top = top or Block(0)
        faults = (*self._faults, *top.faults)
        points = tuple(flatten(top.nodes))
        unsound = self._unsound or (f"Bail out! {self._bail}" if self._bail else totals_fault(top))
        return Report(points, top.skip, started, faults, unsound, seen, self._bail)

    def _started(self) -> str:
        return next((block.started for block in reversed(self._stack) if block.started), "")

    def _scan(self) -> None:
        text = "".join(self._pieces)
        end = text.rfind("\n")
        if self._dropping:
            text, end = self._skip_long(text)
        tail = text[end:]
        if len(tail) > _LINE_KEPT:
            tail, self._dropping = tail[:_LINE_KEPT], True
        self._pieces, self._size = [tail], 0
        if end > 0:
            self._read(text[: end + 1])

    def _skip_long(self, text: str) -> tuple[str, int]:
        """Cut the middle out of a line that is longer than we keep: its beginning has all we read."""
        newline = text.find("\n", 1)
        if newline < 0:
            return text, 0
        self._dropping = False
        text = text[:_LINE_KEPT] + text[newline:]
        return text, text.rfind("\n")

    def _read(self, text: str) -> None:
        """`text` begins and ends with a newline; the last one begins the next text."""
        at = 0
        for found in _LINE.finditer(text):
            self._marks += 1
            if self._marks > _MARKS_READ:
                self._full()
                break
            start = found.start()
            self._line += text.count("\n", at, start + 1)
            at = start + 1
            prefix, negated, number, rest, plan, skip, bail, reason, word, value = found.groups()
            width = len(prefix)
            if number is not None:
                self._on_result(width, negated is None, int(number), rest[:_REST_KEPT])
            elif plan is not None:
                self._on_plan(width, int(plan), skip[:_REST_KEPT])
            elif bail is not None:
                self._bail = self._bail or cut(plain(reason[:_REST_KEPT]).strip() or "no reason given", NAME_BYTES)
            elif word is None:
                self._on_version(width)
            elif width >= 2:
                self._on_word(width - 2, word, value[:_REST_KEPT].rstrip())
        self._line += text.count("\n", at, len(text) - 1)

    def _on_result(self, width: int, ok: bool, number: int, rest: str) -> None:
        block = self._stack[-1] if self._top() == width else self._at(width)
        if block is None and (number != 1 or not self._room(width)):
            return
        if self._count >= self._max_results and not self._closes(width):
            self._full()
            return
        self._count += 1
        below = self._fold(width)
        node = read_result(ok, number, rest, self._line)
        if below is not None:
            judge(node, below)
            self._note(below)
        (block or self._open(width)).add(node)

    def _on_plan(self, width: int, plan: int, comment: str) -> None:
        block = self._begin(width, again=lambda block: block.plan is not None)
        if block is None:
            return
        block.plan = plan
        reason = plain(comment.lstrip("# ")).strip()
        if plan == 0 and reason.upper().startswith("SKIP"):
            block.skip = cut(reason[4:].strip(" :"), NAME_BYTES)

    def _on_version(self, width: int) -> None:
        self._begin(width, again=lambda block: block.plan is not None or len(block.nodes) > block.first)

    def _on_totals(self, width: int, text: str) -> None:
        totals = {word: int(number) for word, number in _TOTAL.findall(text)}
        block = self._at(width)
        if not totals or block is None:
            return
        # KUnit counts the leaves of the suite that has just ended, whose own result is still to come.
        above = next((b for b in self._stack if b.width > width), None)
        if "total" in totals:
            (above or block).leaf_totals = totals
        else:
            block.totals = totals

    def _on_subtest(self, width: int, text: str) -> None:
        block = self._at(width) or (self._open(width) if self._room(width) and self._top() < width else None)
        if block is not None and text:
            block.name = cut(plain(text), NAME_BYTES)

    def _on_header(self, width: int, text: str) -> None:
        """The runner's ``# selftests: net: tap``: what was open at this level will get no result any more."""
        if not _HEADER.match(text) or not (block := self._begin(width, again=lambda _: False)):
            return
        if block.started:
            self._orphans(block, Block(0), running=True)
        block.started, block.started_line = cut(plain(f"selftests: {text}"), NAME_BYTES), self._line

    def _on_run(self, width: int, text: str) -> None:
        """The C harness's ``#  RUN           suite.name ...``, which its result line repeats."""
        if text.endswith(" ...") and self._top() == width:
            block = self._stack[-1]
            block.started, block.started_line = cut(plain(text[:-4]), NAME_BYTES), self._line

    def _on_word(self, width: int, word: str, text: str) -> None:
        match word:
            case "Totals:":
                self._on_totals(width, text)
            case "Subtest:":
                self._on_subtest(width, text)
            case "selftests:":
                self._on_header(width, text)
            case _:
                self._on_run(width, text)

    def _top(self) -> int:
        return self._stack[-1].width if self._stack else -1

    def _at(self, width: int) -> Block | None:
        for block in reversed(self._stack):
            if block.width <= width:
                return block if block.width == width else None
        return None

    def _closes(self, width: int) -> bool:
        return bool(self._stack) and width < self._top()

    def _room(self, width: int) -> bool:
        if sum(block.width < width for block in self._stack) < self._max_depth:
            return True
        self._faults[f"nested deeper than {self._max_depth}"] = None
        return False

    def _full(self) -> None:
        self._unsound = f"more than {self._max_results} results, the rest was not read"
        self._faults[self._unsound] = None

    def _open(self, width: int) -> Block:
        block = Block(width)
        self._stack.append(block)
        return block

    def _begin(self, width: int, *, again: Callable[[Block], bool]) -> Block | None:
        """The block at `width`, made if need be, nothing open above; settled first if it begins `again`."""
        block = self._at(width)
        if block is None and not self._room(width):
            return None
        above = self._fold(width)
        block = block or self._open(width)
        if above is not None:
            self._orphans(block, above)
        if again(block):
            self._settle(block)
        return block

    def _fold(self, width: int, cut_short: bool = False) -> Block | None:
        """Close every block wider than `width`, innermost first; the outermost of them is the answer."""
        below = None
        while self._stack and self._stack[-1].width > width:
            block = self._stack.pop()
            if below is not None:
                self._orphans(block, below)
            self._settle(block, cut_short)
            below = block
        return below

    def _settle(self, block: Block, cut_short: bool = False) -> None:
        before = len(block.nodes)
        if block.plan is not None and self._count >= self._max_results:
            self._full()
        if self._unsound:
            block.plan = block.totals = block.leaf_totals = None
        block.settle(cut_short=cut_short)
        self._count += len(block.nodes) - before

    def _orphans(self, block: Block, below: Block, *, running: bool = False) -> None:
        """Results whose parent never got one go under the test that was running, or under their own name."""
        self._note(below)
        if not below.nodes and not running:
            return
        if self._count >= self._max_results + self._max_depth:
            return self._full()
        self._count += 1
        block.started = block.started or below.name
        block.abandon(below.nodes, "no result")

    def _note(self, block: Block) -> None:
        for fault in block.faults:
            if len(self._faults) < 100:
                self._faults[fault] = None
