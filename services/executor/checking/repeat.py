"""At which commit a check can be repeated, said with the command that repeats it. Pure."""

import re

from services.executor.checks.base import Subject

_HEAD = re.compile(r"\bHEAD\b")
_ANYWHERE = ("git ", "patatt ")
"""How commands begin that read no work tree: they are the same wherever the clone is at."""


def placed(repeat: str, subject: Subject) -> str:
    """`repeat`, a check's command for a clone with what it looked at at HEAD, for the reader's own clone.

    Where the commits are his own, or to be pulled, it names the commit; else, since what mails became is in no clone of
    his, the patch. What cannot be said in the command stands above it as a comment of the shell.
    """
    commit = subject.head if subject.patch is None else subject.patch.commit
    if not repeat or (repeat.startswith(_ANYWHERE) and not _HEAD.search(repeat)):
        return repeat
    if not (commit and (subject.own or subject.pull)):
        which = "the series" if subject.patch is None else f"patch {subject.patch.number}"
        return f"# with {which} applied\n{repeat}"
    if _HEAD.search(repeat):
        return _HEAD.sub(commit[:12], repeat)
    return f"# at {commit[:12]}\n{repeat}"
