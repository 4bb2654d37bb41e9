"""What a repository holds: commits, trees and files, read by name. It refuses to know how they came there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from shared.errors import Missing
from shared.git.names import check_sha
from shared.git.process import Limits, Ran, run
from shared.model.ids import Sha, is_sha
from shared.model.mails import Person


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """One commit: its ids, who wrote it and who made it (both in UTC), and its message."""

    sha: Sha
    tree: Sha
    parents: tuple[Sha, ...]
    author: Person
    authored: datetime
    committer: Person
    committed: datetime
    message: str

    @property
    def subject(self) -> str:
        """The first line of the message."""
        return self.message.partition("\n")[0]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a tree: git's octal mode, blob, tree or commit, its id, and the path from the root."""

    mode: str
    kind: str
    sha: Sha
    path: str


class Objects:
    """The objects of the repository at `path`, to be read."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    async def git(
        self,
        *args: str,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        timeout: float = 60,
        ok: Sequence[int] = (0,),
        max_out: int = 64 << 20,
        limits: Limits | None = None,
    ) -> Ran:
        """Run a command of this package on the store, without any access to a remote."""
        return await run(
            self.path, *args, stdin=stdin, env=env, settings=settings, timeout=timeout, ok=ok, max_out=max_out,
            limits=limits,
        )  # fmt: skip

    async def has(self, sha: Sha) -> bool:
        """Whether the commit and its tree are here."""
        check_sha(sha)
        ran = await self.git("cat-file", "-e", f"{sha}^{{tree}}", ok=(0, 1, 128))
        return ran.rc == 0

    async def rev_parse(self, name: str) -> Sha:
        """The commit that `name` means; `Missing` when there is none."""
        ran = await self.git(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", ok=(0, 1, 128)
        )
        if ran.rc or not is_sha(ran.text):
            raise Missing(f"the store has no commit {name!r}")
        return Sha(ran.text)

    async def subjects(self, head: str, *, limit: int = 1000, not_in: str | None = None) -> list[tuple[Sha, str]]:
        """Commit ids and subjects of the newest `limit` commits of `head`, newest first, without those of `not_in`."""
        without = [f"^{not_in}"] if not_in else []
        ran = await self.git(
            "log", f"-{limit}", "-z", "--format=%H %s", "--no-show-signature", "--end-of-options", head, *without, "--"
        )
        lines = (line.partition(" ") for line in ran.text.split("\0") if line)
        return [(Sha(sha), subject) for sha, _, subject in lines]

    async def read_blob(self, commit: str, path: str, *, max_bytes: int = 64 << 20) -> bytes:
        """The contents of a file of a commit; `Missing` when there is no such file."""
        ran = await self.git("cat-file", "blob", "--end-of-options", f"{commit}:{path}", ok=(0, 128), max_out=max_bytes)
        if ran.rc:
            raise Missing(f"{commit} has no file {path!r}")
        return ran.out

    async def ls(self, commit: str, *paths: str, recursive: bool = False) -> list[Entry]:
        """Entries of a commit's tree: the root's, or those named by `paths`; a path ending in / lists that folder.

        Paths that are not there are left out. `recursive` descends into every folder and names only its files.
        """
        flags = ["-r"] if recursive else []
        ran = await self.git("ls-tree", "-z", "--full-tree", *flags, "--", commit, *paths)
        return [_entry(line) for line in ran.text.split("\0") if line]

    async def changed_paths(self, old: str, new: str) -> tuple[str, ...]:
        """The files in which two commits differ, sorted."""
        ran = await self.git("diff-tree", "-r", "-z", "--name-only", "--no-renames", "--end-of-options", old, new)
        return tuple(sorted(path for path in ran.text.split("\0") if path))

    async def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `newer` contains `older`; a commit contains itself."""
        ran = await self.git("merge-base", "--is-ancestor", "--end-of-options", older, newer, ok=(0, 1))
        return ran.rc == 0

    async def merge_base(self, one: str, other: str) -> Sha | None:
        """The best common ancestor, or None for histories that have nothing in common."""
        ran = await self.git("merge-base", "--end-of-options", one, other, ok=(0, 1))
        return Sha(ran.text) if ran.rc == 0 else None

    async def commit_info(self, name: str) -> CommitInfo:
        """What a commit says about itself; `Missing` when there is none."""
        sha = await self.rev_parse(name)
        form = "%H%n%T%n%P%n%an%n%ae%n%at%n%cn%n%ce%n%ct%n%B"
        ran = await self.git("log", "-1", f"--format={form}", "--no-show-signature", sha, "--")
        return _commit_info(ran.text)

    async def count(self, head: str, *, not_in: Sequence[str] = (), limit: int = 1_000_000) -> int:
        """How many commits `head` has that none of `not_in` has; counts no further than `limit`."""
        without = [f"^{name}" for name in not_in]
        ran = await self.git("rev-list", "--count", f"--max-count={limit}", "--end-of-options", head, *without, "--")
        return int(ran.text)

    async def archive(self, commit: str, *paths: str, max_bytes: int = 2 << 30, timeout: float = 300) -> bytes:
        """A tar file of the commit's tree, or of some paths of it, with the commit id in its header."""
        ran = await self.git("archive", "--format=tar", commit, "--", *paths, timeout=timeout, max_out=max_bytes)
        return ran.out


def _entry(line: str) -> Entry:
    facts, _, path = line.partition("\t")
    mode, kind, sha = facts.split()
    return Entry(mode, kind, Sha(sha), path)


def _commit_info(text: str) -> CommitInfo:
    sha, tree, parents, an, ae, at, cn, ce, ct, message = text.split("\n", 9)
    return CommitInfo(
        Sha(sha),
        Sha(tree),
        tuple(Sha(parent) for parent in parents.split()),
        Person(an, ae),
        datetime.fromtimestamp(int(at), UTC),
        Person(cn, ce),
        datetime.fromtimestamp(int(ct), UTC),
        message,
    )
