"""Hostile text made fit to store and show. Answers what may stay; knows nothing of what the text means.

Logs and mails are written by strangers: a NUL is refused by PostgreSQL, an escape sequence repaints a
terminal, a bidirectional override makes a page show another word than the one stored.
"""

import re

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
_NEVER = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
_UNSAFE = re.compile(f"[{_NEVER}\n]")
_UNSAFE_IN_LINES = re.compile(f"[{_NEVER}]")


def plain(text: str) -> str:
    """`text` as one safe line: escape sequences gone, what cannot be shown replaced by U+FFFD, tabs blank."""
    if text.isprintable():
        return text
    return _UNSAFE.sub("\ufffd", _ESCAPES.sub("", text)).replace("\t", " ")


def plain_lines(text: str) -> str:
    """The same of text of several lines, which stay lines."""
    if text.isprintable():
        return text
    return _UNSAFE_IN_LINES.sub("\ufffd", _ESCAPES.sub("", text.replace("\r\n", "\n")))


def cut(text: str, size: int) -> str:
    """The longest beginning of `text` that fits `size` bytes of UTF-8, never half a character."""
    if len(text) * 4 <= size:
        return text
    raw = text[:size].encode("utf-8", "replace")
    return raw[:size].decode("utf-8", "ignore")
