"""Where the diff is in a mail's text, and what the same diff is called again: pure text.

The rules are Patchwork's: a small walk over lines that takes a file header only when a hunk follows, counts the lines
of a hunk, and leaves everything else (the message, the diffstat, a signature) as comment. It refuses to judge whether
the diff applies.
"""

from __future__ import annotations

import hashlib
import re
from enum import Enum, auto

HUNK = re.compile(r"^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
FILE = re.compile(r"^(---|\+\+\+) (\S+)")
EXTENDED = (
    "old mode ",
    "new mode ",
    "deleted file mode ",
    "new file mode ",
    "copy from ",
    "copy to ",
    "rename from ",
    "rename to ",
    "similarity index ",
    "dissimilarity index ",
    "index ",
)
PULL = re.compile(
    r"^The following changes since commit.*^are available in the git repository at:\s*\n"
    r"^\s*([\w+-]+(?:://|@)[\w/.@:~-]+[\s\\]*[\w/._-]*)\s*$",
    re.DOTALL | re.MULTILINE | re.IGNORECASE,
)
_NO_NEWLINE = "\\ No newline at end of file"


class _At(Enum):
    TEXT = auto()
    HEADER = auto()
    OLD = auto()
    NEW = auto()
    HUNK = auto()
    EXTENDED = auto()


class Splitter:
    """One pass over a text; `diff` and `text` are what was found so far, `held` is not decided yet."""

    def __init__(self) -> None:
        self.diff: list[str] = []
        self.text: list[str] = []
        self.held: list[str] = []
        self.at = _At.TEXT
        self.hunks = 0
        self.left = [0, 0]

    def feed(self, line: str) -> None:
        """Take one line, with its newline."""
        step = {
            _At.TEXT: self._text,
            _At.HEADER: self._header,
            _At.OLD: self._old,
            _At.NEW: self._new,
            _At.HUNK: self._hunk,
            _At.EXTENDED: self._extended,
        }[self.at]
        step(line)

    def _text(self, line: str) -> None:
        if line.startswith(("diff ", "Index: ", "--- ")):
            self.held.append(line)
            self.at = _At.OLD if line.startswith("--- ") else _At.HEADER
        else:
            self.text.append(line)

    def _header(self, line: str) -> None:
        self.held.append(line)
        if line.startswith("--- "):
            self.at = _At.OLD
        elif line.startswith(EXTENDED):
            self.at = _At.EXTENDED

    def _old(self, line: str) -> None:
        if line.startswith("+++ "):
            self.held.append(line)
            self.at = _At.NEW
        else:
            self._doubt(line)

    def _new(self, line: str) -> None:
        match = HUNK.match(line)
        if match:
            self._keep(line, _At.HUNK)
            self.left = [int(n) if n else 1 for n in match.groups()]
        elif line.startswith("--- "):
            self._keep(line, _At.OLD)
        elif self.hunks and line.startswith(_NO_NEWLINE):
            self.diff.append(line)
        else:
            self._doubt(line)

    def _hunk(self, line: str) -> None:
        self.diff.append(line)
        if not line.startswith(_NO_NEWLINE):
            self.left[0] -= not line.startswith("+")
            self.left[1] -= not line.startswith("-")
        if self.left[0] <= 0 and self.left[1] <= 0:
            self.hunks += 1
            self.at = _At.NEW

    def _extended(self, line: str) -> None:
        if line.startswith(EXTENDED):
            self._keep(line, _At.EXTENDED)
        elif line.startswith("--- "):
            self._keep(line, _At.OLD)
        else:
            self.held.append(line)
            self.at = _At.HEADER

    def _keep(self, line: str, at: _At) -> None:
        self.diff += [*self.held, line]
        self.held = []
        self.at = at

    def _doubt(self, line: str) -> None:
        """After a hunk an odd line may still open a file; before one it was only text."""
        self.held.append(line)
        if self.hunks:
            self.at = _At.HEADER
            return
        self.text += self.held
        self.held = []
        self.at = _At.TEXT


def split(text: str) -> tuple[str | None, str]:
    """The diff in a text, None if there is none, and the text without it."""
    walk = Splitter()
    for line in text.split("\n"):
        walk.feed(line + "\n")
    return "".join(walk.diff) or None, "".join(walk.text + walk.held)


def pull_request(text: str) -> str | None:
    """`URL REF` of a text that `git request-pull` wrote, else None."""
    match = PULL.search(text)
    return " ".join(match[1].split()) if match else None


def fingerprint(diff: str) -> str:
    """Patchwork's `hash`: SHA-1 of the diff without line numbers, headers and the first part of paths."""
    known = (_hashed(line) for line in (diff.replace("\r", "").strip() + "\n").split("\n") if line)
    return hashlib.sha1("".join(line + "\n" for line in known if line).encode()).hexdigest()


def _hashed(line: str) -> str | None:
    name = FILE.match(line)
    if name:
        side = "a/" if name[1] == "---" else "b/"
        return f"{name[1]} {side}{'/'.join(name[2].split('/')[1:])}"
    hunk = HUNK.match(line)
    if hunk:
        before, after = (int(n) if n else 1 for n in hunk.groups())
        return f"@@ -{before} +{after} @@"
    return line if line[0] in "-+ " else None
