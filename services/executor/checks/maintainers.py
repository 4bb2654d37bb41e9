"""Whether somebody looks after each new file: an entry of MAINTAINERS that is about little more than it.

An entry for a whole subsystem covers every file in it and answers for none. Which one covers what is read from the
file as the series leaves it, as get_maintainer.pl reads it.
"""

import asyncio
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from posixpath import basename

from pydantic import Field

from services.executor.checks.base import (
    CheckConfig,
    Desk,
    Finding,
    Level,
    OurCheck,
    Said,
    Subject,
    fail,
    success,
    warning,
)
from shared.formats.maintainers import Section, Tree, sections
from shared.model.mails import ChangeKind

_BUILD = ("Makefile", "Kconfig")
_MOST_TEXT = 4 << 20
_MOST_FILES = 1000
_MOST_EFFORT = 15_000_000
"""What is spent on finding entries, and as much on counting their files: seconds, in plain patterns looked at."""
_MOST_ENTRIES = 50


class MaintainersConfig(CheckConfig):
    """`leave`: beginnings of paths that need no entry. With a new Kconfig there is a new driver, and fewer than
    `driver` files that were there before may be in its entry.
    """

    leave: tuple[str, ...] = ("Documentation/", "tools/testing/")
    small: int = Field(default=75, ge=1, description="an entry of fewer files answers for each")
    large: int = Field(default=500, ge=1, description="one of so many answers for none")
    driver: int = Field(default=3, ge=1)


@dataclass(frozen=True, slots=True)
class Cover:
    """A new file and how many files each entry has that covers it, and how many of those are old."""

    path: str
    entries: tuple[tuple[str, int, int], ...]

    @property
    def least(self) -> int:
        return min((files for _, files, _ in self.entries if files), default=0)


class Maintainers(OurCheck):
    name = "maintainers"
    help = "new files are covered by an entry in MAINTAINERS"
    level = Level.SERIES
    Config = MaintainersConfig
    config: MaintainersConfig

    async def ask(self, subject: Subject, desk: Desk) -> Said:
        new = new_files(subject, self.config.leave)
        if not new:
            return success("No new files, skip")
        text = (await desk.read(subject.head, "MAINTAINERS") or b"")[:_MOST_TEXT].decode("utf-8", "replace")
        paths = await desk.paths(subject.head)
        # There may be hundreds of files, and others wait for this thread.
        found = await asyncio.to_thread(lambda: covers(new, sections(text), Tree.of(paths)))
        driver = any(basename(path) == "Kconfig" for path in new)
        return said(found, self.config, driver, left=len(_sources(new)) - len(found))


def new_files(subject: Subject, leave: Sequence[str]) -> tuple[str, ...]:
    """What the series adds and does not take away again."""
    there: dict[str, None] = {}
    for change in (change for patch in subject.patches for change in patch.files):
        if change.kind in (ChangeKind.ADD, ChangeKind.COPY):
            there[change.path] = None
        elif change.kind is ChangeKind.DELETE:
            there.pop(change.path, None)
        elif change.old_path in there:
            del there[change.old_path]
            there[change.path] = None
    return tuple(path for path in there if not path.startswith(tuple(leave)))


def covers(new: Sequence[str], entries: Sequence[Section], tree: Tree) -> tuple[Cover, ...]:
    """The entries of each new file; files that only say how others are built follow those. Of very many files, or with
    a MAINTAINERS made to be slow, only the first that it can be told of.
    """
    paths, added = _sources(new), set(new)
    each = sum(entry.effort(max(map(len, paths), default=0)) for entry in entries)
    counted: dict[Section, tuple[str, int, int]] = {}
    found: list[Cover] = []
    left = _MOST_EFFORT
    for path in paths[: min(_MOST_FILES, _MOST_EFFORT // max(1, each))]:
        mine = [entry for entry in entries if entry.covers(path, tree.folders)][:_MOST_ENTRIES]
        for entry in mine:
            if entry not in counted:
                left -= tree.effort(entry)
                if left < 0:
                    return tuple(found)
                files = tree.covered(entry)
                counted[entry] = entry.title, len(files), len(files - added)
        found.append(Cover(path, tuple(counted[entry] for entry in mine)))
    return tuple(found)


def _sources(new: Sequence[str]) -> list[str]:
    return [path for path in new if basename(path) not in _BUILD]


def said(found: Sequence[Cover], config: MaintainersConfig, driver: bool, left: int = 0) -> Said:
    """`left` files were not looked at: of those nothing is known."""
    bare = [one for one in found if not any(_small(entry, config, driver) for entry in one.entries)]
    log = "".join(_shown(one) for one in found)
    findings = tuple(Finding("new file that no small entry of MAINTAINERS covers", one.path) for one in bare)
    repeat = shlex.join(["./scripts/get_maintainer.pl", "--sections", "-f", *(one.path for one in bare or found)])
    if not bare and left:
        return warning(f"Too much to look through: MAINTAINERS coverage of {left} new files is not known", log=log)
    if not bare:
        return success("MAINTAINERS coverage looks sufficient", log=log, repeat=repeat)
    middling = all(0 < one.least < config.large for one in bare)
    answer = warning if middling else fail
    return answer("Expecting a new MAINTAINERS entry", findings=findings, log=log, repeat=repeat)


def _small(entry: tuple[str, int, int], config: MaintainersConfig, driver: bool) -> bool:
    _, files, old = entry
    return 0 < files < config.small and not (driver and old >= config.driver)


def _shown(one: Cover) -> str:
    lines = [f"  {title}: {files} files, {old} of them old" for title, files, old in one.entries]
    return "\n".join((one.path, *(lines or ["  no entry covers it"]))) + "\n"
