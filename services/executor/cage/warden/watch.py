"""What a command has used up: by its cgroup, the size of what it writes, and the processes below us."""

import os
import time
from collections.abc import Iterator

from services.executor.cage.warden.order import BARE, DATA, STAGE, Order

_FULL = 1 << 16
"""Bytes; with less free the stage counts as full: a writer that got "no space left" is by now reading that."""
_NOW_AND_THEN = 5.0
_SLACK = 8
"""Processes of ours that are in the command's cgroup, and some to spare for those that end while others begin."""


class Groups:
    """The cgroups of one command, one for each controller that is at hand; none, maybe."""

    def __init__(self, order: Order) -> None:
        self._unified = order.unified
        self._paths: dict[str, str] = {}
        name = group_name(os.getpid())
        for controller, parent in order.groups.items():
            path = os.path.join(parent, name)
            os.makedirs(path, exist_ok=True)
            self._paths[controller] = path
        if "memory" in self._paths:
            self._limit_memory(order.memory)
        if "pids" in self._paths:
            self._write("pids", "pids.max", order.processes + _SLACK)

    def _limit_memory(self, limit: int) -> None:
        names = ("memory.max",) if self._unified else ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
        self._write("memory", names[0], limit)
        for name, value in ((names[-1], limit), ("memory.swap.max", 0), ("memory.oom.group", 1)):
            try:
                self._write("memory", name, value)
            except OSError:
                pass  # a kernel without accounting of swap, or v1, which has no group to kill

    def _write(self, controller: str, name: str, value: object) -> None:
        with open(os.path.join(self._paths[controller], name), "w") as file:
            file.write(str(value))

    def join(self) -> None:
        """The calling process, and what it will begin."""
        for controller in set(self._paths.values()):
            with open(os.path.join(controller, "cgroup.procs"), "w") as file:
                file.write("0")

    @property
    def counts(self) -> bool:
        """Whether the kernel counts processes, so that we need not."""
        return "pids" in self._paths

    def exceeded(self) -> str:
        """The limit that the kernel had to enforce, or ""."""
        if self._count("memory", "memory.events" if self._unified else "memory.oom_control", "oom_kill"):
            return "memory"
        return "processes" if self._count("pids", "pids.events", "max") else ""

    def _count(self, controller: str, name: str, word: str) -> int:
        if controller not in self._paths:
            return 0
        try:
            with open(os.path.join(self._paths[controller], name)) as file:
                rows = dict(line.split(None, 1) for line in file if " " in line)
        except OSError:
            return 0
        return int(rows.get(word, 0))

    def remove(self) -> None:
        """Once all in them are dead; the kernel may need a moment to agree."""
        for path in set(self._paths.values()):
            for _ in range(50):
                try:
                    os.rmdir(path)
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.02)
                else:
                    break


GROUP = "netci-command-"


def group_name(pid: int) -> str:
    """Names its warden, so that one whose warden is dead is known to be left over: by the namespace in which its number
    is one, as several may share the cgroups of a machine.
    """
    return f"{GROUP}{os.stat('/proc/self/ns/pid').st_ino}-{pid}-{started(pid)}"


def started(pid: int) -> str:
    """When a process began, in ticks; "" if there is none. With its number, that is one process for ever."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def below(pid: int) -> Iterator[int]:
    """Every process below this one, as far as they hold still."""
    waiting = [pid]
    while waiting:
        found = _children(waiting.pop())
        yield from found
        waiting += found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for thread in _entries(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                found += map(int, file.read().split())
        except OSError:
            continue
    return found


class Disk:
    """What a command has written: to the stage, whose size the kernel limits, and to folders on a disk. There, it is
    what has changed since the command began, with or without a name; folders may be large, so they are looked through
    if their disk has lost a part of what the command may write, and now and then.
    """

    def __init__(self, order: Order) -> None:
        self._stage = os.path.join(order.folder, STAGE)
        self._limit = order.disk
        self._bare = order.mode == BARE
        self._folders = [os.path.join(upper, DATA) for _, upper in order.layers] + list(order.writable)
        self._folders += [self._stage] if self._bare else []
        # Clocks of file systems are coarse.
        self._since = time.time() - 0.1
        self._free = self._free_now()
        self._next = time.monotonic() + _NOW_AND_THEN
        self._earliest = 0.0

    def full(self) -> bool:
        """Whether it has written all it may. Looks through folders a tenth of the time at most."""
        if not self._bare and self._stage_is_full():
            return True
        began = time.monotonic()
        if not self._folders or began < self._earliest or (began < self._next and not self._less_is_free()):
            return False
        used = sum(_changed(folder, self._since) for folder in self._folders) + sum(self._nameless())
        ended = time.monotonic()
        self._earliest = ended + 10 * (ended - began)
        self._next = max(self._earliest, ended + _NOW_AND_THEN)
        return used >= self._limit

    def was_full(self) -> bool:
        """The same, once the command has ended: what it did in its last moment counts."""
        self._earliest = 0.0
        return self.full()

    def _free_now(self) -> list[int]:
        found = map(os.statvfs, self._folders)
        return [held.f_bfree * held.f_frsize for held in found]

    def _less_is_free(self) -> bool:
        gone = (before - now for before, now in zip(self._free, self._free_now(), strict=True))
        return any(size >= self._limit // 4 for size in gone)

    def _stage_is_full(self) -> bool:
        left = os.statvfs(self._stage)
        return left.f_bavail * left.f_frsize < _FULL or left.f_favail == 0

    def _nameless(self) -> Iterator[int]:
        """Sizes of files that are open and have no name any more, which no walk finds."""
        devices = {os.stat(path).st_dev for path in self._folders}
        seen: set[tuple[int, int]] = set()
        for pid in below(os.getpid()):
            for kind in ("fd", "map_files"):
                for entry in _entries(f"/proc/{pid}/{kind}"):
                    try:
                        held = os.stat(f"/proc/{pid}/{kind}/{entry}")
                    except OSError:
                        continue
                    key = (held.st_dev, held.st_ino)
                    if held.st_nlink == 0 and key not in seen and (held.st_dev in devices or self._on_overlay(held)):
                        seen.add(key)
                        yield held.st_blocks * 512

    def _on_overlay(self, held: os.stat_result) -> bool:
        """An overlay's files have its own device number, which is of no disk."""
        return os.major(held.st_dev) == 0 and held.st_dev != os.stat(self._stage).st_dev


def _entries(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _changed(path: str, since: float) -> int:
    """Bytes on disk of files that have changed `since`: `path`, or those below it."""
    if not os.path.isdir(path):
        held = os.lstat(path)
        return held.st_blocks * 512 if held.st_ctime >= since else 0
    total, waiting = 0, [path]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    held = entry.stat(follow_symlinks=False)
                    total += held.st_blocks * 512 if held.st_ctime >= since else 0
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except OSError:
            continue
    return total
