"""A git server that a stranger's pull request names, and that never comes to an end: in as many ways as there are.

One listener for all; the path that is asked for says which way. It listens on an address of its own, so that a
netci may be allowed to reach this one and none of its neighbours.
"""

import asyncio
import os
import subprocess
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from shared.practice.tree import git
from tests.support.programs import program
from tests.support.rabbitmq import free_port

HOST = "127.7.7.1"
NETWORK = "127.7.7.0/24"
COMMITS, BYTES, SECONDS = 20, 2 << 20, 6
"""What one pull request may bring, and how long it may take."""

_TIP = b"a" * 40
_REFS = b"%s refs/heads/main\0side-band-64k ofs-delta\n" % _TIP

Way = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def _line(content: bytes) -> bytes:
    return b"%04x%s" % (len(content) + 4, content)


async def _say(writer: asyncio.StreamWriter, content: bytes) -> None:
    """A thousand times a second is endless enough, and leaves time for those who wait."""
    writer.write(content)
    await writer.drain()
    await asyncio.sleep(0.001)


async def _silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        pass


async def _trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Refs, each a sound one, a byte at a time."""
    number = 0
    while True:
        number += 1
        for byte in _line(b"%s refs/heads/%d\n" % (_TIP, number)):
            await _say(writer, bytes([byte]))
            await asyncio.sleep(0.05)


async def _bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Four zeroes are the end of a list of refs, here of an empty one."""
    while True:
        await _say(writer, b"0" * 65536)


async def _noise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await _say(writer, bytes(range(128, 256)) * 512)


async def _refs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    number = 0
    while True:
        number += 1
        await _say(writer, b"".join(_line(b"%s refs/heads/%d-%d\n" % (_TIP, number, n)) for n in range(100)))


async def _asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The ref is there; what is wanted is heard, and that we have none of what they have.

    git offers what it has in portions, and wants an answer to each: how many there are depends on what was applied
    before.
    """
    await _say(writer, _line(_REFS) + b"0000")
    ends = 0
    while (line := await _heard(reader)) != b"done\n":
        ends += not line
        if not line and ends > 1:
            await _say(writer, _line(b"NAK\n"))
    await _say(writer, _line(b"NAK\n"))


async def _heard(reader: asyncio.StreamReader) -> bytes:
    """One of git's lines, "" at the end of a portion."""
    length = int(await reader.readexactly(4), 16)
    return await reader.readexactly(length - 4) if length else b""


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """News of how it counts its objects, and never an object."""
    await _asked(reader, writer)
    number = 0
    while True:
        number += 1
        await _say(writer, _line(b"\x02Counting objects: %d\r" % number) * 200)


async def _pack(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A pack that is sound in every byte: one file of a tebibyte."""
    await _asked(reader, writer)
    packer = zlib.compressobj(0)
    # An object's head: its kind (blob) and size, seven bits a byte after the first four.
    size, head = (1 << 40) >> 4, bytearray([0x80 | 3 << 4])
    while size:
        head.append((0x80 if size >> 7 else 0) | (size & 0x7F))
        size >>= 7
    await _say(writer, _line(b"\x01PACK\0\0\0\2\0\0\0\1" + bytes(head)))
    while True:
        if part := packer.compress(bytes(32768)) + packer.flush(zlib.Z_FULL_FLUSH):
            await _say(writer, _line(b"\x01" + part))


TIME = f"did not come to an end within {SECONDS} s"

WAYS: Mapping[str, tuple[Way, str]] = {
    "silence": (_silence, TIME),
    "trickle": (_trickle, TIME),
    "bytes": (_bytes, "no such ref"),
    "noise": (_noise, "does not speak git's protocol"),
    "refs": (_refs, TIME),
    "talk": (_talk, TIME),
    "pack": (_pack, f"larger than {BYTES} bytes"),
}
"""By name: what the server does, and what the page must say."""


@dataclass(slots=True)
class Endless:
    port: int = 0
    daemon: int = 0
    visits: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        with suppress(OSError, asyncio.IncompleteReadError):
            await _way(await _request(reader))(reader, writer)
        writer.close()

    def allowed(self) -> list[str]:
        """The entries for the project's list."""
        return [f"{HOST}:{self.port}/", f"{HOST}:{self.daemon}/"]

    def addresses(self) -> dict[str, tuple[str, str]]:
        """By name: the address of the pull request, and what the page must answer; "" where it is taken."""
        here, real = f"git://{HOST}:{self.port}", f"git://{HOST}:{self.daemon}"
        return {
            **{name: (f"{here}/{name}/net.git main", words) for name, (_, words) in WAYS.items()},
            "silence-before-tls": (f"https://{HOST}:{self.port}/silence/net.git main", TIME),
            "too-many-commits": (f"{real}/many.git main", f"more than {COMMITS} commits"),
            "too-many-bytes": (f"{real}/heavy.git main", f"larger than {BYTES} bytes"),
            "in-bounds": (f"{real}/fair.git main", ""),
        }


async def _request(reader: asyncio.StreamReader) -> bytes:
    """git's first line; what is none, as the greeting of TLS, is as good as nothing."""
    length = await reader.readexactly(4)
    return await reader.readexactly(int(length, 16) - 4) if length.isalnum() else b""


def _way(asked: bytes) -> Way:
    """git names the repository in its first line; whoever speaks TLS meets silence."""
    name = asked.partition(b"/")[2].partition(b"/")[0].decode("ascii", "replace")
    return WAYS[name][0] if name in WAYS else _silence


@asynccontextmanager
async def endless(folder: Path) -> AsyncIterator[Endless]:
    """The listener, and git's own daemon over `folder` for what is too much and what is not."""
    one = Endless(daemon=free_port())
    server = await asyncio.start_server(one.serve, HOST, 0)
    one.port = server.sockets[0].getsockname()[1]
    daemon = await asyncio.create_subprocess_exec(
        program("git"), "daemon", f"--listen={HOST}", f"--port={one.daemon}", "--reuseaddr", "--export-all",
        f"--base-path={folder}", str(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield one
    finally:
        daemon.terminate()
        await daemon.wait()
        server.close()


def repositories(tree: Path, folder: Path) -> None:
    """What the daemon serves, made from `tree`."""
    _repository(tree, folder / "many.git", COMMITS + 5, b"a line\n")
    _repository(tree, folder / "heavy.git", 1, os.urandom(BYTES + (1 << 20)))
    _repository(tree, folder / "fair.git", COMMITS - 5, b"a line\n")


def _repository(tree: Path, path: Path, commits: int, content: bytes) -> None:
    """A copy of the tree with so many commits on its main branch, each of which adds a file."""
    git(tree, "clone", "--quiet", "--bare", "--", str(tree), str(path))
    stream = [b"reset refs/heads/main\nfrom refs/heads/main^0\n\n"]
    for number in range(commits):
        stream.append(
            b"commit refs/heads/main\ncommitter E <e@eve.example> %d +0000\ndata 4\nmore\n"
            b"M 100644 inline drivers/net/%s-%d.txt\ndata %d\n%s\n"
            % (1767225600 + number, path.stem.encode(), number, len(content), content)
        )
    git(path, "fast-import", "--quiet", stdin=b"".join(stream))
