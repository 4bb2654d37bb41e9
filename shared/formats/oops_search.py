"""Passing over a console for what could open a report.

Every line that an opening of `oops_kinds` matches has one of these words, so a text without them needs no look at its
lines. Words with a capital are sought by one expression: it skips what is no capital, and consoles have few. For the
others, plain searches one by one are many times faster than an expression.
"""

import re

_CAPITALS = re.compile(
    rb"BUG|WARNING: |UBSAN: |CFI failure|Oops|Internal error|Unable to handle|PANIC: |Kernel panic|INFO: |LOCKUP|SError"
    rb"|Bad mode in|Insufficient stack|Kernel memory|Slab corruption|ODEBUG: |FAULT_INJECTION: |NMI backtrace|Comm: "
)
_WORDS = (
    b" [#", b"- cut here -", b"[ cut here ]", b"refcount_t: ", b"ref_tracker: ", b"unregister_netdevice: ",
    b" corruption", b" oom-killer: ", b" object 0x", b": nobody cared", b": page allocation ", b": vmalloc error",
    b": scheduling from the idle", b"suspected memory leaks",
)  # fmt: skip
SEARCHES = len(_WORDS) + 1
"""How often each byte is passed over."""


def could_open(line: bytes) -> bool:
    """Whether the line has a word of those."""
    return _CAPITALS.search(line) is not None or any(word in line for word in _WORDS)


class Search:
    """The words of one text, in order. `scanned` counts the bytes passed over, by all searches together."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._next = [-1] * SEARCHES
        self.scanned = 0

    def after(self, at: int) -> int:
        """Where the first word at `at` or later begins; the text's length if there is none."""
        for which, found in enumerate(self._next):
            if found < at:
                self._next[which] = found = self._find(which, at)
                self.scanned += found - at
        return min(self._next)

    def _find(self, which: int, at: int) -> int:
        if which == len(_WORDS):
            match = _CAPITALS.search(self._text, at)
            return match.start() if match else len(self._text)
        found = self._text.find(_WORDS[which], at)
        return len(self._text) if found < 0 else found
