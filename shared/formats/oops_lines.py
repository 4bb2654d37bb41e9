"""A console's bytes as lines of known origin: what the kernel printed, when and for whom, and what others wrote.

A serial console carries several writers at once: CPUs in the midst of each other's reports, a shell, a test. The
kernel's lines are told by their stamp, ``[   12.345678]``, and if it was built so by the task or CPU behind it,
``[  T123]`` or ``[    C0]``. Whoever dumps the log elsewhere has prefixes of his own: syslog's, ``dmesg -T``'s,
``/dev/kmsg``'s. Knows nothing of what a line means.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from shared.formats.clean import plain

_STAMP = re.compile(
    r"(?:<[0-9]{1,3}>)?\[ {0,12}(?P<at>[0-9]{1,9}\.[0-9]{6})\](?: ?\[ {0,8}(?P<caller>[TC][0-9]{1,9})\])? ?"
)
_PREFIXES = (
    re.compile(r"[0-9]{1,4},[0-9]{1,12},(?P<us>[0-9]{1,15}),[^;,]{1,8}(?:,caller=(?P<caller>[TC][0-9]{1,9}))?[^;]{0,80};"),
    re.compile(r"\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} [0-9]{4}\] "),
    re.compile(r"<[0-9]{1,3}>"),
)  # fmt: skip
_SYSLOG = re.compile(
    r"(?:[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}|[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.,+Z-]{8,24}) [\w.-]{1,64} kernel: "
)
USER = "user"
"""The lane of what has no mark of the kernel's."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line, or what of it one writer wrote.

    `lane` tells writers apart: it is the kernel's caller ("" if it does not say), or USER. `at` is the kernel's clock
    in seconds; `offset` counts bytes and `number` lines from 1.
    """

    text: str
    lane: str
    at: float | None
    offset: int
    number: int


def lines(raw: bytes, offset: int, number: int) -> Iterator[Line]:
    """The lines in `raw`, which is one line of the stream or a piece of a long one.

    A carriage return ends a line too, and so does a stamp in the middle: the line before it was never finished.
    """
    for part in raw.split(b"\r") if b"\r" in raw else (raw,):
        for text, lane, at in _writers(plain(part.rstrip(b"\n").decode("utf-8", "replace"))):
            yield Line(text, lane, at, offset, number)


def _writers(text: str) -> Iterator[tuple[str, str, float | None]]:
    stamps = list(_STAMP.finditer(text))
    if not stamps:
        if text.strip():
            yield _unstamped(text)
        return
    before = text[: stamps[0].start()]
    if before.strip() and not _SYSLOG.fullmatch(before):
        yield before, USER, None
    for stamp, end in zip(stamps, [*(s.start() for s in stamps[1:]), len(text)], strict=True):
        yield text[stamp.end() : end].rstrip(), stamp["caller"] or "", float(stamp["at"])


def _unstamped(text: str) -> tuple[str, str, float | None]:
    if found := _SYSLOG.match(text):
        return text[found.end() :].rstrip(), "", None
    for prefix in _PREFIXES:
        if found := prefix.match(text):
            said = found.groupdict()
            at = int(said["us"]) / 1e6 if said.get("us") else None
            return text[found.end() :].rstrip(), said.get("caller") or "", at
    return text.rstrip(), USER, None
