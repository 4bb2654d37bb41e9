"""A developer's clone, which is only read: its commits are seen from a store of ours that borrows its objects.

Nothing is written into the clone, not even a lock: git is asked there for names alone. What comes into being, as
the commits of mails that are applied, goes to our store.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from shared.errors import Missing, Refused
from shared.git.process import GitError, run
from shared.git.store import Store
from shared.model.ids import Sha, is_sha

# The person who names the folder vouches for it; the user that owns it need not be ours.
_TRUST = {"safe.directory": "*"}


@dataclass(frozen=True, slots=True)
class Clone:
    """The work tree or bare repository at `path`, with `common`, where its objects and refs are."""

    path: Path
    common: Path

    async def ask(self, *argv: str, ok: tuple[int, ...] = (0,)) -> tuple[int, str]:
        ran = await run(None, *argv, cwd=self.path, settings=_TRUST, ok=ok)
        return ran.rc, ran.text

    async def upstream(self) -> str:
        """The name of the branch that the one checked out follows, "" if it follows none."""
        code, text = await self.ask("rev-parse", "--abbrev-ref", "--verify", "--quiet", "@{upstream}", ok=(0, 1, 128))
        return "" if code else text

    async def commit(self, name: str) -> Sha:
        """The commit that a person's words mean there. Raises Refused."""
        code, text = await self.ask(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", ok=(0, 1, 128)
        )
        if code or not is_sha(text):
            raise Refused(f"{self.path} has no commit {name!r}")
        return Sha(text)


async def clone_at(path: Path) -> Clone:
    """The clone that `path` is in. Raises Refused if it is in none, or in one that cannot be read as it must be."""
    if not path.is_dir():
        raise Refused(f"{path} is no folder")
    try:
        ran = await run(
            None, "rev-parse", "--path-format=absolute", "--git-common-dir", cwd=path.resolve(), settings=_TRUST
        )
    except GitError as exc:
        why = exc.stderr.strip().split("\n")[0][-200:]
        found = "" if why.startswith("fatal: not a git repository") else f" that can be read: {why}"
        raise Refused(f"{path.resolve()} is in no git repository{found}; name your clone: --tree DIR") from None
    clone = Clone(path.resolve(), Path(ran.text))
    code, partial = await clone.ask("config", "--get-regexp", r"^remote\..*\.promisor$", ok=(0, 1))
    if code == 0 and "true" in partial:
        raise Refused(f"{path} is a partial clone, which has not all files at hand; a whole clone is needed")
    return clone


async def borrow(clone: Clone, cache: Path) -> tuple[Store, Path]:
    """A store that sees the clone's objects, and the folder for work on it; both below `cache`, kept from one time
    to the next, and may be deleted at any time.
    """
    name = hashlib.sha256(str(clone.common).encode()).hexdigest()[:16]
    folder = cache / "check" / f"{clone.common.parent.name or 'clone'}-{name}"
    store = Store(folder / "store.git")
    await store.ensure()
    objects = clone.common / "objects"
    await asyncio.to_thread(_link, store.path, objects, clone.common)
    return store, folder


def _link(store: Path, objects: Path, common: Path) -> None:
    info = store / "objects" / "info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "alternates").write_text(f"{objects}\n")
    # Of a shallow clone the history ends where this file says.
    if (common / "shallow").exists():
        (store / "shallow").write_bytes((common / "shallow").read_bytes())
    else:
        (store / "shallow").unlink(missing_ok=True)


class Nothing(Refused):
    """There is no commit in a range."""


async def linear(store: Store, first: Sha, last: Sha) -> list[Sha]:
    """The commits of `last` that `first` does not have, oldest first. Raises Refused where they are not one line."""
    ran = await store.git(
        "rev-list", "--reverse", "--topo-order", "--parents", "--max-count=501", "--end-of-options", last, f"^{first}",
        "--",
    )  # fmt: skip
    rows = [line.split() for line in ran.text.split("\n") if line]
    if not rows:
        raise Nothing(f"there is no commit between {first[:12]} and {last[:12]}")
    if len(rows) > 500:
        raise Refused("more than 500 commits are not looked at: give a range of your own commits")
    if any(len(row) != 2 for row in rows):
        raise Refused("there is a merge between the commits: give a range of patches, one after another")
    if any(row[1] != before[0] for before, row in pairwise(rows)):
        raise Refused("the commits are not one after another: give a range of one line of patches")
    return [Sha(row[0]) for row in rows]


async def parent(store: Store, commit: Sha) -> Sha:
    try:
        return await store.rev_parse(f"{commit}^")
    except Missing:
        raise Refused(f"commit {commit[:12]} has no parent here to compare with") from None
