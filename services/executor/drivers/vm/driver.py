"""Virtual machines as hosts of an executor: a lease is a guest, new when it begins and gone when it ends.

Answers the `Driver` protocol. Theory of operation. The hosts of a pool are slots of this machine. A lease waits until
the governor admits one more guest, has the kernel made, boots it and hands it out; what a test does to it is asked
afterwards (`sound`), and a guest that is worn is not used again: its slot is leased anew, which boots the next one.
Suites are prepared once for all guests of a run, in a cage of this machine, in a folder that they see read-only below a
layer of their own.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path, PurePosixPath
from typing import ClassVar

from pydantic import BaseModel

from services.executor.cage.at_hand import isolation_for
from services.executor.cage.base import Isolation, Limits
from services.executor.cage.folders import remove
from services.executor.drivers.base import Capture, Host, Job, Symbols, Target
from services.executor.drivers.builder import Builder
from services.executor.drivers.here import Here
from services.executor.drivers.prepared import Prepared
from services.executor.drivers.ssh import own
from services.executor.drivers.ssh_config import Manner
from services.executor.drivers.vm import health, qemu
from services.executor.drivers.vm.config import VmConfig
from services.executor.drivers.vm.governor import Governor
from services.executor.drivers.vm.initrd import initrd
from services.executor.drivers.vm.machine import INITRD, Guest, running
from services.executor.kernels.base import Kernel
from services.executor.kernels.config import KernelBuild
from services.executor.kernels.rack import kernels_for
from services.executor.symbolise import symbolise
from shared.errors import InfraError, Refused

_DIRECTORY = "/run/netci/host"
"""Where we keep our things in a guest."""
_BUSYBOX = (Path("/usr/bin/busybox"), Path("/bin/busybox"))
_LOOK = timedelta(seconds=60)
_SETTLE = 0.5


class VmDriver:
    """See `base.Driver`."""

    name: ClassVar[str] = "vm"
    Config: ClassVar[type[BaseModel]] = VmConfig

    def __init__(self, config: VmConfig, here: Here) -> None:
        self._config, self._here = config, here
        self.hosts: tuple[str, ...] = config.slots
        self._state = here.state / "vm" / config.pool
        self._kernels = kernels_for(config.kernel, config.modules, config.vmlinux, qemu.NEEDS, here, self._caged)
        self.builds = isinstance(config.kernel, KernelBuild)
        self.public = config.public
        self._governor = Governor(config)
        self._isolation: Isolation | None = None
        self._prepared = Prepared(self._state / "guests")
        self._new: dict[int, health.Look] = {}

    @asynccontextmanager
    async def lease(self, job: Job) -> AsyncIterator[Target]:
        name = job.host or self.hosts[0]
        if name not in self.hosts:
            raise Refused(f"{name} is not a guest of this executor", host=name)
        isolation = self._caged()
        kernel = await self.kernel(job)
        await self._governor.admit()
        place = PurePosixPath(_DIRECTORY, "runs", job.run)
        async with self._folder(job, kernel) as (work, folder):
            async with running(name, self._config, kernel, (work, place), folder, isolation) as guest:
                target, looked = await self._target(name, job, guest, kernel, work, isolation)
                self._new[id(target)] = looked
                try:
                    yield target
                finally:
                    del self._new[id(target)]

    async def _target(
        self, name: str, job: Job, guest: Guest, kernel: Kernel, work: Path, isolation: Isolation
    ) -> tuple[Target, health.Look]:
        manner = Manner(self._config.connect_timeout, self._config.kill_grace, _DIRECTORY)
        # How it is when it is new is seen by the very command that makes it ours.
        host, facts, said = await own(name, guest.link, job, manner, health.LOOK)
        limits = Limits(memory=self._config.build_memory, processes=4096, disk=self._config.build_disk)
        builder = Builder(f"builder of {self._config.pool}", isolation, work, PurePosixPath(host.work), limits)
        facts.pop("dirty", "")
        target = Target(
            host, PurePosixPath(host.work), facts=facts | dict(kernel.facts), builder=builder, kept=kernel.kept,
            built=kernel.seconds, console=guest.console, closing=health.LEAKS, symbols=self._symbols(kernel, isolation),
        )  # fmt: skip
        return target, health.read(said)

    def _symbols(self, kernel: Kernel, isolation: Isolation) -> Symbols | None:
        if kernel.vmlinux is None:
            return None
        return partial(symbolise, image=kernel.vmlinux, isolation=isolation, root=kernel.source)

    def _caged(self) -> Isolation:
        if self._isolation is None:
            otherwise = "guests of vm cannot do without"
            isolation = isolation_for(self._here.checks, self._state, otherwise)
            if isolation.name == "bare":
                raise InfraError('checks.isolation = "bare" and driver.kind = "vm": a guest is always caged')
            self._isolation = isolation
        return self._isolation

    @asynccontextmanager
    async def _folder(self, job: Job, kernel: Kernel) -> AsyncIterator[tuple[Path, Path]]:
        """The run's prepared folder, shared by its guests, and one of this guest alone, its little root in it."""
        folder = (await self._prepared.opened()).new()
        async with self._prepared.folder(job.run) as work:
            try:
                folder.mkdir()
                await asyncio.to_thread(_little, folder / INITRD, kernel)
                yield work, folder
            finally:
                await asyncio.shield(asyncio.ensure_future(remove(folder)))

    async def kernel(self, job: Job) -> Kernel:
        """What a lease for this job boots, made if it is not there. Raises as `Kernels.kernel`."""
        return await self._kernels.kernel(job)

    async def sound(self, target: Target) -> str:
        """See `base.Examines`."""
        new = self._new.get(id(target), health.Look())
        why = health.worn(new, await self._look(target.dut))
        if why:
            # What is just ending is no burden.
            await asyncio.sleep(_SETTLE)
            why = health.worn(new, await self._look(target.dut))
        return why or await self._own_word(target.dut)

    async def _look(self, host: Host) -> health.Look:
        said = Capture()
        await host.run(health.look(), timeout=_LOOK, out=said)
        return health.read(said.stdout)

    async def _own_word(self, host: Host) -> str:
        if not self._config.health:
            return ""
        said = Capture()
        done = await host.run(health.script(self._config.health), timeout=_LOOK, out=said)
        return "" if done.ok else health.complaint(said.stdout + said.stderr, done.code)

    async def reach(self, host: str) -> str:
        program = shutil.which(self._config.program)
        if program is None:
            raise InfraError(f"{self._config.program} is not installed: apt install qemu-system-x86")
        if not (self._config.root / "bin").exists():
            raise InfraError(f"root: {self._config.root} is no folder with a system")
        if not any((self._config.root / folder / "sshd").exists() for folder in ("usr/sbin", "usr/bin", "sbin")):
            raise InfraError(f"root: {self._config.root} has no sshd: install openssh-server in it")
        self._caged()
        there = self._kernels.examine()
        if not self.builds:
            kernel = await self._kernels.kernel(Job("reach", 0))
            await asyncio.to_thread(little_root, kernel)
        return f"{Path(program).name}, {there}, root {self._config.root}"


def _little(path: Path, kernel: Kernel) -> None:
    path.write_bytes(little_root(kernel))
    path.chmod(0o644)


def little_root(kernel: Kernel) -> bytes:
    """What a guest of this kernel begins with. Raises InfraError without a busybox."""
    busybox = next((path for path in _BUSYBOX if path.is_file()), None)
    if busybox is None:
        raise InfraError("busybox is not installed, which guests begin with: apt install busybox-static")
    return initrd(busybox.read_bytes(), kernel.modules)
