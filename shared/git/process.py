"""One git command as a child process: the only place of the project that starts git.

Answers with what the command printed, or says how it failed. It decides the child's whole environment (nothing of
ours leaks in), its time, and how much it may print; it refuses to know what any command means.
"""

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from shared.errors import InfraError

TRUSTED = "https:http:git:ssh:file"
"""Protocols for addresses that an operator wrote into the configuration."""

MIB = 1 << 20
_ERR_CAP = 32 << 10

# A patch, a fetched tree and the machine's own configuration must none of them choose what git executes.
_SETTINGS: Mapping[str, str] = {
    "core.hooksPath": "/dev/null",
    "core.attributesFile": "/dev/null",
    "core.excludesFile": "/dev/null",
    "core.fsmonitor": "false",
    "core.quotePath": "true",
    "credential.helper": "",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "fetch.recurseSubmodules": "false",
    "submodule.recurse": "false",
    "protocol.version": "2",
    "rerere.enabled": "true",
    "rerere.autoUpdate": "true",
    "transfer.advertiseSID": "false",
    "i18n.commitEncoding": "UTF-8",
}

_ENVIRONMENT: Mapping[str, str] = {
    "LC_ALL": "C",
    "TZ": "UTC",
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "/bin/false",
    "SSH_ASKPASS": "/bin/false",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_EDITOR": "/bin/false",
    "GIT_PAGER": "cat",
}

# What an operator may set for the whole service and git needs to reach a remote.
_PASSED = ("PATH", "SSH_AUTH_SOCK", "https_proxy", "http_proxy", "no_proxy", "HTTPS_PROXY", "NO_PROXY", "TMPDIR")


class GitError(InfraError):
    """A git command failed."""

    def __init__(self, command: Sequence[str], rc: int, stderr: str, text: str = "") -> None:
        self.command, self.rc, self.stderr = tuple(command), rc, stderr
        said = stderr.strip()[-2000:] or "it said nothing"
        super().__init__(text or f"git {command[0] if command else ''} ended with {rc}: {said}")


class GitTimeout(GitError):
    """A git command took longer than it may, and was killed with all its children."""


class GitFlood(GitError):
    """A git command printed more than it may, and was killed with all its children."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a finished command left: exit code, standard output, standard error (32 KiB of both its ends)."""

    rc: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """Standard output as text without the last newline; bytes that are not UTF-8 survive as surrogates."""
        return self.out.decode("utf-8", "surrogateescape").removesuffix("\n")


