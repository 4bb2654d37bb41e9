"""A small world for the room: trees and a remote as repositories, settings that name them, series as of ingest."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.branch.repos import Repos
from services.branch.trees import Trees
from shared.blobs.record import keep
from shared.db.pool import Pool
from shared.floor import Floor
from shared.git.store import Store
from shared.model.ids import SeriesId
from shared.settings import Settings, parse
from tests.shared.git.build import a_tree, commit, git, head, lines

T0 = datetime(2026, 11, 23, 9, 1, tzinfo=UTC)


class Clock:
    """A clock that is set."""

    def __init__(self, now: datetime = T0) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **how: float) -> None:
        self.now += timedelta(**how)


@dataclass
class World:
    """Where everything is. `net` and `next` are developers' repositories behind the trees of these names."""

    folder: Path
    net: Path
    next: Path
    remote: Path
    settings: Settings
    clock: Clock
    count: int = 0
    floor: Floor = field(init=False)
    owner: Pool = field(init=False)
    repos: Repos = field(init=False)
    trees: Trees = field(init=False)

    async def store(self) -> Store:
        return await self.repos.store("netdev")

    def branches(self) -> dict[str, str]:
        """The remote's branches and their commits."""
        return _refs(self.remote, "refs/heads/")

    def tags(self) -> dict[str, str]:
        return _refs(self.remote, "refs/tags/")

    async def series(
        self,
        letters: Sequence[bytes],
        *,
        name: str = "",
        files: Sequence[str] = (),
        trees: Sequence[str] = ("next",),
        **more: object,
    ) -> SeriesId:
        """A series as ingest would record it; `more` are columns of ingest.series. Message ids are ours."""
        self.count += 1
        name = name or f"series-{self.count}"
        ids = [f"{name}-{n}@example.org" for n in range(1, len(letters) + 1)]
        mbox = b"".join(_in_mbox(letter, ident) for letter, ident in zip(letters, ids, strict=True))
        columns: dict[str, object] = {
            "project": "netdev",
            "source": "patchwork",
            "external_id": self.count,
            "message_id": f"{name}@example.org",
            "subject": name,
            "title": name,
            "total": len(letters),
            "received": len(letters),
            "state": "active",
            "trees": list(trees),
            "arrived": T0 - timedelta(hours=1) + timedelta(seconds=self.count),
            "mbox": await keep(self.floor, mbox) if letters else None,
        } | more
        series = await self._insert("ingest.series", columns)
        for n, ident in enumerate(ids, 1):
            patch = {"series_id": series, "number": n, "external_id": self.count * 100 + n, "message_id": ident,
                     "title": name, "files": list(files)}  # fmt: skip
            await self._insert("ingest.patches", patch)
        return SeriesId(series)

    async def _insert(self, table: str, columns: Mapping[str, object]) -> int:
        names, marks = ", ".join(columns), ", ".join(f"${n}" for n in range(1, len(columns) + 1))
        made = await self.owner.fetchval(
            f"insert into {table} ({names}) values ({marks}) returning id", *columns.values()
        )
        return int(made)

    def change(self, path: str, at: int, text: str, *, tree: str = "next", subject: str = "") -> list[bytes]:
        """One patch, as a mail, that changes line `at` of `path` in the present head of a tree."""
        repository = {"net": self.net, "next": self.next}[tree]
        base = head(repository)
        old = git(repository, "show", f"{base}:{path}").split("\n")
        old[at - 1] = text
        commit(repository, subject or f"change {path}", {path: "\n".join(old) + "\n"})
        made = git(repository, "format-patch", "--stdout", "--full-index", f"{base}..HEAD")
        git(repository, "reset", "-q", "--hard", base)
        return [made.encode("utf-8", "surrogateescape") + b"\n"]


def _in_mbox(letter: bytes, ident: str) -> bytes:
    start, _, rest = letter.partition(b"\n")
    return start + b"\nMessage-Id: <" + ident.encode() + b">\n" + rest


def _refs(folder: Path, prefix: str) -> dict[str, str]:
    text = git(folder, "for-each-ref", "--format=%(refname) %(objectname)", prefix)
    pairs = (line.split(" ") for line in text.split("\n") if line)
    return {name.removeprefix(prefix): sha for name, sha in pairs}


def a_world(folder: Path, *, every: str = "3h", stream: str = "", more: str = "") -> World:
    """Trees `net` (fixes) and `next`, which contains net, and the stream `next` that merges net."""
    net = a_tree(folder / "net")
    git(folder, "clone", "-q", str(net), str(folder / "next"))
    next_ = folder / "next"
    commit(next_, "next only", {"net/core/new.c": lines("new")})
    commit(net, "net only", {"net/core/fix.c": lines("fix")})
    remote = folder / "testing.git"
    git(folder, "init", "-q", "--bare", str(remote))
    text = f"""
        data = "{folder / "data"}"
        [disk]
        free = 0
        [projects.netdev]
        committer_name = "netci"
        committer_email = "ci@example.org"
        [projects.netdev.trees.net]
        git = "{net}"
        tags = ["net"]
        kind = "fixes"
        [projects.netdev.trees.next]
        git = "{next_}"
        tags = ["next"]
        [projects.netdev.streams.next]
        tree = "next"
        merge = ["net"]
        every = "{every}"
        push = "{remote}"
        public = "https://example.org/testing.git"
        {stream}
        {more}
    """
    return World(folder, net, next_, remote, parse(textwrap.dedent(text)), Clock())
