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
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import ClassVar

import asyncssh
from pydantic import BaseModel

from services.executor.drivers import transfer, wrapper
from services.executor.drivers.base import Capture, Command, Exit, Job, LeaseLost, Output, Target
from services.executor.drivers.reset import Reset
from services.executor.drivers.ssh_config import Manner, SshConfig
from services.executor.drivers.streams import Divided, Tail, carry, rest, streams_of
from services.executor.drivers.way import as_infra, connected
from shared.errors import InfraError, Refused

ANSWER = timedelta(seconds=30)
"""How long a host may take for words of our own that do no work of the run."""


class SshHost:
    """A host under a lease; see `base.Host`."""

    def __init__(self, name: str, link: asyncssh.SSHClientConnection, words: wrapper.Words, manner: Manner) -> None:
        self.name = name
        self.work = ""
        self._link, self._words, self._manner = link, words, manner
        self._grace = max(1, round(manner.kill_grace.total_seconds()))
        self._count = 0

    async def run(self, command: Command, *, timeout: timedelta, out: Output | None = None) -> Exit:
        return await self._run(command, "", streams_of(out or Capture(), command), timeout)

    async def run_then(
        self, command: Command, then: str, *, timeout: timedelta, out: Output | None = None
    ) -> tuple[Exit, bytes | None]:
        """See `base.Follows`."""
        out = out or Capture()
        said = Divided(out, command.cap, self._words.mark)
        try:
            done = await self._run(command, then, (Tail(out, command.cap, stderr=False), said), timeout)
        finally:
            said.finish()
        return done, said.after

    async def _run(self, command: Command, then: str, streams: tuple[Tail, Tail], timeout: timedelta) -> Exit:
        self._count += 1
        ident = f"{self._words.session}-{self._count}"
        line = self._words.run(ident, command, self.work, then)
        began = time.monotonic()
        with as_infra(self.name, f"running {command.argv[0]!r}"):
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
        async with asyncio.timeout(self._manner.connect_timeout.total_seconds()):
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

    async def leave(self) -> None:
        """End everything that this lease began there."""
        await self.say(self._words.leave(self._grace), limit=ANSWER)

    async def clean(self) -> None:
        """Remember there that the machine is as new."""
        await self.say(self._words.clean())

    async def say(self, line: str, stdin: bytes = b"", limit: timedelta = ANSWER) -> bytes:
        """Speak to the wrapper itself; gives its standard output."""
        with as_infra(self.name, "answering the wrapper"):
            async with asyncio.timeout(limit.total_seconds()):
                done = await self._link.run(line, input=stdin, encoding=None)
        stdout, stderr = _bytes(done.stdout), _bytes(done.stderr)
        if said := self._words.complaint(done.exit_status, stderr):
            self._words.refuse(done.exit_status, said, self.name)
        if done.exit_status != 0:
            why = stderr.decode(errors="replace").strip()[-300:] or "lost"
            raise InfraError(f"{self.name}: cannot serve a lease: {why}", host=self.name)
        return stdout


async def own(
    name: str, link: asyncssh.SSHClientConnection, job: Job, manner: Manner, then: str = ""
) -> tuple[SshHost, dict[str, str], bytes]:
    """Send the wrapper over a connection, and take the machine at its other end for `job`: what others left there is
    ended. Gives its facts too, and what `then` said, a script that is run there at once.
    """
    session, grace = secrets.token_hex(8), max(1, round(manner.kill_grace.total_seconds()))
    line = wrapper.own(manner.directory, job.lease, session, grace, job.run, then)
    with as_infra(name, "receiving the wrapper"):
        async with asyncio.timeout(ANSWER.total_seconds() * 3):
            done = await link.run(line, input=wrapper.SCRIPT, encoding=None)
    told, _, rest_of_it = _bytes(done.stdout).partition(f"{wrapper.THEN}\n".encode())
    facts = dict(wrapper.facts(told))
    words = wrapper.Words(facts.pop("state", ""), job.lease, session)
    stderr = _bytes(done.stderr)
    if said := words.complaint(done.exit_status, stderr):
        words.refuse(done.exit_status, said, name)
    work = facts.pop("work", "")
    if done.exit_status != 0 or not words.state.startswith("/") or not work:
        why = stderr.decode(errors="replace").strip()[-300:] or "connection lost"
        what = "cannot serve a lease" if words.state.startswith("/") else "does not take the wrapper"
        raise InfraError(f"{name}: {what}: {why}", host=name)
    host = SshHost(name, link, words, manner)
    host.work = work
    return host, facts, rest_of_it


class SshDriver:
    """Leases the hosts of one `SshConfig`; see `base.Driver`."""

    name: ClassVar[str] = "ssh"
    Config: ClassVar[type[BaseModel]] = SshConfig

    def __init__(self, config: SshConfig) -> None:
        self._config = config
        self.hosts: tuple[str, ...] = config.hosts
        self._reset = Reset(config)

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
        async with connected(self._config, host) as link:
            with as_infra(host, "answering"):
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
        link = await stack.enter_async_context(connected(self._config, name))
        host, facts, _ = await own(name, link, job, self._config.manner)
        return host, facts

    async def _part(self, host: SshHost) -> None:
        """End what we left and reset the host. Results are safe by now: a host that fails here stays marked
        dirty.
        """
        try:
            await host.leave()
            if self._reset.wanted:
                await self._reset.run(host)
            await host.clean()
        except (InfraError, LeaseLost):
            pass


def _bytes(said: bytes | str | None) -> bytes:
    """asyncssh types its answers for both worlds; ours is always bytes."""
    return said if isinstance(said, bytes) else b""
