"""Pairs of machines with a link between them as hosts of an executor: a lease is both, and all that is on them.

Answers the `Driver` protocol. Theory of operation. Both machines' leases are held before a lease of ours begins, so
what is done to a machine is done by one at a time; the wrapper on each refuses an older number, so that an owner who
does not know yet that he is none can do nothing. A lease begins with machines that run their own kernel and are sound,
and says in the book that they are dirty from now on. The kernel goes to the machine under test alone and is begun by
kexec; then the link is brought up, the machine under test is let in at its peer by a key of this lease, and the suite
is sent. In the end a machine that ran another kernel, or is not as it was, is booted anew before the leases are let go,
and each is looked at once more: what is not sound is told in the book, and too often means quarantine. A lease that is
cut off leaves the dirt to the next one.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import asyncssh
import structlog
from pydantic import BaseModel

from services.executor.cage.at_hand import isolation_for
from services.executor.cage.base import Isolation, Limits
from services.executor.drivers import transfer
from services.executor.drivers.base import Capture, Command, Job, LeaseLost, Symbols, Target, must, shell
from services.executor.drivers.builder import Builder
from services.executor.drivers.console import Console
from services.executor.drivers.dualhost import ends
from services.executor.drivers.dualhost.config import DualHostConfig, LinkConfig
from services.executor.drivers.dualhost.machine import Hello, Machine
from services.executor.drivers.here import Here
from services.executor.drivers.prepared import Prepared
from services.executor.drivers.ssh import SshHost, own
from services.executor.drivers.ssh_config import Address
from services.executor.kernels.base import Kernel, Kernels
from services.executor.kernels.config import KernelBuild
from services.executor.kernels.rack import kernels_for
from services.executor.machines import book
from services.executor.machines.file_book import FileBook
from services.executor.symbolise import symbolise
from shared.errors import InfraError, NetciError, Refused

log = structlog.get_logger(__name__)

_SHORT = timedelta(minutes=2)
_DRIVERS = ("drivers/net", "drivers/net/hw")
"""Folders of the selftests that read a net.config, each its own."""
_DIED = 1 << 7
"""The bit of a kernel's taint that says that it has died once: an oops."""


