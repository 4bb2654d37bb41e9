"""Hosts over SSH: one connection a lease, host keys always verified, every command through the wrapper.

Answers the `Driver` protocol of base.py. Refuses to know suites, tables and what the output means. What
asyncssh raises is translated here and nowhere else: whatever breaks between us and a host is `InfraError`.

Theory of operation. A lease has a number, given by whoever claims work, and a session, a nonce made for one
connection. Entering sends the wrapper and says `take`: from then on the host refuses every older number, and
what other sessions left running has been ended. Each command is led by a process of its own session on the
host, recorded under a name; a time limit or a cancelled `run` ends it by that name through a second channel
of the same connection. The connection may break at any moment: the command then runs on, nobody hears it, and
the next lease ends it. That is why the wrapper, not the connection, decides who may command a host.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import ClassVar

import asyncssh
from pydantic import BaseModel

from services.executor.drivers import transfer, wrapper
from services.executor.drivers.base import Capture, Command, Exit, Job, LeaseLost, Output, Target
from services.executor.drivers.reset import Reset
from services.executor.drivers.ssh_config import Address, SshConfig
from services.executor.drivers.streams import Tail, carry, rest, streams_of
from shared.errors import InfraError, Refused

ANSWER = timedelta(seconds=30)
"""How long a host may take for words of our own that do no work of the run."""


@contextmanager
def _infra(host: str, doing: str) -> Iterator[None]:
    """Everything that can go wrong on the way to a host, as one error that names the host and the act."""
    try:
        yield
    except asyncssh.HostKeyNotVerifiable as error:
        raise InfraError(f"{host}: its host key is not the one we know: {error.reason}", host=host) from error
    except asyncssh.PermissionDenied as error:
        raise InfraError(f"{host}: it does not accept our key: {error.reason}", host=host) from error
    except TimeoutError as error:
        raise InfraError(f"{host}: no answer while {doing}", host=host) from error
    except (asyncssh.Error, OSError, EOFError) as error:
        raise InfraError(f"{host}: lost while {doing}: {error or type(error).__name__}", host=host) from error


class SshHost:
    """A host under a lease; see `base.Host`."""

    def __init__(self, name: str, link: asyncssh.SSHClientConnection, words: wrapper.Words, config: SshConfig) -> None:
        self.name = name
        self.work = ""
        self._link, self._words, self._config = link, words, config
        self._grace = max(1, round(config.kill_grace.total_seconds()))
        self._count = 0

    async def run(self, command: Command, *, timeout: timedelta, out: Output | None = None) -> Exit:
        self._count += 1
        ident = f"{self._words.session}-{self._count}"
        line = self._words.run(ident, command, self.work)
        streams = streams_of(out or Capture(), command)
        began = time.monotonic()
        with _infra(self.name, f"running {command.argv[0]!r}"):
            code = await self._follow(line, ident, command.stdin, streams, timeout)
        if said := self._words.complaint(code, streams[1].last):
            self._words.refuse(code, said, self.name)
        dropped = sum(stream.dropped for stream in streams)
        return Exit(code, code is None, time.monotonic() - began, dropped)

    async def _follow(
        self,
        line: str,
        ident: str,
        stdin: bytes | AsyncIterable[bytes],
        streams: tuple[Tail, Tail],
        limit: timedelta,
    ) -> int | None:
        """Carry a command's streams until it ends; None when `limit` ended it."""
        process = await self._open(line)
        carrying = asyncio.timeout(limit.total_seconds())
        try:
            async with carrying:
                return await carry(process, stdin, streams)
        except TimeoutError:
            if not carrying.expired():
                raise
            await self._end(ident)
            await rest(process, streams)
            return None
        except asyncio.CancelledError:
            await self._end_quietly(ident)
            raise
        finally:
            process.close()

    async def _open(self, line: str) -> asyncssh.SSHClientProcess[bytes]:
        # A host that accepts no channel is broken; the command's own limit has not begun.
        async with asyncio.timeout(self._config.connect_timeout.total_seconds()):
            return await self._link.create_process(line, encoding=None)

    async def _end(self, ident: str) -> None:
        async with asyncio.timeout(self._grace + 15):
            done = await self._link.run(self._words.end(ident, self._grace), encoding=None)
        said = self._words.complaint(done.exit_status, _bytes(done.stderr))
        if said or done.exit_status is None:
            raise InfraError(f"{self.name}: {said or 'lost while ending a command'}", host=self.name)

    async def _end_quietly(self, ident: str) -> None:
        """End a command nobody waits for; if the host is gone too, the next lease ends it."""
        try:
            await self._end(ident)
        except (asyncssh.Error, OSError, TimeoutError, InfraError):
            pass

    async def put(self, source: Path, to: PurePosixPath) -> None:
        await self._send(transfer.command_to_put(source, to), f"sending {source.name}")

    async def unpack(self, tar: AsyncIterable[bytes], to: PurePosixPath) -> None:
        await self._send(transfer.command_to_unpack(tar, to), f"unpacking into {to.name}")

    async def _send(self, command: Command, doing: str) -> None:
        said = Capture()
        done = await self.run(command, timeout=transfer.LIMIT, out=said)
        if not done.ok:
            why = "it took too long" if done.timed_out else said.stderr.decode(errors="replace").strip()[-300:]
            raise InfraError(f"{self.name}: failed {doing}: {why}", host=self.name)

    async def get(self, source: PurePosixPath, to: Path, *, limit: int) -> int:
        said = Capture()
        done = await self.run(transfer.command_to_get(source, limit), timeout=transfer.LIMIT, out=said)
        if not done.ok:
            raise Refused(f"{self.name}: {source} is not a file to fetch", host=self.name)
        await asyncio.to_thread(to.write_bytes, said.stdout[:limit])
        return min(limit, len(said.stdout))

    async def say(self, line: str, stdin: bytes = b"", limit: timedelta = ANSWER) -> bytes:
        """Speak to the wrapper itself; gives its standard output."""
        with _infra(self.name, "answering the wrapper"):
            async with asyncio.timeout(limit.total_seconds()):
                done = await self._link.run(line, input=stdin, encoding=None)
        stdout, stderr = _bytes(done.stdout), _bytes(done.stderr)
        if said := self._words.complaint(done.exit_status, stderr):
            self._words.refuse(done.exit_status, said, self.name)
        if done.exit_status != 0:
            why = stderr.decode(errors="replace").strip()[-300:] or "lost"
            raise InfraError(f"{self.name}: cannot serve a lease: {why}", host=self.name)
        return stdout


