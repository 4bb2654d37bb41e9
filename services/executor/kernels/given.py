"""A kernel that is there already: an image with or without modules, or a distribution's package (``.deb``).

Answers with what is to be booted. A package is unpacked once, below a folder of ours, and by what it says of itself.
"""

import asyncio
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.executor.drivers.base import Job
from services.executor.kernels.base import Kernel
from shared.errors import InfraError, Refused

_LIMIT = 300.0
_PACKAGE = ".deb"


class GivenKernel:
    """`path` is an image, with `modules` and `vmlinux` if it has them, or a package, to be unpacked below `state`."""

    def __init__(self, path: Path, state: Path, modules: Path | None = None, vmlinux: Path | None = None) -> None:
        self._path, self._state, self._modules, self._vmlinux = path, state, modules, vmlinux

    async def kernel(self, job: Job) -> Kernel:
        """See `base.Kernels`: the same for every lease."""
        self.examine()
        if self._path.suffix != _PACKAGE:
            release = self._modules.name if self._modules else ""
            facts = {"kernel_image": str(self._path)}
            return Kernel(self._path, self._modules, release, self._vmlinux, facts=facts)
        return await self._from_package()

    def examine(self) -> str:
        """In a few words, what there is. Raises Refused, naming the key, if that is nothing."""
        for key, path in (("kernel", self._path), ("modules", self._modules), ("vmlinux", self._vmlinux)):
            if path is not None and not path.exists():
                raise Refused(f"{key}: there is no {path}")
        return f"kernel {self._path}"

    async def _from_package(self) -> Kernel:
        folder = await self._unpacked()
        images = sorted((folder / "boot").glob("vmlinu[xz]-*"))
        if len(images) != 1:
            raise Refused(f"kernel: {self._path} has {len(images)} kernels in /boot, not one")
        release = images[0].name.partition("-")[2]
        places = (folder / "lib/modules" / release, folder / "usr/lib/modules" / release)
        modules = next((place for place in places if place.is_dir()), None)
        return Kernel(images[0], modules, release, facts={"kernel_package": self._path.name})

    async def _unpacked(self) -> Path:
        """The folder that has the package's files, made if it is new. It gets its name when it is whole."""
        stat = self._path.stat()
        key = hashlib.sha256(f"{self._path.resolve()} {stat.st_size} {stat.st_mtime_ns}".encode()).hexdigest()[:16]
        name = re.sub(r"[^A-Za-z0-9.+-]", "_", self._path.stem)[:80]
        to = self._state / f"{name}-{key}"
        self._state.mkdir(parents=True, exist_ok=True)
        async with _alone(self._state / "lock"):
            if not to.is_dir():
                await self._unpack(to)
        return to

    async def _unpack(self, to: Path) -> None:
        for left_over in self._state.glob(".new-*"):
            await asyncio.to_thread(shutil.rmtree, left_over, True)
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=self._state))
        new.chmod(0o755)
        await _run("dpkg-deb", "--extract", str(self._path), str(new))
        for place in new.glob("*lib/modules/*"):
            await _run("depmod", "--basedir", str(place.parents[2]), place.name)
        new.rename(to)


@asynccontextmanager
async def _alone(path: Path) -> AsyncIterator[None]:
    """One of all drivers on this machine, in whatever process."""
    with path.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(0.2)
        yield


async def _run(*words: str) -> None:
    program = shutil.which(words[0], path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if program is None:
        raise InfraError(f"{words[0]} is not installed, which a kernel's package is unpacked with")
    process = await asyncio.create_subprocess_exec(
        program, *words[1:], stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_LIMIT):
            _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise Refused(f"{words[0]} of a kernel's package: {said.decode(errors='replace').strip()[-300:]}")
