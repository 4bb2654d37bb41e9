"""What a warden is told, and what it answers. Both travel marshalled: the same interpreter is at both ends."""

import marshal
from collections.abc import Mapping

DROP = "drop"
"""We are root: the command runs as a user of the range that nobody else is."""
OWN = "own"
"""We are an ordinary user: the command runs as the same one, in a user namespace without any right."""
BARE = "bare"
"""No cage at all."""


class Order:
    """One command. `disk` and `memory` are bytes.

    `folder` is the warden's, which removes it; in it is `STAGE`, with what both sides know by name. `argv` is the whole
    command line: its first `outer` words are the cage's, the others are run in it, up to `ours` by us; ``{uid}`` and
    ``{gid}`` in those become the user's. `etc` are files made for the command. `layers` are pairs of a lower and an
    upper folder, `writable` what is bound so; both are mounted in the stage, in order. `over` is copied into copies of
    layers: the layer's number, the source, the path. `nested` are pairs of a folder and a path below it that something
    is bound to: it must lead through no link. `groups` are parent cgroups by controller, `unified` says that they are
    of version 2. `users` is the first and the last of the range.
    """

    __slots__ = (
        "argv", "cwd", "disk", "env", "etc", "fds", "folder", "groups", "layers", "lock_folder", "memory", "mode",
        "nested", "ours", "outer", "over", "processes", "seccomp", "seconds", "unified", "users", "writable",
    )  # fmt: skip

    def __init__(
        self,
        *,
        mode: str,
        folder: str,
        argv: tuple[str, ...],
        outer: int,
        ours: int,
        env: Mapping[str, str],
        seconds: float,
        memory: int,
        processes: int,
        disk: int,
        cwd: str = "/",
        etc: Mapping[str, str] | None = None,
        layers: tuple[tuple[str, str], ...] = (),
        writable: tuple[str, ...] = (),
        nested: tuple[tuple[str, str], ...] = (),
        over: tuple[tuple[int, str, str], ...] = (),
        fds: tuple[int, ...] = (),
        seccomp: bytes = b"",
        groups: Mapping[str, str] | None = None,
        unified: bool = False,
        users: tuple[int, int] = (0, 0),
        lock_folder: str = "",
    ) -> None:
        self.mode, self.folder, self.argv, self.outer, self.ours, self.env = mode, folder, argv, outer, ours, dict(env)
        self.seconds, self.memory, self.processes, self.disk = seconds, memory, processes, disk
        self.cwd, self.etc, self.layers, self.writable, self.nested = cwd, dict(etc or {}), layers, writable, nested
        self.over, self.fds, self.seccomp, self.groups, self.unified = over, fds, seccomp, dict(groups or {}), unified
        self.users, self.lock_folder = users, lock_folder

    def packed(self) -> bytes:
        return marshal.dumps({name: getattr(self, name) for name in self.__slots__})


def unpacked(data: bytes) -> Order:
    return Order(**marshal.loads(data))


class Answer:
    """How it went. `error`: the cage could not be made, so the command never ran. `ended` and `code` are as in
    `services.executor.cage.base.Ran`, and "stopped" for one that was told to end. `copied`: layers are copies.
    """

    __slots__ = ("code", "copied", "ended", "error", "seconds")

    def __init__(
        self, *, error: str = "", ended: str = "exit", code: int = 0, seconds: float = 0.0, copied: bool = False
    ) -> None:
        self.error, self.ended, self.code, self.seconds, self.copied = error, ended, code, seconds, copied

    def packed(self) -> bytes:
        return marshal.dumps({name: getattr(self, name) for name in self.__slots__})


def heard(data: bytes) -> Answer:
    """Its answer; one that says so if it died without a word."""
    try:
        return Answer(**marshal.loads(data))
    except (EOFError, ValueError, TypeError):
        return Answer(error="what watches over the command died")


STAGE = "stage"
DATA, WORK = "data", "work"
"""Folders of an upper folder: what was written, and what the kernel needs beside it."""


def layer_at(number: int) -> str:
    """Where layer `number` is mounted, below the stage."""
    return f"layer{number}"


def writable_at(number: int) -> str:
    return f"writable{number}"


SCRATCH = ("tmp", "home", "vartmp", "shm")
"""Folders of the stage that a command may write; they are /tmp, its home, /var/tmp and /dev/shm."""


class CannotMake(Exception):
    """The cage cannot be made. The text is for the operator."""