class SshDriver:
    """Leases the hosts of one `SshConfig`; see `base.Driver`."""

    name: ClassVar[str] = "ssh"
    Config: ClassVar[type[BaseModel]] = SshConfig

    def __init__(self, config: SshConfig) -> None:
        self._config = config
        self.hosts: tuple[str, ...] = config.hosts
        self._reset = Reset(config)
        # It would log every command line, and with it what an operator put into the environment.
        asyncssh.set_log_level("WARNING")

    @asynccontextmanager
    async def lease(self, job: Job) -> AsyncIterator[Target]:
        name = job.host or self.hosts[0]
        if name not in self.hosts:
            raise Refused(f"{name} is not a host of this executor", host=name)
        async with AsyncExitStack() as stack:
            host, facts = await self._clean_host(stack, name, job)
            try:
                yield Target(host, PurePosixPath(host.work), facts=facts)
            finally:
                await self._part(host)

    async def reach(self, host: str) -> str:
        async with self._connected(host) as link:
            with _infra(host, "answering"):
                async with asyncio.timeout(ANSWER.total_seconds()):
                    done = await link.run("uname -nr", encoding=None)
        return _bytes(done.stdout).decode(errors="replace").strip()[:200]

    async def _clean_host(self, stack: AsyncExitStack, name: str, job: Job) -> tuple[SshHost, dict[str, str]]:
        host, facts = await self._own(stack, name, job)
        if facts.pop("dirty", "") and self._reset.wanted:
            # Whoever had the host before died or failed before the reset at the end of its lease.
            await self._reset.run(host)
            host, facts = await self._reset.back(lambda: self._own(stack, name, job), name)
            facts.pop("dirty", "")
        return host, facts

    async def _own(self, stack: AsyncExitStack, name: str, job: Job) -> tuple[SshHost, dict[str, str]]:
        """Connect, send the wrapper, end what others left."""
        link = await stack.enter_async_context(self._connected(name))
        state = await self._install(name, link)
        host = SshHost(name, link, wrapper.Words(state, job.lease, secrets.token_hex(8)), self._config)
        answer = await host.say(host._words.take(host._grace, job.run), limit=ANSWER * 3)
        facts = dict(wrapper.facts(answer))
        host.work = facts.pop("work", "")
        if not host.work:
            raise InfraError(f"{name}: its wrapper gives no work folder", host=name)
        return host, facts

    async def _install(self, name: str, link: asyncssh.SSHClientConnection) -> str:
        """Send the wrapper; gives its folder."""
        with _infra(name, "receiving the wrapper"):
            async with asyncio.timeout(ANSWER.total_seconds()):
                line = wrapper.install(self._config.directory)
                done = await link.run(line, input=wrapper.SCRIPT, encoding=None)
        folder = _bytes(done.stdout).decode(errors="replace").strip()
        if done.exit_status != 0 or not folder.startswith("/"):
            why = _bytes(done.stderr).decode(errors="replace").strip()[-300:] or "connection lost"
            raise InfraError(f"{name}: does not take the wrapper: {why}", host=name)
        return folder

    async def _part(self, host: SshHost) -> None:
        """End what we left and reset the host. Results are safe by now: a host that fails here stays marked
        dirty.
        """
        try:
            await host.say(host._words.leave(host._grace), limit=ANSWER)
            if self._reset.wanted:
                await self._reset.run(host)
            await host.say(host._words.clean())
        except (InfraError, LeaseLost):
            pass

    @asynccontextmanager
    async def _connected(self, name: str) -> AsyncIterator[asyncssh.SSHClientConnection]:
        async with AsyncExitStack() as stack:
            tunnel = None
            if self._config.jump:
                tunnel = await self._connect(stack, self._config.jump, None)
            yield await self._connect(stack, name, tunnel)

    async def _connect(
        self, stack: AsyncExitStack, name: str, tunnel: asyncssh.SSHClientConnection | None
    ) -> asyncssh.SSHClientConnection:
        address, config = Address.parse(name), self._config
        wait = config.connect_timeout.total_seconds()
        with _infra(name, "connecting"):
            known = await asyncio.to_thread(known_hosts, config)
            async with asyncio.timeout(wait):
                link = await asyncssh.connect(
                    address.host, address.port, username=address.user, tunnel=tunnel,
                    known_hosts=known, client_keys=[str(config.key_file)] if config.key_file else None,
                    agent_path=() if config.agent else None, agent_forwarding=False,
                    # The account's own ssh configuration could switch host keys off behind our back.
                    config=None, password_auth=False, kbdint_auth=False, host_based_auth=False, gss_host=None,
                    connect_timeout=wait, login_timeout=wait,
                    keepalive_interval=config.keepalive_interval.total_seconds(),
                    keepalive_count_max=config.keepalive_count,
                )  # fmt: skip
        stack.push_async_callback(_hang_up, link)
        return link


def known_hosts(config: SshConfig) -> asyncssh.SSHKnownHosts:
    """The host keys we believe: the file's and those written in the configuration."""
    lines = list(config.host_keys)
    if config.known_hosts:
        lines.append(config.known_hosts.read_text())
    try:
        return asyncssh.import_known_hosts("\n".join(lines) + "\n")
    except ValueError as error:
        raise InfraError(f"known hosts cannot be read: {error}") from error


async def _hang_up(link: asyncssh.SSHClientConnection) -> None:
    link.close()
    try:
        async with asyncio.timeout(5):
            await link.wait_closed()
    except (TimeoutError, asyncssh.Error, OSError):
        link.abort()


def _bytes(said: bytes | str | None) -> bytes:
    """asyncssh types its answers for both worlds; ours is always bytes."""
    return said if isinstance(said, bytes) else b""
