"""One real machine: that it answers, on the kernel that it should, and how it gets there.

Theory of operation. A machine is known by the id of its boot. It is ready when it answers, is sound by the operator's
script, and runs its own kernel; one that does not is switched off and on, once. A kernel of ours is begun by kexec from
there. What a lease did is undone by another boot, before anybody else has it.
"""

import asyncio
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePosixPath

import asyncssh
import structlog

from services.executor.drivers.base import Capture, Command, Host, shell
from services.executor.drivers.console import Console
from services.executor.drivers.dualhost.config import MachineConfig
from services.executor.drivers.ssh_config import Access
from services.executor.drivers.way import as_infra, connected
from services.executor.power.base import Power, State
from services.executor.power.none import NoneConfig
from services.executor.power.rack import power_for
from shared.errors import InfraError

log = structlog.get_logger(__name__)

LOOK = 1.0
"""Seconds between two tries to reach a machine that boots."""
_ANSWER = 20.0
HEALTH = timedelta(minutes=2)
_CONSOLE_AGAIN = 5.0
_LEAVING = 1.0

_HELLO = "cat /proc/sys/kernel/random/boot_id && uname -r && cat /proc/uptime"
_KEXEC = """
set -e
if [ -n "$3" ]; then set -- "$1" "$2" "--initrd=$3"; else set -- "$1" "$2"; fi
image=$1 append=$2
shift 2
kexec -l "$image" --reuse-cmdline --append="$append" "$@"
sync
"""


@dataclass(frozen=True, slots=True)
class Hello:
    """What a machine says first: the id of this boot, the release of its kernel."""

    boot: str
    release: str


class Machine:
    """One of a driver's. Used by who holds its lease."""

    def __init__(self, name: str, config: MachineConfig, access: Access) -> None:
        self.name, self.config, self._access = name, config, access
        self.power: Power = power_for(config.power, name)

    @property
    def has_power(self) -> bool:
        return not isinstance(self.config.power, NoneConfig)

    @asynccontextmanager
    async def link(self) -> AsyncIterator[asyncssh.SSHClientConnection]:
        """A connection. Raises InfraError."""
        async with connected(self._access, self.config.address) as link:
            yield link

    async def hello(self) -> Hello:
        """Raises InfraError if it does not answer."""
        async with self.link() as link:
            with as_infra(self.name, "answering"):
                async with asyncio.timeout(_ANSWER):
                    done = await link.run(_HELLO, encoding=None)
        lines = bytes(done.stdout or b"").decode(errors="replace").splitlines()  # type: ignore[arg-type]
        if len(lines) < 2:
            raise InfraError(f"{self.name}: it says nothing of itself", host=self.name)
        return Hello(lines[0].strip()[:64], lines[1].strip()[:128])

    async def answers(self, other_than: str = "") -> Hello:
        """Wait until it does, by another boot than that. Raises InfraError after its boot's time."""
        trouble = ""
        try:
            async with asyncio.timeout(self.config.boot_limit.total_seconds()):
                while True:
                    try:
                        if (found := await self.hello()).boot != other_than:
                            return found
                        trouble = "it still runs as before"
                    except InfraError as exc:
                        trouble = str(exc)
                    await asyncio.sleep(LOOK)
        except TimeoutError:
            limit = round(self.config.boot_limit.total_seconds())
            raise InfraError(f"{self.name}: it does not come up within {limit} s: {trouble}", host=self.name) from None

    async def answers_now(self) -> bool:
        """Without waiting for one that boots."""
        if self.has_power and await self.power.state() is State.OFF:
            return False
        try:
            await self.hello()
        except InfraError:
            return False
        return True

    async def ready(self, dirty: bool) -> Hello:
        """On, and on its own kernel. It is booted anew if it is dirty, silent, or runs another one."""
        if self.has_power and await self.power.state() is State.OFF:
            await self.power.on()
            return self._own(await self.answers())
        try:
            found = await self.hello()
        except InfraError as exc:
            log.warning("machine: silent", machine=self.name, reason=str(exc))
            return self._own(await self.boot(""))
        if dirty or not found.release.startswith(self.config.golden):
            return self._own(await self.boot(found.boot))
        return found

    def _own(self, found: Hello) -> Hello:
        if not found.release.startswith(self.config.golden):
            raise InfraError(f"{self.name}: it boots {found.release}, not {self.config.golden}", host=self.name)
        return found

    async def boot(self, former: str) -> Hello:
        """Boot it anew, by its power if we have any over it, and wait until it answers."""
        if self.has_power:
            await self.power.cycle()
        else:
            await self._run_and_leave("sync; nohup sh -c 'sleep 1; reboot -f || reboot' >/dev/null 2>&1 &")
        return await self.answers(former)

    async def kexec(self, host: Host, image: PurePosixPath, former: Hello) -> Hello:
        """Begin the kernel `image`, a file on the machine; gives what it says then."""
        said = Capture()
        words = (str(image), self.config.append, str(self.config.initrd or ""))
        done = await host.run(shell(_KEXEC, *words), timeout=timedelta(minutes=2), out=said)
        if not done.ok:
            why = said.stderr.decode(errors="replace").strip()[-300:] or f"it ended with {done.code}"
            raise InfraError(f"{self.name}: the kernel cannot be loaded: {why}", host=self.name)
        await self._run_and_leave("nohup sh -c 'sleep 1; kexec -e' >/dev/null 2>&1 &")
        return await self.answers(former.boot)

    async def _run_and_leave(self, line: str) -> None:
        """Have the machine do what no connection survives: it is hung up on before."""
        async with self.link() as link:
            with as_infra(self.name, "going down"):
                async with asyncio.timeout(_ANSWER):
                    await link.run(f"sh -c {shlex.quote(line)}", encoding=None)
        await asyncio.sleep(_LEAVING)

    async def check(self, host: Host) -> None:
        """The operator's own word on whether it is sound. Raises InfraError."""
        if not self.config.health:
            return
        said = Capture()
        done = await host.run(Command(("sh", "-c", self.config.health), merge=True), timeout=HEALTH, out=said)
        if not done.ok:
            lines = said.stdout.decode(errors="replace").strip().splitlines()
            why = lines[-1][:200] if lines else f"it ended with {done.code}"
            raise InfraError(f"{self.name}: its health check fails: {why}", host=self.name)

    @asynccontextmanager
    async def recorded(self) -> AsyncIterator[Console | None]:
        """Its console, recorded while inside; None if it has none."""
        if not self.has_power:
            yield None
            return
        console = Console()
        recording = asyncio.ensure_future(self._record(console))
        try:
            yield console
        finally:
            recording.cancel()
            await asyncio.gather(recording, return_exceptions=True)

    async def _record(self, console: Console) -> None:
        """For as long as it is wanted: a BMC hangs up when its machine is switched off, and for less."""
        told = ""
        while True:
            with suppress(OSError):
                try:
                    async with self.power.console() as line:
                        await console.listen(line.reader, last=False)
                except InfraError as exc:
                    if str(exc) != told:
                        told = str(exc)
                        log.info("machine: no console", machine=self.name, reason=told)
            await asyncio.sleep(min(_CONSOLE_AGAIN, LOOK))
