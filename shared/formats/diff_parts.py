"""A diff taken apart exactly as ``git apply`` takes it apart: one part per file, with what is wrong in it.

The line counts of a hunk's header decide what is content and what is the next header, never the look of a line: a
``diff --git`` inside a hunk is text, and text that follows a full hunk is none of its lines. Judges no path and
no mode; that is `diff`.
"""

import re
from dataclasses import dataclass, field

_HUNK = re.compile(r"@@ -([0-9]{1,9})(?:,([0-9]{1,9}))? \+([0-9]{1,9})(?:,([0-9]{1,9}))? @@")
_EXTENDED = re.compile(
    r"(old mode|new mode|deleted file mode|new file mode|copy from|copy to|rename from|rename to|rename old"
    r"|rename new|similarity index|dissimilarity index|index) (.*)",
    re.S,
)
_INDEX_MODE = re.compile(r"\S+\.\.\S+ ([0-7]+)\r?")
_DATE = re.compile(r"\t.*", re.S)
_FAULTS_KEPT = 50


@dataclass(slots=True)
class Part:
    """One file of a diff. Names are raw, with their ``a/`` and ``b/``; those of `headers` have none."""

    line: int
    git: str | None = None
    old: str | None = None
    new: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    header_lines: dict[str, int] = field(default_factory=dict)
    hunks: int = 0
    added: int = 0
    removed: int = 0
    binary: int = 0

    @property
    def index_mode(self) -> str:
        found = _INDEX_MODE.fullmatch(self.headers.get("index", ""))
        return found[1] if found else ""


class Parts:
    """Reads all parts of a diff; `parts` and `faults` (rule, line, words) are the outcome. Never raises."""

    def __init__(self, diff: str) -> None:
        self._lines = diff.split("\n")
        self._at = 0
        self.parts: list[Part] = []
        self.faults: list[tuple[str, int, str]] = []
        while self._at < len(self._lines):
            self._outside()

    def _fault(self, rule: str, text: str, line: int | None = None) -> None:
        if len(self.faults) < _FAULTS_KEPT:
            self.faults.append((rule, (self._at if line is None else line) + 1, text))

    def _peek(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._lines[at] if at < len(self._lines) else ""

    def _outside(self) -> None:
        """One step between files: a header, or a line that belongs to nothing."""
        line = self._peek()
        if line.startswith("diff --git "):
            self._git_header(line)
        elif line.startswith("--- ") and self._peek(1).startswith("+++ ") and self._peek(2).startswith("@@ -"):
            self._file(Part(self._at + 1))
        else:
            self._stray(line)
            self._at += 1

    def _stray(self, line: str) -> None:
        if line.startswith("@@ -"):
            self._fault("hunk", "hunk that belongs to no file")
        elif line.startswith("+") or (line.startswith("-") and not line.startswith("--")):
            self._fault("hunk", "changed line outside of every hunk: the counts of the hunk before do not add up")
        elif re.fullmatch(r"[0-9]{1,9}(?:,[0-9]{1,9})?[acdis]\r?", line):
            self._fault("ed-script", "ed script: patch(1) would run it")
        elif line.startswith("***************"):
            self._fault("context-diff", "context diff: only unified diffs are read")

    def _git_header(self, line: str) -> None:
        part = Part(self._at + 1, git=line.removeprefix("diff --git "))
        self._no_cr(line)
        self._at += 1
        while found := _EXTENDED.match(self._peek()):
            self._no_cr(found[0])
            if found[1] in part.headers:
                self._fault("headers", f"second {found[1]!r} for one file")
            part.headers[found[1]], part.header_lines[found[1]] = found[2], self._at + 1
            self._at += 1
        self._file(part)

    def _file(self, part: Part) -> None:
        """Names and hunks, or the binary data, of a part whose extended header has been read."""
        self.parts.append(part)
        if self._peek().startswith("--- ") and self._peek(1).startswith("+++ "):
            self._no_cr(self._peek())
            part.old = _DATE.sub("", self._peek()[4:])
            self._at += 1
            self._no_cr(self._peek())
            part.new = _DATE.sub("", self._peek()[4:])
            self._at += 1
        elif self._peek().startswith(("GIT binary patch", "Binary files ", "Files ")):
            part.binary = self._at + 1
            self._at += 1
            self._binary_data()
        while part.old is not None and self._peek().startswith("@@ -"):
            self._hunk(part)

    def _binary_data(self) -> None:
        while re.match(r"(?:literal|delta) [0-9]", self._peek()):
            while self._peek() and self._at < len(self._lines):
                self._at += 1
            self._at += 1

    def _no_cr(self, line: str) -> None:
        if "\r" in line:
            self._fault("crlf", "carriage return in a header: tools disagree on where it ends")

    def _hunk(self, part: Part) -> None:
        start = self._at
        found = _HUNK.match(self._peek())
        self._at += 1
        if not found:
            self._fault("hunk", "hunk header that cannot be read", start)
            return
        part.hunks += 1
        old, new = int(found[2] or 1), int(found[4] or 1)
        while old > 0 or new > 0:
            old, new, sort = self._content(old, new)
            if not sort or old < 0 or new < 0:
                self._fault("hunk", "hunk whose lines are not as many as its header says", start)
                return
            part.added += sort == "+"
            part.removed += sort == "-"
        while self._peek().startswith("\\"):
            self._at += 1

    def _content(self, old: int, new: int) -> tuple[int, int, str]:
        """Take one line of a hunk; the answer is what is left of the counts, and its sort, empty if it is none."""
        if self._at >= len(self._lines) - 1 and not self._peek():
            return old, new, ""
        # Some mailers strip the blank of an empty context line, and git reads it all the same.
        sort = self._peek()[:1] or " "
        match sort:
            case "+":
                left = (old, new - 1)
            case "-":
                left = (old - 1, new)
            case " ":
                left = (old - 1, new - 1)
            case "\\":
                left = (old, new)
            case _:
                return old, new, ""
        self._at += 1
        return (*left, sort)
