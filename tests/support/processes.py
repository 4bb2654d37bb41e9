"""Processes as /proc shows them: who descends from whom, and who carries a mark in the environment."""

from collections.abc import Iterator
from pathlib import Path


def _parents() -> Iterator[tuple[int, int]]:
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
        except (OSError, ValueError):
            continue
        if state != "Z":
            yield int(folder.name), int(parent)


def children(pid: int) -> list[int]:
    """The living children of `pid`."""
    return [child for child, parent in _parents() if parent == pid]


def family(pid: int) -> list[int]:
    """`pid` and all that descends from it, parents first."""
    parents = dict(_parents())
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def marked(mark: str) -> dict[int, str]:
    """The processes with `mark` (``NAME=value``) in their environment, and their command lines."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (
                    (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
        except OSError:
            continue
    return {pid: command for pid, command in found.items() if command}


def running(words: str) -> dict[int, str]:
    """The processes whose command line has these words."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        if words in command:
            found[int(folder.name)] = command
    return found
