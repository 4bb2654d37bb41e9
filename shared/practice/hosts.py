"""Hosts to run commands on, served over SSH in this process: real shells, real keys, and ways to go wrong.

Each host has a folder of its own as its home and a host key of its own. It behaves like OpenSSH where that
matters: a command is a real process in a session of its own, and when the connection goes the process loses
its pipes and nothing else: it may run on. That is what fencing is for. Answers nothing about suites or
leases.
"""

import asyncio
import os
import signal
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import asyncssh

USER = "netci"
CHUNK = 64 * 1024
_MARK = "NETCI_PRACTICE_HOST"


class _Door(asyncssh.SSHServer):
    """Keeps count of the connections, so that they can be cut."""

    def __init__(self, host: "PracticeHost") -> None:
        self._host = host
        self._link: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._link = conn
        self._host.links.add(conn)
        if self._host.stalled:
            _reading(conn, False)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._link:
            self._host.links.discard(self._link)

    def begin_auth(self, username: str) -> bool:
        return True


@dataclass(frozen=True)
class _Pipes:
    """Our ends of a command's pipes."""

    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader


@dataclass(eq=False)
class PracticeHost:
    """One host. `commands` counts the commands it was asked to run, `root` is its home folder. `env` is what its
    commands find besides in their environment.

    `refuse`, `stall`, `wrong_key`, `die` begin a trouble; `accept`, `unstall`, `right_key`, `revive` end it.
    """

    name: str
    root: Path
    authorized: str
    env: Mapping[str, str] = field(default_factory=dict)
    commands: int = 0
    port: int = 0
    links: set[asyncssh.SSHServerConnection] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._keys = [asyncssh.generate_private_key("ssh-ed25519") for _ in range(2)]
        self._mark = f"{_MARK}={uuid.uuid4().hex}"
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._cut_after_commands: int | None = None
        self._cut_after_bytes: int | None = None
        self._children: set[asyncio.subprocess.Process] = set()

    @property
    def address(self) -> str:
        return f"{USER}@127.0.0.1:{self.port}"

    @property
    def known_hosts_line(self) -> str:
        """The line that makes a client believe this host."""
        public = self._keys[0].export_public_key().decode().strip()
        return f"[127.0.0.1]:{self.port} {public}"

    async def accept(self, key: int = 0) -> None:
        """Listen (again), always on the same port."""
        if self._acceptor is None:
            self._acceptor = await asyncssh.listen(
                "127.0.0.1", self.port, reuse_address=True, encoding=None,
                server_factory=lambda: _Door(self), process_factory=self._serve,
                server_host_keys=[self._keys[key]],
                authorized_client_keys=asyncssh.import_authorized_keys(self.authorized),
                password_auth=False, kbdint_auth=False, host_based_auth=False, gss_host=None,
                allow_scp=False, agent_forwarding=False, keepalive_interval=0,
            )  # fmt: skip
            self.port = self._acceptor.get_port()

    async def refuse(self) -> None:
        """Listen no more; connections that are open stay open."""
        if self._acceptor is not None:
            self._acceptor.close()
            await self._acceptor.wait_closed()
            self._acceptor = None

    @property
    def stalled(self) -> bool:
        return not self._flowing.is_set()

    def stall(self) -> None:
        """Say nothing and take nothing from now on, on connections that stay open, as a hung machine does."""
        self._flowing.clear()
        for link in self.links:
            _reading(link, False)

    def unstall(self) -> None:
        self._flowing.set()
        for link in self.links:
            _reading(link, True)

    def cut(self) -> None:
        """Break every open connection, as a pulled cable would."""
        for link in list(self.links):
            link.abort()

    def cut_after(self, *, commands: int | None = None, bytes: int | None = None) -> None:
        """Break the connections once, when so many more commands have begun or so many more bytes were said."""
        self._cut_after_commands, self._cut_after_bytes = commands, bytes

    async def wrong_key(self) -> None:
        """Come back with another host key, as somebody in between would."""
        await self.refuse()
        self.cut()
        await self.accept(key=1)

    async def right_key(self) -> None:
        await self.refuse()
        self.cut()
        await self.accept()

    async def die(self) -> None:
        """Lose power: no listener, no connection, no process."""
        await self.refuse()
        self.cut()
        while pids := self.processes():
            for pid in pids:
                _kill(pid)
            await asyncio.sleep(0.005)

    async def revive(self) -> None:
        await self.accept()

    def processes(self) -> list[int]:
        """The processes alive on this host: all that it ever started and all that those started."""
        mark = self._mark.encode()
        return [pid for pid, environ in _environments() if mark in environ.split(b"\0")]

    async def close(self) -> None:
        self.unstall()
        await self.die()
        for child in list(self._children):
            await child.wait()

    async def _serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Run one command for one channel, until the command is over or the channel is gone."""
        self.commands += 1
        if self._spent("_cut_after_commands", 1):
            self.cut()
            return
        await self._flowing.wait()
        async with _piped() as (inside, pipes):
            child = await self._spawn(process.command or "", inside)
            self._children.add(child)
            async with asyncio.TaskGroup() as group:
                over = group.create_task(self._converse(process, child, pipes))
                gone = group.create_task(process.channel.wait_closed())
                await asyncio.wait((over, gone), return_when=asyncio.FIRST_COMPLETED)
                over.cancel()
                gone.cancel()

    async def _spawn(self, command: str, inside: tuple[int, int, int]) -> asyncio.subprocess.Process:
        name, _, value = self._mark.partition("=")
        env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.root), "USER": USER, name: value}
        env |= self.env
        try:
            return await asyncio.create_subprocess_exec(
                "/bin/sh", "-c", command, cwd=self.root, env=env, start_new_session=True,
                stdin=inside[0], stdout=inside[1], stderr=inside[2],
            )  # fmt: skip
        finally:
            for end in inside:
                os.close(end)

    async def _converse(
        self, process: asyncssh.SSHServerProcess[bytes], child: asyncio.subprocess.Process, pipes: _Pipes
    ) -> None:
        code: int | None = None
        try:
            async with asyncio.TaskGroup() as group:
                feeding = group.create_task(self._feed(process.stdin, pipes.stdin))
                async with asyncio.TaskGroup() as saying:
                    saying.create_task(self._say(pipes.stdout, process.stdout))
                    saying.create_task(self._say(pipes.stderr, process.stderr))
                code = await child.wait()
                await self._flowing.wait()
                feeding.cancel()
        except* (asyncssh.Error, OSError):
            # The channel went first; the command, if it lives, is nobody's now.
            code = None
        if code is not None and code >= 0:
            process.exit(code)
        elif code is not None:
            process.exit_with_signal(signal.Signals(-code).name[3:])

    async def _feed(self, source: asyncssh.SSHReader[bytes], sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(CHUNK):
                await self._flowing.wait()
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            pass
        finally:
            sink.close()

    async def _say(self, source: asyncio.StreamReader, sink: asyncssh.SSHWriter[bytes]) -> None:
        while data := await source.read(CHUNK):
            await self._flowing.wait()
            if self._spent("_cut_after_bytes", len(data)):
                self.cut()
                return
            sink.write(data)
            await sink.drain()

    def _spent(self, budget: str, amount: int) -> bool:
        """Take from a budget; true once, when it is used up."""
        left: int | None = getattr(self, budget)
        if left is None:
            return False
        setattr(self, budget, left - amount if left >= amount else None)
        return left < amount


@dataclass(frozen=True)
class Fleet:
    """Several hosts, and what a client needs to reach them: a key that only its owner can read, and host
    keys.
    """

    hosts: tuple[PracticeHost, ...]
    key_file: Path
    known_hosts: Path

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(host.address for host in self.hosts)


@asynccontextmanager
async def served_hosts(
    n: int = 2, folder: Path | None = None, env: Mapping[str, str] | None = None
) -> AsyncIterator[Fleet]:
    """Serve `n` hosts on loopback, their homes in `folder` (or a folder that is removed at the end).

    At the end every process that a host ever started is ended, whatever session it fled to.
    """
    asyncssh.set_log_level("WARNING")
    async with AsyncExitStack() as stack:
        home = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="netci-hosts-")))
        key = asyncssh.generate_private_key("ssh-ed25519")
        authorized = key.export_public_key().decode()
        homes = [home / f"host{number}" for number in range(1, n + 1)]
        hosts = [await _served(stack, one, authorized, env or {}) for one in homes]
        key_file, known_hosts = home / "id_ed25519", home / "known_hosts"
        key_file.touch(mode=0o600)
        key_file.write_bytes(key.export_private_key())
        known_hosts.write_text("".join(f"{host.known_hosts_line}\n" for host in hosts))
        yield Fleet(tuple(hosts), key_file, known_hosts)


async def _served(stack: AsyncExitStack, root: Path, authorized: str, env: Mapping[str, str]) -> PracticeHost:
    root.mkdir(parents=True, exist_ok=True)
    host = PracticeHost(root.name, root, authorized, env)
    await host.accept()
    stack.push_async_callback(host.close)
    return host


@asynccontextmanager
async def _piped() -> AsyncIterator[tuple[tuple[int, int, int], _Pipes]]:
    """Three pipes: the child's ends as descriptors, ours as streams that are closed at the end.

    asyncio's own pipes cannot be let go while the child lives, which is just what a lost connection does.
    """
    loop = asyncio.get_running_loop()
    (stdin, ours), (out, stdout), (err, stderr) = os.pipe(), os.pipe(), os.pipe()
    readers, transports = [], []
    for end in (out, err):
        reader = asyncio.StreamReader(limit=CHUNK)
        protocol = partial(asyncio.StreamReaderProtocol, reader)
        transport, _ = await loop.connect_read_pipe(protocol, os.fdopen(end, "rb", 0))
        readers.append(reader)
        transports.append(transport)
    sink, flow = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, os.fdopen(ours, "wb", 0))
    writer = asyncio.StreamWriter(sink, flow, None, loop)
    try:
        yield (stdin, stdout, stderr), _Pipes(writer, readers[0], readers[1])
    finally:
        for one in (*transports, sink):
            one.close()


def _reading(link: asyncssh.SSHServerConnection, wanted: bool) -> None:
    """Stop or go on hearing the client: asyncssh has no word for it, and would answer keep-alives for a hung
    host.
    """
    transport = link._transport
    if transport is not None and not transport.is_closing() and transport.is_reading() is not wanted:
        transport.resume_reading() if wanted else transport.pause_reading()


def _environments() -> Iterator[tuple[int, bytes]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                yield int(folder.name), (folder / "environ").read_bytes()
            except OSError:
                continue


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
