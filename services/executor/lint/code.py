"""What of a line of C is code: rules that look for a word should not find it in a comment or a string. Pure."""

import re

_QUOTE = re.compile(r"[\"']")
_REST = {'"': re.compile(r'(?:[^"\\]|\\.)*+"'), "'": re.compile(r"(?:[^'\\]|\\.)*+'")}
_COMMENT = re.compile(r"/\*.*?(?:\*/|$)|//.*")
# Within a comment of several lines each begins with a star, and a blank follows: `*p = 1` does not look like that.
_WITHIN = re.compile(r"^\s*\*(?:[\s/]|$)")


def code_of(line: str) -> str:
    """`line` without comments and with empty strings. A line is judged alone, by its look."""
    if _WITHIN.match(line):
        return ""
    return _COMMENT.sub(" ", _emptied(line))


def _emptied(line: str) -> str:
    """With empty strings. A quote that nothing closes stays, as in "don't", and so do all later ones of its sort: they
    need not be looked at again.
    """
    kept: list[str] = []
    open_ones: set[str] = set()
    at = 0
    while quote := _QUOTE.search(line, at):
        closed = None if quote[0] in open_ones else _REST[quote[0]].match(line, quote.end())
        kept.append(line[at : quote.start()] + ('""' if closed else quote[0]))
        if closed is None:
            open_ones.add(quote[0])
        at = (closed or quote).end()
    return "".join((*kept, line[at:]))
