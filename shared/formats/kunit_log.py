"""A kernel's console with KUnit's results in it, as KTAP: what stands before each line is taken away.

Consoles put a timestamp before a line, or a timestamp and the task's number, or a blank; KUnit itself knows nothing of
that. Answers nothing about tests: that is `ktap`.
"""

import re

from shared.formats.clean import cut, plain

_HEADER = re.compile(r"^(.*?)K?TAP version [0-9]+\r?$", re.MULTILINE)
_STAMP = re.compile(r"(?:<[0-9]{1,3}>)?\[ *[0-9]{1,9}\.[0-9]{1,9}\](?:\[ *[TC][0-9]{1,9}\])? ?")
_PANIC = re.compile(r"Kernel panic - not syncing: (?!VFS: Unable to mount root)([^\n]{0,200})")


def bare(text: str) -> str:
    """The kernel's lines as KTAP: without what stands before the version line (timestamps, task numbers), and
    indented by blanks. What a console shows before the version line is dropped.
    """
    found = _HEADER.search(text)
    if not found:
        return text
    before = found[1]
    lines = text[found.start() :].splitlines()
    return "".join(f"{_bare(line, before)}\n" for line in lines)


def _bare(line: str, before: str) -> str:
    stamp = _STAMP.match(line)
    if before and stamp:
        line = line[stamp.end() :]
    elif before and line.startswith(before):
        line = line[len(before) :]
    tabs = len(line) - len(line.lstrip("\t"))
    return "    " * tabs + line[tabs:]


def panic(text: str) -> str:
    """Why the kernel panicked, empty if it did not. That there is no root to mount is how a boot for KUnit ends."""
    found = _PANIC.search(text)
    return cut(plain(found[1]).strip(), 200) or "no reason given" if found else ""
