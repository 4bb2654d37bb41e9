"""Files to and from a host, as commands that any host with sh, tar and head can run.

Answers which words carry a file or a folder. Refuses SFTP (one more server to trust on a machine that ran
hostile code) and takes nothing back but one regular file at a time, by length.
"""

import asyncio
import io
import tarfile
from collections.abc import AsyncIterable, AsyncIterator, Collection
from datetime import timedelta
from pathlib import Path, PurePosixPath

from services.executor.drivers.base import Command, shell

LIMIT = timedelta(minutes=30)
"""The longest a transfer may take: a whole kernel tree over a slow line."""
PIECE = 256 * 1024


def command_to_unpack(tar: AsyncIterable[bytes], to: PurePosixPath) -> Command:
    return shell('mkdir -p "$1" && exec tar -xf - -C "$1"', str(to), stdin=tar)


def command_to_put(source: Path, to: PurePosixPath) -> Command:
    if source.is_dir():
        return command_to_unpack(folder(source), to)
    mode = "755" if source.stat().st_mode & 0o100 else "644"
    text = 'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"'
    return shell(text, str(to), mode, stdin=_file(source))


def command_to_get(source: PurePosixPath, limit: int) -> Command:
    """A link is refused: a test could point it at what only the login may read."""
    text = '[ -f "$1" ] && [ ! -L "$1" ] && exec head -c "$2" "$1"'
    return shell(text, str(source), str(limit), cap=limit)


async def _file(source: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(source.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece


async def folder(source: Path, leave: Collection[str] = ()) -> AsyncIterator[bytes]:
    """A tar of the folder's content, built a file at a time: a big folder is never whole in memory. What it has at its
    top by a name of `leave` is left out."""
    spool = io.BytesIO()
    with tarfile.open(fileobj=spool, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(source.rglob("*")):
            name = path.relative_to(source)
            if name.parts[0] in leave:
                continue
            await asyncio.to_thread(tar.add, path, str(name), False)
            yield _emptied(spool)
    yield _emptied(spool)


def _emptied(spool: io.BytesIO) -> bytes:
    data = spool.getvalue()
    spool.seek(0)
    spool.truncate()
    return data
