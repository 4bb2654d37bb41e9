"""Which cgroups of this machine commands can be put into, and what dead wardens left there.

Version 2 if it has memory and pids for us, else version 1, else none: then limits are those of single processes.
Groups are made below our own, so that what limits the service limits its commands as well.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.executor.cage.warden.watch import GROUP, below, group_name, started

WANTED = ("memory", "pids")
_LONG = 3600
"""Seconds; a command is in its group from the first moment to the last."""
_LEAF = "netci-service"
"""Where we move ourselves in version 2, which has processes in leaves only."""


@dataclass(frozen=True, slots=True)
class Parents:
    """The folder to make groups in by controller, of version `version`; 0 if there are none."""

    version: int = 0
    folders: Mapping[str, str] = field(default_factory=dict)

    def __contains__(self, controller: object) -> bool:
        return controller in self.folders


@dataclass(frozen=True, slots=True)
class Mounted:
    """A cgroup file system: where, which of its groups is mounted there, and its controllers ("" is version 2)."""

    at: str
    root: str
    controllers: frozenset[str]


def find_parents(mounts: str = "/proc/self/mountinfo", own: str = "/proc/self/cgroup") -> Parents:
    """What is at hand and may be written. In version 2, this moves us into a leaf of our group if it has to."""
    try:
        mounted = list(read_mounts(Path(mounts).read_text()))
        groups = read_groups(Path(own).read_text())
    except OSError:
        return Parents()
    for mount in mounted:
        if not mount.controllers and (folder := _unified(_folder(mount, groups.get("", "/")))):
            return Parents(2, dict.fromkeys(WANTED, folder))
    found = {
        controller: folder
        for controller in WANTED
        for mount in mounted
        if controller in mount.controllers
        and _writable(folder := _folder(mount, groups.get(controller, "/")))
    }  # fmt: skip
    return Parents(1 if found else 0, found)


def read_mounts(text: str) -> Iterator[Mounted]:
    """The cgroup file systems in a mountinfo."""
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        words, kind = before.split(), after.split()
        if len(words) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        options = frozenset(kind[2].split(",")) - {"rw", "ro"} if kind[0] == "cgroup" else frozenset[str]()
        yield Mounted(words[4], words[3], options)


def read_groups(text: str) -> dict[str, str]:
    """Our own group by controller; of version 2 by ""."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        found |= dict.fromkeys(controllers.split(","), path)
    return found


def _folder(mount: Mounted, group: str) -> str:
    """Where `group` is; the mounted one if ours isn't below it, as in a container that sees another's names."""
    inside = group.removeprefix(mount.root.rstrip("/")) if group.startswith(mount.root.rstrip("/")) else "/"
    folder = os.path.join(mount.at, inside.strip("/"))
    return folder if os.path.isdir(folder) else mount.at


def _writable(folder: str) -> bool:
    return os.access(folder, os.W_OK) and os.access(os.path.join(folder, "cgroup.procs"), os.W_OK)


def _unified(folder: str) -> str:
    """The folder below which version 2 has both controllers for us; "" if it can't."""
    if os.path.basename(folder) == _LEAF:
        folder = os.path.dirname(folder)
    if not _writable(folder) or not set(WANTED) <= set(_words(folder, "cgroup.controllers")):
        return ""
    if set(WANTED) <= set(_words(folder, "cgroup.subtree_control")):
        return folder
    for _ in range(2):
        try:
            Path(folder, "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in WANTED))
        except OSError:
            if not _moved_to_leaf(folder):
                return ""
        else:
            return folder
    return ""


def _words(folder: str, name: str) -> list[str]:
    try:
        return Path(folder, name).read_text().split()
    except OSError:
        return []


def _moved_to_leaf(folder: str) -> bool:
    """Move us and our children down. A group that others are in, a person's shell perhaps, is left alone."""
    ours = {os.getpid(), *below(os.getpid())}
    inside = set(map(int, _words(folder, "cgroup.procs")))
    if not inside or not inside <= ours:
        return False
    leaf = Path(folder, _LEAF)
    try:
        leaf.mkdir(exist_ok=True)
        for pid in inside:
            (leaf / "cgroup.procs").write_text(str(pid))
    except OSError:
        return False
    return True


def sweep(parents: Parents) -> None:
    """End and remove the groups of wardens that are dead. Of one in another pid namespace we can't tell: its groups are
    left over if nobody has been in them for long.
    """
    for folder in set(parents.folders.values()):
        for group in Path(folder).glob(f"{GROUP}*-*-*"):
            if _is_left_over(group):
                _end(group)


def _is_left_over(group: Path) -> bool:
    namespace, pid, start = group.name.removeprefix(GROUP).split("-", 2)
    if not pid.isdigit():
        return False
    if group_name(int(pid)).startswith(f"{GROUP}{namespace}-"):
        return started(int(pid)) != start
    try:
        return time.time() - group.stat().st_mtime > _LONG and not _words(str(group), "cgroup.procs")
    except OSError:
        return False


def _end(group: Path) -> None:
    for pid in _words(str(group), "cgroup.procs"):
        with contextlib.suppress(OSError):
            os.kill(int(pid), signal.SIGKILL)
    with contextlib.suppress(OSError):
        group.rmdir()
