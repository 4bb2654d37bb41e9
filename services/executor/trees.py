"""The executor's own git store: branches fetched by commit id, handed out as tar files.

The store may be deleted at any time. A commit is looked for in the branch room's store on this machine first, then
at the branch's public address; what comes is checked to be that commit, by name of its content.
"""

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from shared.errors import InfraError, NetciError
from shared.git.process import run
from shared.git.store import Store
from shared.model.ids import Sha

_CHUNK = 1 << 20


class Trees:
    """Commits of one project."""

    def __init__(self, data: Path, project: str) -> None:
        self._near = data / "git" / f"{project}.git"
        self._tars = data / "executor" / "tars"
        self.store = Store(data / "executor" / "git" / f"{project}.git")
        self._fetching = asyncio.Lock()

    async def fetch(self, commit: str, public_url: str) -> Sha:
        """Have `commit` here. Raises InfraError if it is nowhere to be had."""
        # One at a time: what the first brings, the next one need not.
        async with self._fetching:
            return await self._fetch(Sha(commit), public_url)

    async def _fetch(self, sha: Sha, public_url: str) -> Sha:
        await self.store.ensure()
        if await self.store.has(sha):
            return sha
        faults = []
        for source in self._sources(public_url):
            try:
                return await self.store.fetch_commit(source, sha)
            except NetciError as exc:
                faults.append(f"{source}: {exc}")
        raise InfraError(f"commit {sha[:12]} cannot be had: {'; '.join(faults) or 'no source is configured'}")

    def _sources(self, public_url: str) -> list[str]:
        near = [str(self._near)] if self._near.is_dir() else []
        return near + ([public_url] if public_url else [])

    @asynccontextmanager
    async def tar(self, commit: str, paths: Sequence[str]) -> AsyncIterator[int]:
        """The commit's files below `paths` (all if empty) as an uncompressed tar: an open file for `chunks`.

        Raises InfraError if the commit has none of `paths`.
        """
        there = [entry.path for entry in await self.store.ls(Sha(commit), *paths)] if paths else []
        if paths and not there:
            # Without a path, git would hand out everything.
            raise InfraError(f"commit {commit[:12]} has nothing below {', '.join(paths)}")
        file = await self._archive(commit, there)
        try:
            yield file
        finally:
            os.close(file)

    async def _archive(self, commit: str, paths: Sequence[str]) -> int:
        self._tars.mkdir(parents=True, exist_ok=True)
        _sweep(self._tars)
        fd, name = tempfile.mkstemp(prefix="tree-", suffix=".tar", dir=self._tars)
        os.close(fd)
        try:
            await run(self.store.path, "archive", "--format=tar", f"--output={name}", commit, "--", *paths, timeout=600)
            return os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        finally:
            # It has no name while it is used, so that nothing of it stays if we are killed.
            os.unlink(name)


def _sweep(folder: Path) -> None:
    """Remove what a process left that was killed while git wrote."""
    for file in folder.glob("tree-*.tar"):
        with contextlib.suppress(FileNotFoundError):
            if file.stat().st_mtime < time.time() - 3600:
                file.unlink()


async def chunks(file: int) -> AsyncIterator[bytes]:
    """The open file from its beginning, in pieces of a mebibyte; several may read it at once."""
    offset = 0
    while data := os.pread(file, _CHUNK, offset):
        offset += len(data)
        yield data
