"""The tree that a KTAP log describes while it is being read: results, and the blocks that hold them.

Answers whether a block keeps what it promised (plan, totals) and whether a parent agrees with its children.
Knows nothing of lines and prefixes: that is `ktap`.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from shared.formats.clean import cut, plain
from shared.model.results import Result

NAME_BYTES = 512
DETAIL_BYTES = 1024
_FAULTS_KEPT = 20
_COMMENT = re.compile(r"(?:^|\s)#(?:\s+|(?=(?i:SKIP|TODO|XFAIL|XPASS|TIMEOUT|ERROR)\b))")
_DIRECTIVE = re.compile(r"(?i:(SKIP|TODO|XFAIL|XPASS|TIMEOUT|ERROR))\b[:\s]*(.*)", re.S)
_TIME = re.compile(r"\btime=([0-9]{1,12}(?:\.[0-9]{1,9})?) ?(ns|us|ms|s)\b")
_UNITS = {"ns": 1e9, "us": 1e6, "ms": 1e3, "s": 1.0}
_PASSED = (Result.PASS, Result.SKIP, Result.XPASS)


@dataclass(slots=True)
class Node:
    """One result and those below it. `said` is the log's word, `result` ours after the cross-checks."""

    name: str
    number: int
    said: Result
    result: Result
    directive: str = ""
    detail: str = ""
    seconds: float | None = None
    line: int = 0
    children: "list[Node]" = field(default_factory=list)

    def leaves(self) -> Iterator["Node"]:
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()


def outcome(ok: bool, directive: str) -> Result:
    """What a result line says. SKIP, TODO, XFAIL hold with either word, TIMEOUT and ERROR with `not ok`."""
    match directive:
        case "SKIP":
            return Result.SKIP
        case "XFAIL":
            return Result.XFAIL
        case "XPASS":
            return Result.XPASS
        case "TODO":
            return Result.XPASS if ok else Result.XFAIL
        case "ERROR" if not ok:
            return Result.ERROR
        case _:
            return Result.PASS if ok else Result.FAIL


def directive_of(comment: str) -> tuple[str, str]:
    """The directive that begins one of the comments, upper case, and its text; ``("", comment)`` without one."""
    for part in comment.split(" # ") if "#" in comment else (comment,):
        if found := _DIRECTIVE.match(part):
            return found[1].upper(), found[2].strip()
    return "", comment.strip()


def duration_of(text: str) -> tuple[float | None, str]:
    """The seconds in ``time=9ms``, and the text without it. Without a unit it is nobody's convention."""
    found = _TIME.search(text) if "time=" in text else None
    if not found:
        return None, text
    without = f"{text[: found.start()]}{text[found.end() :]}".strip(" #")
    return float(found[1]) / _UNITS[found[2]], without


def read_result(ok: bool, number: int, rest: str, line: int) -> Node:
    """A result from what follows its number.

    kselftest.h writes the name of a skipped test behind the directive (``ok 3 # SKIP name``), so an empty
    description borrows it; a point without any name is called by its number.
    """
    rest = plain(rest.strip())
    if "#" not in rest:
        result = Result.PASS if ok else Result.FAIL
        return Node(_name(rest, number), number, result, result, line=line)
    name, _, comment = rest.partition(" # ")
    if "#" in name or "#" in comment:
        name, *comments = _COMMENT.split(rest)
    else:
        comments = [comment]
    seconds, comment = duration_of(" # ".join(comments))
    directive, detail = directive_of(comment) if comment else ("", "")
    result = outcome(ok, directive)
    name = name.strip() if name.strip(" -") else detail if directive else ""
    detail = cut(detail, DETAIL_BYTES)
    return Node(_name(name, number), number, result, result, directive, detail, seconds, line)


def _name(text: str, number: int) -> str:
    if text.startswith("-") and text[1:2] in ("", " "):
        text = text[1:].strip()
    return cut(text.replace("\\#", "#"), NAME_BYTES) or str(number)


