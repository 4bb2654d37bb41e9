"""A public-inbox archive, version 2, as git repositories: each mail once, in the order in which it was delivered.

Each commit of an epoch (``git/0.git``, ``git/1.git`` …, the newest last) holds one mail as the file ``m``, or as ``d``
one that was taken back. (Source: public-inbox-v2-format(5).) The place after any batch can be gone on from; a history
that was rewritten is read from its start again, which repeats mails and loses none.
"""

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared.errors import Refused
from shared.git.process import MIB, GitError, GitFlood, run

BATCH = 200
_LISTING = 256 * MIB
_MAILS = 64 * MIB
_TIME = 300.0
_EPOCH = re.compile(r"([0-9]{1,4})\.git")


@dataclass(frozen=True, slots=True)
class Posted:
    """One mail and when the archive received it. `raw` is None for one that is too large to be read."""

    raw: bytes | None
    received: datetime
    commit: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Mails, and the place after them. They are stored together or not at all."""

    mails: tuple[Posted, ...]
    place: str


class Inbox:
    """The archive at `path`: a repository of mails, or a folder of epochs. `most` bounds the bytes read at once."""

    def __init__(self, path: Path, *, most: int = _MAILS) -> None:
        self._path = path
        self._most = most

    def epochs(self) -> Sequence[tuple[str, Path]]:
        """The repositories by name, the oldest first. Raises Refused if there is none."""
        if is_repository(self._path):
            return [(self._path.name, self._path)]
        for folder in (self._path / "git", self._path):
            found = [(int(name[1]), entry) for entry in _entries(folder) if (name := _EPOCH.fullmatch(entry.name))]
            if there := sorted((number, entry) for number, entry in found if is_repository(entry)):
                return [(entry.name, entry) for _, entry in there]
        raise Refused(f"{self._path}: no public-inbox archive: neither a git repository nor a folder with git/0.git")

    async def batches(self, place: str = "", since: timedelta | None = None) -> AsyncIterator[Batch]:
        """Everything after `place`, with `since` only what was received as long ago at most."""
        stood = dict(read_place(place))
        for name, repository in self.epochs():
            commits = await _commits(repository, stood.get(name, ""), since)
            for start in range(0, len(commits), BATCH):
                part = commits[start : start + BATCH]
                mails = await self._mails(repository, part)
                stood[name] = part[-1][0]
                yield Batch(tuple(mails), json.dumps(stood, sort_keys=True))

    async def _mails(self, repository: Path, commits: Sequence[tuple[str, datetime]]) -> list[Posted]:
        """The mails of `commits`. A batch that is too large is halved, down to the one mail that is."""
        wanted = b"".join(f"{commit}:m\n".encode() for commit, _ in commits)
        try:
            ran = await run(repository, "cat-file", "--batch", stdin=wanted, timeout=_TIME, max_out=self._most)
        except GitFlood:
            if len(commits) == 1:
                return [Posted(None, commits[0][1], commits[0][0])]
            half = len(commits) // 2
            return await self._mails(repository, commits[:half]) + await self._mails(repository, commits[half:])
        raws = _contents(ran.out, len(commits))
        return [Posted(raw, at, commit) for raw, (commit, at) in zip(raws, commits, strict=True) if raw is not None]


def is_repository(path: Path) -> bool:
    """Whether `path` is a bare repository of git."""
    return (path / "HEAD").is_file() and (path / "objects").is_dir()


def read_place(place: str) -> Mapping[str, str]:
    """The newest commit that was read of each epoch. A place that is none is the beginning."""
    try:
        stood = json.loads(place) if place else {}
    except ValueError:
        return {}
    return {str(k): str(v) for k, v in stood.items()} if isinstance(stood, dict) else {}


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


async def _commits(repository: Path, after: str, since: timedelta | None) -> list[tuple[str, datetime]]:
    """Commits and when they were made, the oldest first."""
    head = await run(repository, "rev-parse", "--verify", "--quiet", "HEAD^{commit}", ok=(0, 1, 128))
    if head.rc:
        return []
    words = ["rev-list", "--reverse", "--timestamp"]
    words += [f"--since={int((datetime.now(UTC) - since).timestamp())}"] if since is not None else []
    words += [head.text, f"^{after}"] if await _is_before(repository, after, head.text) else [head.text]
    await _must_hold_mails(repository, head.text)
    ran = await run(repository, *words, timeout=_TIME, max_out=_LISTING)
    pairs = (line.split(" ", 1) for line in ran.text.splitlines())
    return [(commit, datetime.fromtimestamp(int(at), UTC)) for at, commit in pairs]


async def _is_before(repository: Path, after: str, head: str) -> bool:
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", after):
        return False
    try:
        ran = await run(repository, "merge-base", "--is-ancestor", after, head, ok=(0, 1, 128), timeout=_TIME)
    except GitError:
        return False
    return ran.rc == 0


async def _must_hold_mails(repository: Path, head: str) -> None:
    names = (await run(repository, "ls-tree", "--name-only", head)).text.splitlines()
    if not {"m", "d"} & set(names[:10]):
        raise Refused(
            f"{repository}: a git repository, and no public-inbox archive of version 2: its commits hold no m"
        )


def _contents(out: bytes, count: int) -> list[bytes | None]:
    """What cat-file wrote for each name; None where there is no such file."""
    found: list[bytes | None] = []
    at = 0
    for _ in range(count):
        end = out.index(b"\n", at)
        words = out[at:end].rsplit(b" ", 2)
        if words[-1] == b"missing":
            found.append(None)
            at = end + 1
            continue
        size = int(words[-1])
        found.append(out[end + 1 : end + 1 + size])
        at = end + 1 + size + 1
    return found
