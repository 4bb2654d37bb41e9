"""What the kernel offers and Python 3.11 has no word for: namespaces, mounts, mapped mounts, ways to die."""

import ctypes
import os
import struct

CLONE_NEWNS, CLONE_NEWUSER = 0x0002_0000, 0x1000_0000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
_MNT_DETACH = 2
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
# These have the same number on every architecture.
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_AT_FDCWD, _AT_EMPTY_PATH = -100, 0x1000
_OPEN_TREE_CLONE, _MOVE_MOUNT_F_EMPTY_PATH, _MOUNT_ATTR_IDMAP = 1, 4, 0x0010_0000
_LAST_ID = 0xFFFF_FFFE

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def unshare(flags: int) -> None:
    """A namespace of one's own. Raises OSError."""
    _check(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    """mount(2). Raises OSError."""
    words = (source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode())
    _check(_libc.mount(*words), target)


def unmount(target: str) -> None:
    """Lazily. Raises OSError."""
    _check(_libc.umount2(target.encode(), _MNT_DETACH), target)


def die_with_parent(signal_number: int) -> None:
    _check(_libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal_number), 0, 0, 0), "prctl")


def adopt_orphans() -> None:
    """Whatever is left by a child becomes our child, not init's."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), 0, 0, 0), "prctl")


def swapped(one: int, other: int) -> str:
    """A map of ids (as in /proc/PID/uid_map) in which two have changed places and all others are themselves."""
    low, high = min(one, other), max(one, other)
    rows = [
        (0, 0, low), (low, high, 1), (low + 1, low + 1, high - low - 1), (high, low, 1),
        (high + 1, high + 1, _LAST_ID - high),
    ]  # fmt: skip
    if low == high:
        rows = [(0, 0, _LAST_ID + 1)]
    return "".join(f"{inside} {outside} {count}\n" for inside, outside, count in rows if count > 0)


def mapping(uids: str, gids: str) -> int:
    """A user namespace with these maps, to be used by `mapped` and closed. Needs to be root's. Raises OSError."""
    ready, go = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        made = _libc.unshare(CLONE_NEWUSER) == 0
        os.write(ready[1], b"y" if made else b"n")
        os.close(go[1])
        os.read(go[0], 1)
        os._exit(0)
    try:
        if os.read(ready[0], 1) != b"y":
            raise OSError(1, "no user namespace for a mapped mount")
        for kind, text in (("uid", uids), ("gid", gids)):
            with open(f"/proc/{pid}/{kind}_map", "w") as file:
                file.write(text)
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        for fd in (*ready, *go):
            os.close(fd)
        os.waitpid(pid, 0)


def mapped(source: str, target: str, namespace: int) -> None:
    """Mount `source` at `target` with owners as `namespace` maps them. Raises OSError where it can't be done."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC
    tree = _check(_libc.syscall(_OPEN_TREE, _AT_FDCWD, source.encode(), flags), source)
    try:
        attributes = struct.pack("QQQQ", _MOUNT_ATTR_IDMAP, 0, 0, namespace)
        words = (tree, b"", _AT_EMPTY_PATH, attributes, ctypes.c_size_t(len(attributes)))
        _check(_libc.syscall(_MOUNT_SETATTR, *words), source)
        there = (_AT_FDCWD, target.encode(), _MOVE_MOUNT_F_EMPTY_PATH)
        _check(_libc.syscall(_MOVE_MOUNT, tree, b"", *there), target)
    finally:
        os.close(tree)
