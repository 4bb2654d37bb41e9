"""A folder on disk whose files are written as git's trees name them. Blocking: call it in a thread.

Every step down is taken by handle and never through a symbolic link, so that no tree, however odd, has a file
written outside; a name that no git tree may have is refused. It refuses to know where contents come from.
"""

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from shared.errors import Refused
from shared.formats.clean import plain
from shared.git.touched import is_plain

SYMLINK, SUBMODULE, EXECUTABLE = 0o120000, 0o160000, 0o100755
GONE = 0
_LONGEST_NAME, _LONGEST_PATH = 255, 4000
_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


# How writing fails for what is to be written; for anything else the machine is to blame.
_THEIRS = frozenset({errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.EFBIG, errno.EMLINK})


class NoTree(Refused):
    """A commit whose files no folder can hold: it, and not the machine, is to blame."""


@dataclass(frozen=True, slots=True)
class File:
    """What shall be at `path`: git's mode (`GONE`: nothing) and the contents, for a link its target."""

    path: bytes
    mode: int
    data: bytes = b""


def write(root: Path, files: Iterable[File], stamp: int) -> None:
    """Have `files` below `root`, modified at `stamp` (nanoseconds since 1970); what is gone first, as a file may take
    a folder's place. Whatever is in the way goes. May be repeated after it was broken off. Raises NoTree for a file
    that cannot be, OSError where the machine fails.
    """
    with _Walk(root) as walk:
        for file in sorted(files, key=lambda one: (one.mode != GONE, one.path)):
            check_path(file.path)
            try:
                if file.mode == GONE:
                    walk.remove(file.path)
                else:
                    walk.put(file, stamp)
            except (OSError, ValueError) as exc:
                if isinstance(exc, OSError) and exc.errno not in _THEIRS:
                    raise
                raise NoTree(f"the tree has a file that cannot be written: {_shown(file.path)} ({exc})") from exc


def check_path(path: bytes) -> None:
    """Raises NoTree for the path of a file that no folder may have, or can."""
    if not is_plain(path):
        raise NoTree(f"the tree has a file of a name that it may not have: {_shown(path)}")
    if len(path) > _LONGEST_PATH or max(map(len, path.split(b"/"))) > _LONGEST_NAME:
        raise NoTree(f"the tree has a path longer than file systems take: {_shown(path)}")


def _shown(path: bytes) -> str:
    return plain(path[:200].decode("utf-8", "replace"))


def touch(root: Path, paths: Iterable[bytes], stamp: int) -> None:
    """Give files another time; those that are not there are no matter."""
    with _Walk(root) as walk:
        for path in sorted(paths):
            walk.touch(path, stamp)


class _Walk:
    """Handles of the folders from the root to the last file: neighbours share them."""

    def __init__(self, root: Path) -> None:
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._way: list[tuple[bytes, int]] = []
        self._exact = _umask() & 0o055 == 0

    def __enter__(self) -> "_Walk":
        return self

    def __exit__(self, *_: object) -> None:
        self._back(0)
        os.close(self._root)

    def _back(self, depth: int) -> None:
        while len(self._way) > depth:
            os.close(self._way.pop()[1])

    def _folder(self, path: bytes, make: bool) -> tuple[int, bytes] | None:
        """The handle of the folder that `path` is in, and its name there; None if there is none."""
        *parts, name = path.split(b"/")
        depth = 0
        while depth < min(len(parts), len(self._way)) and parts[depth] == self._way[depth][0]:
            depth += 1
        self._back(depth)
        for part in parts[depth:]:
            above = self._way[-1][1] if self._way else self._root
            handle = _enter(above, part, make)
            if handle is None:
                return None
            self._way.append((part, handle))
        return (self._way[-1][1] if self._way else self._root), name

    def remove(self, path: bytes) -> None:
        """The file, and the folders that have nothing else."""
        found = self._folder(path, make=False)
        if found is None:
            return
        _clear(*found)
        while self._way:
            name, handle = self._way.pop()
            os.close(handle)
            try:
                os.rmdir(name, dir_fd=self._way[-1][1] if self._way else self._root)
            except OSError:
                return

    def put(self, file: File, stamp: int) -> None:
        found = self._folder(file.path, make=True)
        assert found is not None
        folder, name = found
        try:
            self._make(folder, name, file)
        except FileExistsError:
            _clear(folder, name)
            self._make(folder, name, file)
        os.utime(name, ns=(stamp, stamp), dir_fd=folder, follow_symlinks=False)

    def _make(self, folder: int, name: bytes, file: File) -> None:
        if file.mode == SYMLINK:
            if not file.data:
                raise ValueError("a symbolic link to nothing")
            os.symlink(file.data, name, dir_fd=folder)
        elif file.mode == SUBMODULE:
            os.mkdir(name, 0o755, dir_fd=folder)
        else:
            mode = 0o755 if file.mode == EXECUTABLE else 0o644
            handle = os.open(name, _NEW, mode, dir_fd=folder)
            try:
                if not self._exact:
                    os.fchmod(handle, mode)
                _all(handle, file.data)
            finally:
                os.close(handle)

    def touch(self, path: bytes, stamp: int) -> None:
        if found := self._folder(path, make=False):
            with contextlib.suppress(FileNotFoundError):
                os.utime(found[1], ns=(stamp, stamp), dir_fd=found[0], follow_symlinks=False)


def _umask() -> int:
    """Of this process. Whoever asks by setting it has all threads run with the wrong one for a moment."""
    for line in Path("/proc/self/status").read_text("utf-8", "replace").splitlines():
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    return 0o077


def _enter(above: int, name: bytes, make: bool) -> int | None:
    try:
        return os.open(name, _DIR, dir_fd=above)
    except OSError as exc:
        if exc.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise
        if not make:
            return None
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=above)
    os.mkdir(name, 0o755, dir_fd=above)
    handle = os.open(name, _DIR, dir_fd=above)
    os.fchmod(handle, 0o755)
    return handle


def _clear(folder: int, name: bytes) -> None:
    """Nothing of that name is there afterwards."""
    try:
        found = os.lstat(name, dir_fd=folder)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(found.st_mode):
        shutil.rmtree(name, dir_fd=folder)
    else:
        os.unlink(name, dir_fd=folder)


def _all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