@dataclass(slots=True)
class Block:
    """The results of one nesting level under one parent that has not been read yet.

    `width` is the length of the prefix of its lines. A program may print several reports one after the other,
    each with its own version line; they are one block, and `first` is where the latest of them begins.
    """

    width: int
    name: str = ""
    started: str = ""
    started_line: int = 0
    plan: int | None = None
    skip: str | None = None
    totals: Mapping[str, int] | None = None
    leaf_totals: Mapping[str, int] | None = None
    first: int = 0
    nodes: list[Node] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def fault(self, text: str) -> None:
        if len(self.faults) < _FAULTS_KEPT:
            self.faults.append(text)

    def add(self, node: Node) -> None:
        due = len(self.nodes) - self.first + 1
        if node.number != due:
            self.fault(f"line {node.line}: number {node.number} where {due} was due")
        self.nodes.append(node)
        self.started = ""

    def abandon(self, children: list[Node], why: str) -> None:
        """Note a test that was started, or whose children came, and that never got a result of its own."""
        number = len(self.nodes) - self.first + 1
        node = Node(self.started or "unnamed", number, Result.NOT_RUN, Result.ERROR, detail=why, children=children)
        node.line = self.started_line
        self.nodes.append(node)
        self.started = ""

    def settle(self, *, cut_short: bool = False) -> None:
        """End the present report of this block: compare with totals and plan, then be ready for another."""
        if self.started:
            self.abandon([], "no result")
        self._check_totals()
        self._add_missing(Result.NOT_RUN if cut_short else Result.ERROR)
        self.first = len(self.nodes)
        self.plan = self.totals = self.leaf_totals = None

    def _check_totals(self) -> None:
        mine = self.nodes[self.first :]
        if self.totals is not None:
            self._compare(self.totals, mine)
        if self.leaf_totals is not None:
            self._compare(self.leaf_totals, [leaf for node in mine for leaf in node.leaves()])

    def _compare(self, totals: Mapping[str, int], nodes: list[Node]) -> None:
        counts = Counter[str](node.said for node in nodes)
        counts["total"] = len(nodes)
        for word, number in totals.items():
            if counts[word] != number:
                self.fault(f"totals say {word}:{number}, the log has {counts[word]}")

    def _add_missing(self, result: Result) -> None:
        """One node for each gap in the numbers, however large: a plan of a billion costs one row."""
        if self.plan is None:
            return
        mine = self.nodes[self.first :]
        if len(mine) > self.plan:
            self.fault(f"plan says {self.plan}, {len(mine)} came")
        for low, high in _gaps({node.number for node in mine}, self.plan):
            name = f"missing {low}" if low == high else f"missing {low}..{high}"
            detail = f"no result, the plan says {self.plan}"
            self.nodes.append(Node(name, low, Result.NOT_RUN, result, detail=detail))


def _gaps(numbers: set[int], plan: int) -> Iterator[tuple[int, int]]:
    due = 1
    for number in [*sorted(n for n in numbers if 0 < n <= plan), plan + 1]:
        if number > due:
            yield due, number - 1
        due = number + 1


def judge(node: Node, block: Block) -> None:
    """Give `node` the children of `block` and let them correct it: a parent is not better than they are."""
    node.children = block.nodes
    if node.result not in _PASSED:
        return
    bad = next((child for child in block.nodes if child.result.bad), None)
    if bad is not None:
        node.result, node.detail = Result.ERROR, f"says {node.said}, but {cut(bad.name, 200)}: {bad.result}"
    elif node.result is Result.PASS and (wrong := totals_fault(block)):
        node.result, node.detail = Result.ERROR, wrong
    elif block.skip is not None and not block.nodes:
        node.result, node.detail = Result.SKIP, block.skip


def totals_fault(block: Block) -> str:
    """The disagreement of the block's totals with its results, empty if there is none."""
    return next((fault for fault in block.faults if fault.startswith("totals")), "")
