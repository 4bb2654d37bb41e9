"""One guest, from the words that begin it to the connection that commands it.

Theory of operation. QEMU runs in a cage, as a user that nobody else is: it sees the guest's root, kernel and seed,
read-only, and one folder of its own for two sockets. We listen to its console before it runs a single instruction, and
speak SSH over a serial port with it: each guest has a host key and a key to log in that were made for it, so that what
answers is that very guest. Whatever we are ended by, the cage takes the guest with us.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any

import asyncssh

from services.executor.cage.base import Bind, Cage, Isolation, Limits, Ran
from services.executor.drivers.console import Console
from services.executor.drivers.vm import qemu
from services.executor.drivers.vm.config import VmConfig
from services.executor.drivers.way import as_infra, hang_up
from services.executor.kernels.base import Kernel
from shared.errors import InfraError

INIT = (resources.files(__package__ or "") / "guest_init.sh").read_text("utf-8")
INITRD = "initrd"
_DAYS = 7 * 86400.0
_MIB = 1 << 20
_MOMENT = 2.0


@dataclass(frozen=True, slots=True)
class Guest:
    """One that answers."""

    link: asyncssh.SSHClientConnection
    console: Console


@asynccontextmanager
async def running(
    name: str, config: VmConfig, kernel: Kernel, work: tuple[Path, PurePosixPath], folder: Path, isolation: Isolation,
) -> AsyncIterator[Guest]:  # fmt: skip
    """Boot one, and end it. `folder` is its own, with `INITRD` in it and no more; `work` is a folder of this machine
    and where it is seen in the guest. Raises InfraError, with the end of its console, if it does not come to answer.
    """
    key = await asyncio.to_thread(seed_of, folder, work[1])
    cage, words = _cage(config, kernel, work[0], folder), qemu.command(config, modules=bool(kernel.modules))
    console = Console()
    async with AsyncExitStack() as stack:
        process = asyncio.ensure_future(isolation.run(cage, words))
        stack.push_async_callback(_ended, process)
        try:
            async with asyncio.timeout(config.boot_limit.total_seconds()):
                link = await _reached(name, folder, process, console, stack, key)
        except (TimeoutError, InfraError) as exc:
            # Its sockets are gone a moment before it is.
            await asyncio.wait([process], timeout=_MOMENT)
            raise InfraError(f"{name}: {_why(config, process, exc)}{_told(console)}", host=name) from exc
        stack.push_async_callback(hang_up, link)
        yield Guest(link, console)


async def _reached(
    name: str, folder: Path, process: "asyncio.Future[Ran]", console: Console, stack: AsyncExitStack, key: str
) -> asyncssh.SSHClientConnection:
    control = folder / "control"
    reader, writer = await asyncio.open_unix_connection(sock=await _socket(control / qemu.CONSOLE, process))
    stack.callback(writer.close)
    listening = asyncio.ensure_future(console.listen(reader))
    stack.callback(listening.cancel)
    port = await _socket(control / qemu.PORT, process)
    with as_infra(name, "booting"):
        known: tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey], list[asyncssh.SSHKey]] = (
            [asyncssh.read_public_key(folder / "seed" / "host_key.pub")],
            [],
            [],
        )
        # No keepalive: a guest without KVM that is busy is silent for long, and one that is gone closes its socket.
        connecting = asyncio.ensure_future(
            asyncssh.connect(
                name, sock=port, username="root", known_hosts=known, client_keys=[asyncssh.import_private_key(key)],
                config=None, agent_path=None, password_auth=False, kbdint_auth=False, host_based_auth=False,
                gss_host=None, login_timeout=_DAYS,
            )
        )  # fmt: skip
        try:
            waited: set[asyncio.Future[Any]] = {connecting, process}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if not connecting.done():
                raise InfraError("it ended before it answered")
            return await connecting
        finally:
            if not connecting.done():
                connecting.cancel()
                await asyncio.gather(connecting, return_exceptions=True)
                port.close()


async def _socket(path: Path, process: "asyncio.Future[Ran]") -> socket.socket:
    """Connected to what QEMU listens on, as soon as it does."""
    loop = asyncio.get_running_loop()
    # By the folder's descriptor: a socket's address has room for a hundred bytes, and our folders may lie deeper.
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        while not process.done():
            made = socket.socket(socket.AF_UNIX)
            made.setblocking(False)
            try:
                await loop.sock_connect(made, f"/proc/self/fd/{folder}/{path.name}")
                return made
            except OSError:
                made.close()
                await asyncio.sleep(0.02)
            except asyncio.CancelledError:
                made.close()
                raise
    finally:
        os.close(folder)
    raise InfraError("it did not begin")


def _why(config: VmConfig, process: "asyncio.Future[Ran]", exc: Exception) -> str:
    if not process.done():
        wait = round(config.boot_limit.total_seconds())
        return str(exc) if isinstance(exc, InfraError) else f"the guest did not answer within {wait} s of its start"
    if (error := process.exception()) is not None:
        return f"it could not be begun: {error}"
    ran = process.result()
    said = ran.stderr.decode(errors="replace").strip()[-500:]
    if ran.code == 127 or "failed to execute" in said.lower():
        return f"{config.program} is not installed, or cannot be run: {said}"
    return f"the guest ended, {ran.said or f'with {ran.code}'}{': ' + said if said else ''}"


def _told(console: Console) -> str:
    return f"; its console ends:\n{console.tail}" if console.tail else "; its console said nothing"


async def _ended(process: "asyncio.Future[Ran]") -> None:
    process.cancel()
    await asyncio.gather(process, return_exceptions=True)


def seed_of(folder: Path, place: PurePosixPath) -> str:
    """What the guest is given, made for it alone. Gives the key that may log in."""
    seed = folder / "seed"
    seed.mkdir(parents=True)
    (folder / "control").mkdir()
    host, ours = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    files = {
        "init": INIT, "place": f"{place}\n", "host_key": host.export_private_key().decode(),
        "host_key.pub": host.export_public_key().decode(), "authorized": ours.export_public_key().decode(),
    }  # fmt: skip
    for name, text in files.items():
        (seed / name).write_text(text)
        # QEMU reads them as a user of its own; the folders above let nobody else in.
        (seed / name).chmod(0o644)
    return ours.export_private_key().decode()


def _cage(config: VmConfig, kernel: Kernel, work: Path, folder: Path) -> Cage:
    modules = [Bind(kernel.modules, qemu.MODULES)] if kernel.modules else []
    binds = [
        Bind(kernel.image, qemu.IMAGE), Bind(folder / INITRD, qemu.INITRD), Bind(config.root, qemu.ROOT),
        Bind(folder / "seed", qemu.SEED), Bind(work, qemu.WORK), *modules,
        Bind(folder / "control", qemu.CONTROL, writable=True),
    ]  # fmt: skip
    memory = qemu.memory_of(config)
    limits = Limits(_DAYS, memory, processes=256, output=_MIB, disk=64 * _MIB)
    return Cage(tuple(binds), limits=limits)
