"""The executor's own git store: branches fetched by commit id, handed out as tar files.

The store may be deleted at any time. A commit is looked for in the branch room's store on this machine first, then
at the branch's public address; what comes is checked to be that commit, by name of its content.
"""

import tempfile
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
        self.store = Store(data / "executor" / "git" / f"{project}.git")

    async def fetch(self, commit: str, public_url: str) -> Sha:
        """Have `commit` here. Raises InfraError if it is nowhere to be had."""
        await self.store.ensure()
        sha = Sha(commit)
        if await self.store.has(sha):
            return sha
        faults = []
        for source in self._sources(public_url):
            try:
                return await self.store.fetch_commit(source, sha)
            except NetciError as exc:
                faults.append(f"{source}: {exc}")
        raise InfraError(f"commit {commit[:12]} cannot be had: {'; '.join(faults) or 'no source is configured'}")

    def _sources(self, public_url: str) -> list[str]:
        near = [str(self._near)] if self._near.is_dir() else []
        return near + ([public_url] if public_url else [])

    @asynccontextmanager
    async def tar(self, commit: str, paths: Sequence[str]) -> AsyncIterator[Path]:
        """The commit's files below `paths` (all if empty) as an uncompressed tar, gone at the end."""
        with tempfile.TemporaryDirectory(prefix="netci-tree-") as folder:
            file = Path(folder) / "tree.tar"
            there = [entry.path for entry in await self.store.ls(Sha(commit), *paths)] if paths else []
            await run(self.store.path, "archive", "--format=tar", f"--output={file}", commit, "--", *there, timeout=600)
            yield file


async def chunks(file: Path) -> AsyncIterator[bytes]:
    """The file in pieces of a mebibyte."""
    with file.open("rb") as source:
        while data := source.read(_CHUNK):
            yield data