@dataclass(frozen=True, slots=True)
class SshKey:
    """The key for a remote over ssh. Without `known_hosts` the user's own file is asked; never an unknown host."""

    path: Path
    known_hosts: Path | None = None

    def environment(self) -> dict[str, str]:
        """The variable that makes git use exactly this key, without ever asking a person."""
        words = ["ssh", "-i", str(self.path), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
        words += ["-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=15"]
        if self.known_hosts:
            words += ["-o", f"UserKnownHostsFile={self.known_hosts}"]
        return {"GIT_SSH_COMMAND": shlex.join(words), "GIT_SSH_VARIANT": "ssh"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a command that a stranger feeds may use: bytes in one file, bytes of address space."""

    file_bytes: int
    memory_bytes: int = 4 << 30


@cache
def _tool(name: str) -> str:
    found = shutil.which(name)
    if not found:
        raise InfraError(f"{name} is not installed")
    return found


def environment(
    gitdir: Path | None, settings: Mapping[str, str], protocols: str, extra: Mapping[str, str]
) -> dict[str, str]:
    """The whole environment of a git command: ours, a few passed variables, and nothing else of the caller's."""
    env = {name: os.environ[name] for name in _PASSED if name in os.environ}
    env.update(_ENVIRONMENT)
    env["GIT_ALLOW_PROTOCOL"] = protocols
    if gitdir:
        env["GIT_DIR"] = str(gitdir)
    merged = {**_SETTINGS, **settings}
    env["GIT_CONFIG_COUNT"] = str(len(merged))
    for i, (key, value) in enumerate(merged.items()):
        env[f"GIT_CONFIG_KEY_{i}"], env[f"GIT_CONFIG_VALUE_{i}"] = key, value
    return {**env, **extra}


def _command(args: Sequence[str], leash: bool, limits: Limits | None) -> list[str]:
    words: list[str] = []
    if leash:
        # A fetch must not go on after its room was killed: it would hold locks that the next start removes.
        words += [_tool("setpriv"), "--pdeathsig", "KILL", "--"]
    if limits:
        words += [_tool("prlimit"), f"--fsize={limits.file_bytes}", f"--as={limits.memory_bytes}", "--core=0", "--"]
    return [*words, _tool("git"), *args]


async def run(
    gitdir: Path | None,
    *args: str,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
    protocols: str = "",
    timeout: float = 60,
    ok: Container[int] = (0,),
    max_out: int = 64 * MIB,
    cwd: Path | None = None,
    leash: bool = False,
    limits: Limits | None = None,
) -> Ran:
    """Run ``git args`` on the repository `gitdir` and wait for its end, at most `timeout` seconds.

    `protocols` are those that git may use, colon-separated, none by default. `settings` are git configuration for
    this command only, `env` variables on top of ours. An exit code not in `ok` is a `GitError`, as are more than
    `max_out` bytes printed and time running out; then, and when the caller is cancelled, the whole process group
    is killed. With `leash` the command also dies with the thread that started it.
    """
    process = await asyncio.create_subprocess_exec(
        *_command(args, leash, limits),
        stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(gitdir, settings or {}, protocols, env or {}),
        cwd=cwd or gitdir or "/",
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout):
            ran = await _attend(process, args, stdin, max_out)
    except TimeoutError:
        raise GitTimeout(args, -signal.SIGKILL, "", f"git {args[0]} took longer than {timeout:g} s") from None
    finally:
        await _end(process)
    if ran.rc not in ok:
        raise GitError(args, ran.rc, ran.err)
    return ran


async def _attend(process: asyncio.subprocess.Process, args: Sequence[str], stdin: bytes, max_out: int) -> Ran:
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.TaskGroup() as group:
        out = group.create_task(_all(process, process.stdout, max_out))
        err = group.create_task(_ends(process.stderr, _ERR_CAP))
        if process.stdin:
            group.create_task(_feed(process.stdin, stdin))
    rc = await process.wait()
    printed = out.result()
    if printed is None:
        raise GitFlood(args, rc, "", f"git {args[0]} printed more than {max_out} bytes")
    return Ran(rc, printed, err.result().decode("utf-8", "replace"))


async def _feed(pipe: asyncio.StreamWriter, data: bytes) -> None:
    """Write all; a child that has read enough and closed its end is no error of ours, its exit code speaks."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        pipe.write(data)
        await pipe.drain()
    pipe.close()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        await pipe.wait_closed()


async def _all(process: asyncio.subprocess.Process, stream: asyncio.StreamReader, cap: int) -> bytes | None:
    """Everything up to the end; None, and the command killed, as soon as it is more than `cap` bytes."""
    parts: list[bytes] = []
    size = 0
    while part := await stream.read(1 << 18):
        parts.append(part)
        size += len(part)
        if size > cap:
            _kill(process)
            return None
    return b"".join(parts)


async def _ends(stream: asyncio.StreamReader, cap: int) -> bytes:
    """The first and the last `cap` bytes; what is between is dropped, so that the child never waits for us."""
    first, last = bytearray(), bytearray()
    while part := await stream.read(1 << 16):
        room = cap - len(first)
        first += part[:room]
        last = (last + part[room:])[-cap:] if room < len(part) else last
    return bytes(first + last)


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


async def _end(process: asyncio.subprocess.Process) -> None:
    """No child and no grandchild of this command is left, whatever happened."""
    if process.returncode is None:
        _kill(process)
        await asyncio.shield(process.wait())
    transport: asyncio.SubprocessTransport = process._transport  # type: ignore[attr-defined]
    transport.close()