class DualHostDriver:
    """See `base.Driver`."""

    name: ClassVar[str] = "dualhost"
    Config: ClassVar[type[BaseModel]] = DualHostConfig

    def __init__(self, config: DualHostConfig, here: Here) -> None:
        self._config, self._here = config, here
        self.hosts: tuple[str, ...] = tuple(config.links)
        self._machines = {name: Machine(name, one, config) for name, one in config.machines.items()}
        self._book: book.Book = FileBook(here.state / "machines")
        self._state = here.state / "dualhost"
        self._prepared = Prepared(self._state)
        self._isolation: Isolation | None = None
        self._kernels: Kernels | None = None
        if config.kernel is not None:
            self._kernels = kernels_for(config.kernel, config.modules, config.vmlinux, (), here, self._caged)
        self.builds = isinstance(config.kernel, KernelBuild)
        self._leases: dict[int, _Lease] = {}

    def machines(self, host: str) -> tuple[str, ...]:
        """See `base.Several`."""
        link = self._link(host)
        return tuple(filter(None, (link.dut, link.peer)))

    def _link(self, host: str) -> LinkConfig:
        if host not in self.hosts:
            raise Refused(f"{host} is not a link of this executor", host=host)
        return self._config.links[host]

    @asynccontextmanager
    async def lease(self, job: Job) -> AsyncIterator[Target]:
        name = job.host or self.hosts[0]
        link, machines = self._link(name), [self._machines[one] for one in self.machines(name)]
        await self._usable(machines)
        # Before a machine is kept busy: a build takes long.
        kernel = await self._kernels.kernel(job) if self._kernels else None
        async with AsyncExitStack() as stack:
            folder = await stack.enter_async_context(self._prepared.folder(job.run))
            console = await stack.enter_async_context(machines[0].recorded())
            held = await _all([self._ready(stack, machine, job) for machine in machines])
            lease = _Lease(job, link, held, kernel)
            for machine in machines:
                await self._write(machine, dirty=True)
            try:
                await self._set_up(stack, lease)
                target = await self._target(lease, folder, console)
                self._leases[id(target)] = lease
                try:
                    yield target
                finally:
                    del self._leases[id(target)]
            except Exception:
                await self._let_go(stack, lease)
                raise
            # Not when we are cut off: that must be quick, and the next lease finds the dirt.
            await self._let_go(stack, lease)

    async def reach(self, host: str) -> str:
        link = self._link(host)
        said = []
        for name in self.machines(host):
            machine, now = self._machines[name], await self._book.standing(name)
            if not now.usable:
                raise InfraError(f"{name} is in {_words(now.state)}: {now.why}")
            hello = await machine.hello()
            power = f", power {await machine.power.state()}" if machine.has_power else ""
            said.append(f"{name}: {hello.release}{power}")
        if self._kernels:
            said.append(self._kernels.examine())
        return "; ".join(said) + ("" if link.peer else f"; peer in {link.namespace}")

    async def sound(self, target: Target) -> str:
        """See `base.Examines`: whether the machine under test still runs as it did when the lease began."""
        lease = self._leases[id(target)]
        said = Capture()
        look = "cat /proc/sys/kernel/random/boot_id /proc/sys/kernel/tainted"
        await target.dut.run(shell(look), timeout=_SHORT, out=said)
        boot, _, taint = said.stdout.decode(errors="replace").strip().partition("\n")
        if boot != lease.dut.hello.boot:
            return "it was booted anew"
        return "its kernel has died once" if taint.isdecimal() and int(taint[:12]) & _DIED else ""

    # Before

    async def _usable(self, machines: list[Machine]) -> None:
        for machine in machines:
            now = await self._book.standing(machine.name)
            if not now.usable:
                raise InfraError(f"{machine.name} is in {_words(now.state)}: {now.why}", host=machine.name)

    async def _ready(self, stack: AsyncExitStack, machine: Machine, job: Job) -> "_Held":
        """On its own kernel, sound, and ours."""
        async with self._blaming(machine):
            now = await self._mine(machine, job)
            await self._book.write(machine.name, replace(now, lease=job.lease))
            if await machine.answers_now():
                # The machine itself refuses an owner that is none before anything is done to it.
                async with machine.link() as link:
                    await own(machine.name, link, job, self._config.manner)
            hello = await machine.ready(now.dirty)
            held = await self._own(stack, machine, hello, job)
            await machine.check(held.host)
            return held

    async def _mine(self, machine: Machine, job: Job) -> book.Standing:
        """How it stands. Raises LeaseLost if somebody younger had it."""
        now = await self._book.standing(machine.name)
        if job.lease < now.lease:
            raise LeaseLost(f"{machine.name}: lease {job.lease} is older than {now.lease}", host=machine.name)
        return now

    async def _own(self, stack: AsyncExitStack, machine: Machine, hello: Hello, job: Job) -> "_Held":
        link = await stack.enter_async_context(machine.link())
        host, facts, _ = await own(machine.name, link, job, self._config.manner)
        facts.pop("dirty", "")
        return _Held(machine, link, host, hello, facts)

    @asynccontextmanager
    async def _blaming(self, machine: Machine) -> AsyncIterator[None]:
        """What breaks inside is that machine's, and is written in the book."""
        try:
            yield
        except InfraError as exc:
            await self._failed(machine, str(exc))
            raise

    async def _failed(self, machine: Machine, why: str) -> None:
        now = book.failed(await self._book.standing(machine.name), why, self._config.quarantine_after)
        await self._book.write(machine.name, now)
        log.warning("machine: failed", machine=machine.name, state=now.state, failures=now.failures, reason=why)

    async def _write(self, machine: Machine, **changes: Any) -> None:
        await self._book.write(machine.name, replace(await self._book.standing(machine.name), **changes))

    async def _set_up(self, stack: AsyncExitStack, lease: "_Lease") -> None:
        """Another kernel, the link, and the way from one machine to the other."""
        dut, link = lease.dut, lease.link
        if lease.kernel is not None:
            async with self._blaming(dut.machine):
                lease.held[0] = dut = await self._other_kernel(stack, lease, lease.kernel)
        async with self._blaming(dut.machine):
            await must(dut.host, ends.down(link))
            await must(dut.host, ends.up_dut(link))
        if (peer := lease.peer) is None:
            await must(dut.host, ends.up_peer(link))
        else:
            async with self._blaming(peer.machine):
                await must(peer.host, ends.down(link))
                await must(peer.host, ends.up_peer(link))
            await self._introduce(lease, dut, peer)
        async with self._blaming(dut.machine):
            await must(dut.host, ends.carrier(link))

    async def _other_kernel(self, stack: AsyncExitStack, lease: "_Lease", kernel: Kernel) -> "_Held":
        dut = lease.dut
        image = PurePosixPath(dut.host.work) / "kernel" / "image"
        await dut.host.put(kernel.image, image)
        if kernel.modules is not None:
            await dut.host.put(kernel.modules, PurePosixPath("/lib/modules") / kernel.release)
        hello = await dut.machine.kexec(dut.host, image, dut.hello)
        if kernel.release and hello.release != kernel.release:
            raise InfraError(f"{dut.machine.name}: it runs {hello.release} after kexec, not {kernel.release}")
        return await self._own(stack, dut.machine, hello, lease.job)

    async def _introduce(self, lease: "_Lease", dut: "_Held", peer: "_Held") -> None:
        """Let the machine under test in at its peer, by a key of this lease."""
        key = asyncssh.generate_private_key("ssh-ed25519")
        address = lease.remote(peer)
        server = peer.link.get_server_host_key()
        assert server is not None
        names = address.host if address.port == 22 else f"[{address.host}]:{address.port}"
        known = f"{names} {server.export_public_key().decode().strip()}"
        await must(peer.host, ends.trust(key.export_public_key().decode().split(" netci")[0].strip()))
        private = key.export_private_key()
        await must(dut.host, ends.reach(private, known, address.user, address.host, address.port))

    async def _target(self, lease: "_Lease", folder: Path, console: Console | None) -> Target:
        dut, kernel = lease.dut, lease.kernel
        work = PurePosixPath(dut.host.work)
        builder = None
        if self._config.build_on == "here":
            limits = Limits(memory=self._config.build_memory, processes=4096, disk=self._config.build_disk)
            builder = Builder(f"builder of {lease.name}", self._caged(), folder, work, limits)
        return Target(
            dut.host, work, peer=lease.peer.host if lease.peer else None, facts=await self._facts(lease),
            builder=builder, deploy=partial(self._deploy, lease, folder if builder else None),
            kept=kernel.kept if kernel else {}, built=kernel.seconds if kernel else 0.0, console=console,
            symbols=self._symbols(kernel), env={} if lease.link.disruptive else {"DISRUPTIVE": "False"},
        )  # fmt: skip

    async def _facts(self, lease: "_Lease") -> Mapping[str, str]:
        """What the machine under test says of itself, and what it says otherwise than in its last lease."""
        dut, said = lease.dut, Capture()
        await dut.host.run(ends.facts(lease.link), timeout=_SHORT, out=said)
        now = ends.read_facts(said.stdout)
        before = (await self._book.standing(dut.machine.name)).facts
        await self._write(dut.machine, facts=dict(now))
        facts = {**dut.facts, **now, "peer": lease.peer.machine.name if lease.peer else lease.link.namespace}
        facts |= dict(lease.kernel.facts) if lease.kernel else {}
        return facts | ({"changed": changes} if (changes := book.changed(before, now)) else {})

    async def _deploy(self, lease: "_Lease", folder: Path | None) -> None:
        """Send what was prepared here, and write what tests of drivers want to know."""
        host, work = lease.dut.host, PurePosixPath(lease.dut.host.work)
        if folder is not None:
            await host.unpack(transfer.folder(folder, leave=("tree", "base")), work)
        address = lease.remote(lease.peer) if lease.peer else None
        text = ends.net_config(lease.link, f"{address.user}@{address.host}" if address else "")
        places = [*(work / "install" / name for name in _DRIVERS), *self._config.net_config]
        await must(host, ends.write_config(text, [str(place) for place in places]))

    def _symbols(self, kernel: Kernel | None) -> Symbols | None:
        if kernel is None or kernel.vmlinux is None:
            return None
        return partial(symbolise, image=kernel.vmlinux, isolation=self._caged(), root=kernel.source)

    def _caged(self) -> Isolation:
        if self._isolation is None:
            self._isolation = isolation_for(
                self._here.checks, self._state, "suites of dualhost cannot be built without"
            )
        return self._isolation

    # After

    async def _let_go(self, stack: AsyncExitStack, lease: "_Lease") -> None:
        """Undo it on each machine, see that it is sound, and say so in the book. Results are safe by now: what fails
        here is the machine's, and no result's."""
        for number, held in enumerate(lease.held):
            try:
                await self._mine(held.machine, lease.job)
                anew = lease.kernel is not None and number == 0
                await self._undone(stack, lease, held, anew)
            except LeaseLost as exc:
                # Somebody younger has it, and whatever we did would be done to them.
                log.warning("machine: another's by now", machine=held.machine.name, reason=str(exc))
            except (NetciError, OSError) as exc:
                await self._failed(held.machine, str(exc))
            else:
                await self._book.write(held.machine.name, book.well(await self._book.standing(held.machine.name)))

    async def _undone(self, stack: AsyncExitStack, lease: "_Lease", held: "_Held", anew: bool) -> None:
        machine, host = held.machine, held.host
        try:
            await host.leave()
            await must(host, ends.down(lease.link))
            if anew and lease.kernel is not None and lease.kernel.modules is not None:
                await must(host, Command(("rm", "-rf", f"/lib/modules/{lease.kernel.release}")))
            hello = await machine.hello()
            anew = anew or hello.boot != held.hello.boot
        except LeaseLost:
            raise
        except InfraError as exc:
            log.info("machine: silent at the end", machine=machine.name, reason=str(exc))
            anew, hello = True, Hello("", "")
        if anew:
            hello = await machine.boot(hello.boot)
            if not hello.release.startswith(machine.config.golden):
                raise InfraError(f"{machine.name}: it boots {hello.release}, not {machine.config.golden}")
            host = (await self._own(stack, machine, hello, lease.job)).host
            await must(host, ends.down(lease.link))
        await machine.check(host)
        await host.leave()
        await host.clean()


@dataclass
class _Held:
    """A machine in a lease."""

    machine: Machine
    link: asyncssh.SSHClientConnection
    host: SshHost
    hello: Hello
    facts: Mapping[str, str]


@dataclass
class _Lease:
    job: Job
    link: LinkConfig
    held: list[_Held]
    kernel: Kernel | None

    @property
    def name(self) -> str:
        return self.job.host or self.dut.machine.name

    @property
    def dut(self) -> _Held:
        return self.held[0]

    @property
    def peer(self) -> _Held | None:
        return self.held[1] if len(self.held) > 1 else None

    def remote(self, peer: _Held) -> Address:
        """How the machine under test reaches its peer."""
        return Address.parse(self.link.remote or peer.machine.config.address)


async def _all(acts: Sequence[Coroutine[Any, Any, _Held]]) -> list[_Held]:
    """At once, as machines take long to boot. If one fails, the others have come to their end before that is told."""
    done = await asyncio.gather(*acts, return_exceptions=True)
    for one in done:
        if isinstance(one, BaseException):
            raise one
    return [one for one in done if isinstance(one, _Held)]


def _words(state: book.State) -> str:
    return {book.State.QUARANTINED: "quarantine", book.State.MAINTENANCE: "maintenance"}.get(state, str(state))
