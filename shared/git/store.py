"""A bare repository of one process: what commits, trees and refs it has, and how it comes by more.

A store is a cache. Whatever is in it came from a remote, or from mails that are kept elsewhere, and can be had
again, so the folder may be deleted at any time; only the remembered conflict resolutions live outside it. It
refuses to know what a series, a tree or a stream is.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from shared.errors import InfraError, Missing, Refused, Transient
from shared.git.names import check_ref, check_sha
from shared.git.objects import CommitInfo, Entry, Objects
from shared.git.process import TRUSTED, GitError, GitTimeout, SshKey, run
from shared.model.ids import Sha

__all__ = ["ABSENT", "FETCH", "CommitInfo", "Entry", "Store"]

ABSENT = ""
"""In place of an expected commit: the ref must not exist."""

# Only for reading another store on this machine, which belongs to another room's user: git would not read it.
_NEIGHBOUR = "[safe]\n\tdirectory = *\n[core]\n\thooksPath = /dev/null\n"

_OWNER = "netci.owner"
FETCH = ("fetch", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules", "--quiet")


class Store(Objects):
    """The bare repository at `path`. Resolutions of conflicts are kept in `rr_cache`, which outlives it."""

    def __init__(self, path: Path, *, rr_cache: Path | None = None) -> None:
        super().__init__(path)
        self.rr_cache = (rr_cache or path.with_name(path.name + ".rr-cache")).absolute()
        self._owner: int | None = None

    # Making and mending

    async def ensure(self) -> None:
        """Make the store, or mend what a kill, a full disk or a careless hand left of it.

        The first `Store` of a path holds it until its process ends and clears what a killed one left: locks,
        temporary folders, refs that point at nothing. A store that cannot be mended is made anew, empty.
        """
        self._claim()
        alone = self._own()
        if alone:
            self._sweep()
        if not await self._whole():
            if alone:
                self._wipe()
            await self._init()
        (self.path / "netci.gitconfig").write_text(_NEIGHBOUR)
        self._link_resolutions()

    def close(self) -> None:
        """Let another process own the store."""
        if self._owner is not None:
            os.close(self._owner)
            self._owner = None

    def _claim(self) -> None:
        """What is mended may be emptied: never a folder that somebody else made."""
        self.path.mkdir(parents=True, exist_ok=True)
        if any(self.path.iterdir()) and not (self.path / _OWNER).exists():
            raise InfraError(f"{self.path} is in the way: not empty, and not a store of ours")

    def _own(self) -> bool:
        if self._owner is not None:
            return False
        lock = os.open(self.path / _OWNER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._owner = lock
        return True

    def _sweep(self) -> None:
        """Nobody else works here: every lock is a dead process's, every temporary file is rubbish."""
        shutil.rmtree(self.path / "netci", ignore_errors=True)
        for rubbish in self.path.glob("fast_import_crash_*"):
            rubbish.unlink(missing_ok=True)
        for pattern in ("*.lock", "refs/**/*.lock", "objects/pack/tmp_*", "objects/pack/*.lock"):
            for rubbish in self.path.glob(pattern):
                rubbish.unlink(missing_ok=True)

    def _wipe(self) -> None:
        for child in self.path.iterdir():
            if child.name == _OWNER:
                continue
            if child.is_dir() and not child.is_symlink():
                shutil.rmtree(child, ignore_errors=True)
            else:
                child.unlink(missing_ok=True)

    async def _init(self) -> None:
        await run(None, "init", "--bare", "--quiet", "--template=", "--", str(self.path), cwd=self.path)

    async def _whole(self) -> bool:
        """Whether git reads the store, and every ref of it leads to a tree."""
        if not (self.path / "refs").is_dir():
            return False
        try:
            heads = await self.refs()
            if not heads:
                return True
            asked = "".join(f"{sha}^{{tree}}\n" for sha in sorted(set(heads.values())))
            answer = await self.git("cat-file", "--batch-check=%(objecttype)", stdin=asked.encode())
        except GitError:
            return False
        return set(answer.text.split("\n")) == {"tree"}

    def _link_resolutions(self) -> None:
        """git knows one place for them, inside the repository; a link lets them outlive it."""
        self.rr_cache.mkdir(parents=True, exist_ok=True)
        link = self.path / "rr-cache"
        if link.is_symlink() and link.resolve() == self.rr_cache.resolve():
            return
        if link.is_symlink():
            link.unlink()
        elif link.is_dir():
            shutil.rmtree(link)
        link.symlink_to(self.rr_cache)

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder inside the store for one command's files; gone afterwards, or at the next start."""
        parent = self.path / "netci"
        parent.mkdir(exist_ok=True)
        path = Path(tempfile.mkdtemp(dir=parent))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    async def maintain(self, timeout: float = 3600) -> None:
        """Pack loose objects. Never prunes: a commit that no ref holds yet may be about to be published."""
        await self.git("maintenance", "run", "--quiet", "--task=loose-objects", timeout=timeout)
        await self.git("maintenance", "run", "--quiet", "--task=incremental-repack", timeout=timeout)
        await self.git("pack-refs", "--all", timeout=timeout)

    # Coming by commits

    async def fetch_branch(
        self, url: str, branch: str, into_ref: str, *, timeout: float = 600, key: SshKey | None = None
    ) -> Sha:
        """Make `into_ref` what `branch` is at `url` now, and say which commit that is.

        Refused when there is no such branch, Transient when the remote does not answer in `timeout` seconds.
        """
        source = check_ref(branch if branch.startswith("refs/") else f"refs/heads/{branch}")
        await self._fetch(url, f"+{source}:{check_ref(into_ref)}", timeout, key)
        return await self.rev_parse(into_ref)

    async def fetch_commit(
        self,
        url: str | Path,
        sha: Sha,
        *,
        timeout: float = 600,
        key: SshKey | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> Sha:
        """Get the commit `sha`, by its id, from a remote or from a store on this machine; check that we have it.

        Without contact when it is already here. `Missing` when the remote does not have it. `settings` are git's.
        """
        check_sha(sha)
        if not await self.has(sha):
            await self._fetch(str(url), sha, timeout, key, settings)
        if not await self.has(sha):
            raise Missing(f"{url} gave something, but not commit {sha}")
        return sha

    async def _fetch(
        self,
        url: str,
        refspec: str,
        timeout: float,
        key: SshKey | None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        env = {"GIT_CONFIG_GLOBAL": str(self.path / "netci.gitconfig"), **(key.environment() if key else {})}
        try:
            await run(
                self.path, *FETCH, "--", url, refspec,
                env=env, settings=settings, protocols=TRUSTED, timeout=timeout, leash=True,
            )  # fmt: skip
        except GitTimeout as error:
            raise Transient(f"fetching from {url}: {error}") from error
        except GitError as error:
            raise _fetch_failure(url, error) from error

    # Refs

    async def refs(self, prefix: str = "refs/") -> dict[str, Sha]:
        """Our refs below `prefix` (which ends in a slash, or is one ref) and the objects they name."""
        ran = await self.git("for-each-ref", "--format=%(objectname) %(refname)", "--", prefix)
        pairs = (line.partition(" ") for line in ran.text.split("\n") if line)
        return {ref: Sha(sha) for sha, _, ref in pairs}

    async def set_ref(self, ref: str, sha: Sha, *, expect: str | None = None) -> None:
        """Make `ref` name `sha`. With `expect` Refused unless it names that now, or (`ABSENT`) does not exist."""
        check_sha(sha)
        old = [] if expect is None else [expect or "0" * 40]
        ran = await self.git("update-ref", "--no-deref", check_ref(ref), sha, *old, ok=(0, 1, 128))
        if ran.rc and ("but expected" in ran.err or "already exists" in ran.err or "unable to resolve" in ran.err):
            raise Refused(f"{ref} is not what was expected", ref=ref)
        if ran.rc:
            raise GitError(("update-ref", ref), ran.rc, ran.err)

    async def delete_refs(self, refs: Iterable[str]) -> None:
        """Delete refs; those that do not exist are no matter."""
        lines = "".join(f"delete {check_ref(ref)}\n" for ref in refs)
        if lines:
            await self.git("update-ref", "--no-deref", "--stdin", stdin=lines.encode())

    @staticmethod
    def temporary_ref() -> str:
        """A name for a ref that lives no longer than one command."""
        return f"refs/netci/tmp/{secrets.token_hex(8)}"


def _fetch_failure(url: str, error: GitError) -> Exception:
    """What a failed fetch means: nothing there by that name, or a remote that is away."""
    said = error.stderr
    if "couldn't find remote ref" in said:
        return Refused(f"{url}: {said.strip()[-300:]}")
    if "not our ref" in said or "unadvertised object" in said:
        return Missing(f"{url}: {said.strip()[-300:]}")
    return Transient(f"fetching from {url} failed: {said.strip()[-500:] or error}")
