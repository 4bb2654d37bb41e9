"""Globs of ``*`` and ``?`` in files that may come from strangers. Pure.

What stands between two stars is sought as early as it comes: that is right for globs without sets, and there is
nothing to come back to, as a regular expression of many stars would.
"""


def begins(text: str, glob: str) -> bool:
    """Whether `text` begins as `glob` says."""
    first, *rest = glob.split("*")
    if not _at(text, 0, first):
        return False
    at = len(first)
    for piece in rest:
        at = _find(text, piece, at)
        if at < 0:
            return False
        at += len(piece)
    return True


def matches(name: str, glob: str) -> bool:
    """Whether all of `name` is as `glob` says. Neither has a NUL in it."""
    return begins(f"{name}\0", f"{glob}\0")


def _find(text: str, piece: str, start: int) -> int:
    if "?" not in piece:
        return text.find(piece, start)
    return next((at for at in range(start, len(text) - len(piece) + 1) if _at(text, at, piece)), -1)


def _at(text: str, start: int, piece: str) -> bool:
    if start + len(piece) > len(text):
        return False
    for part in piece.split("?"):
        if not text.startswith(part, start):
            return False
        start += len(part) + 1
    return True
