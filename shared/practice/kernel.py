"""The Debian kernel source as a git repository: a tree of the size that we are made for.

The package `linux-source-6.1` has it as a tar file, some 78,600 files. It is imported once, into a bare store below
a cache folder, always as the same commit; benches and the acceptance run share it.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from shared.errors import Missing
from shared.git.process import GitError, environment
from shared.git.store import Store
from shared.model.ids import Sha

SOURCE = Path("/usr/src/linux-source-6.1.tar.xz")
BRANCH = "refs/heads/main"
CACHE = Path(__file__).resolve().parents[2] / ".cache"

_WHO = b"netci practice <practice@example.org> 1700000000 +0000"


async def kernel_store(cache: Path = CACHE, source: Path = SOURCE) -> tuple[Store, Sha]:
    """The store with the kernel source on branch main, and its commit; imported when it is not there yet (minutes)."""
    path = import_kernel(cache, source)
    store = Store(path, rr_cache=cache / "kernel.rr-cache")
    await store.ensure()
    return store, await store.rev_parse(BRANCH)


def import_kernel(cache: Path = CACHE, source: Path = SOURCE) -> Path:
    """The bare repository, made when it is not there; whoever comes meanwhile waits."""
    path = cache / "kernel.git"
    cache.mkdir(parents=True, exist_ok=True)
    with _alone(cache / "kernel.lock"):
        if not (path / "netci.imported").exists():
            if not source.exists():
                raise Missing(f"{source} is not there: apt-get install linux-source-6.1")
            shutil.rmtree(path, ignore_errors=True)
            _git(cache, "init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(path))
            _import(path, source)
            (path / "netci.owner").touch()
            (path / "netci.imported").touch()
    return path


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _git(folder: Path, *args: str) -> None:
    subprocess.run(["git", *args], cwd=folder, env=environment(None, {}, "", {}), check=True)


def _import(path: Path, source: Path) -> None:
    """Stream the tar file into git; it never exists unpacked."""
    unpack = subprocess.Popen(["xz", "-dc", "-T2", "--", str(source)], stdout=subprocess.PIPE)
    command = ["git", "-c", "core.compression=1", "fast-import", "--quiet", "--done"]
    take = subprocess.Popen(command, cwd=path, env=environment(path, {}, "", {}), stdin=subprocess.PIPE)
    assert unpack.stdout is not None
    assert take.stdin is not None
    with unpack.stdout, take.stdin, tarfile.open(fileobj=unpack.stdout, mode="r|") as tar:
        _stream(tar, take.stdin)
    if take.wait() or unpack.wait():
        raise GitError(command, take.returncode, f"importing {source} failed")


def _stream(tar: tarfile.TarFile, out: IO[bytes]) -> None:
    subject = b"the Debian kernel source\n"
    out.write(b"commit %s\nauthor %s\ncommitter %s\n" % (BRANCH.encode(), _WHO, _WHO))
    out.write(b"data %d\n%s\n" % (len(subject), subject))
    for member in tar:
        name = os.fsencode(member.name).partition(b"/")[2]
        if not name or not (member.isfile() or member.issym()):
            continue
        data, mode = _contents(tar, member)
        out.write(b"M %s inline %s\ndata %d\n" % (mode, name, len(data)))
        out.write(data)
        out.write(b"\n")
    out.write(b"done\n")


def _contents(tar: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[bytes, bytes]:
    if member.issym():
        return os.fsencode(member.linkname), b"120000"
    file = tar.extractfile(member)
    assert file is not None
    return file.read(), b"100755" if member.mode & 0o111 else b"100644"
