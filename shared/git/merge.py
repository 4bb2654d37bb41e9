"""Two histories joined: a merge commit, or the conflict; conflicts that a person settled once stay settled.

`git merge-tree` merges in memory, but knows nothing of remembered resolutions (git-rerere(1)). So only in a
conflict its stages are put into an index of their own, the files in conflict into a folder of their own, and
`git rerere` is asked. The same small work tree is what a person gets to settle a conflict that it doesn't know.
It refuses to know what is merged and why, and whether a conflict is anybody's fault.
"""

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from shared.errors import Refused
from shared.git.index import IndexEntry, pack_index, unpack_index
from shared.git.names import check_sha
from shared.git.process import run
from shared.git.store import Store
from shared.git.touched import is_plain
from shared.model.ids import Sha, is_sha
from shared.model.mails import Person

_REGULAR = ("100644", "100755")
_IMAGES = ("preimage", "postimage", "thisimage")


@dataclass(frozen=True, slots=True)
class Stage:
    """One side of a file in conflict: `number` 1 the common ancestor, 2 ours, 3 theirs."""

    mode: str
    sha: Sha
    number: int
    path: str


@dataclass(frozen=True, slots=True)
class Merged:
    """The merge commit. `resolved` are files whose conflict was settled by a remembered resolution.

    `already` says that ours contained theirs, so there was nothing to do and `commit` is ours.
    """

    commit: Sha
    resolved: tuple[str, ...] = ()
    already: bool = False


@dataclass(frozen=True, slots=True)
class Conflict:
    """What could not be merged: the files, their stages, git's words, and the tree with conflict markers in it."""

    files: tuple[str, ...]
    stages: tuple[Stage, ...]
    log: str
    tree: Sha


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a person's work tree taught: files now remembered, and files that still have conflict markers."""

    files: tuple[str, ...]
    remaining: tuple[str, ...]


async def merge(
    store: Store, ours: Sha, theirs: Sha, message: str, *, committer: Person, now: datetime
) -> Merged | Conflict:
    """Merge `theirs` into `ours` as a commit of two parents, even where ours could have been moved forward.

    The commit hangs in the store without a ref. GitError when the two have no common history.
    """
    check_sha(ours)
    if await store.merge_base(ours, theirs) == check_sha(theirs):
        return Merged(ours, already=True)
    found = await _merge_tree(store, ours, theirs)
    clash = found if isinstance(found, Conflict) else None
    tree = await _settle(store, ours, found) if isinstance(found, Conflict) else found
    if clash and not tree:
        return clash
    assert tree is not None
    commit = await _commit(store, tree, (ours, theirs), message, committer, now)
    return Merged(commit, clash.files if clash else ())


async def _merge_tree(store: Store, ours: Sha, theirs: Sha) -> Sha | Conflict:
    ran = await store.git("merge-tree", "--write-tree", "-z", "--messages", ours, theirs, ok=(0, 1), timeout=300)
    tree, *rest = ran.text.split("\0")
    if ran.rc == 0:
        return Sha(tree)
    end = rest.index("")
    stages = tuple(_stage(line) for line in rest[:end])
    files = tuple(dict.fromkeys(stage.path for stage in stages))
    return Conflict(files, stages, _messages(rest[end + 1 :]), Sha(tree))


def _stage(line: str) -> Stage:
    facts, _, path = line.partition("\t")
    mode, sha, number = facts.split(" ")
    return Stage(mode, Sha(sha), int(number), path)


def _messages(fields: Sequence[str]) -> str:
    """git writes, for each message, how many paths it is about, these, its kind, and the text."""
    texts, at = [], 0
    while at < len(fields) and fields[at].isdigit():
        at += int(fields[at]) + 2
        texts.append(fields[at].strip())
        at += 1
    return "\n".join(texts)


async def _commit(
    store: Store, tree: Sha, parents: Iterable[Sha], message: str, committer: Person, now: datetime
) -> Sha:
    when = f"@{int(now.timestamp())} +0000"
    name, email = committer.name or committer.email, committer.email
    env = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
           for what, value in (("NAME", name), ("EMAIL", email), ("DATE", when))}  # fmt: skip
    words = [word for parent in parents for word in ("-p", parent)]
    text = message.rstrip("\n") + "\n"
    ran = await store.git("commit-tree", tree, *words, stdin=text.encode("utf-8", "replace"), env=env)
    return Sha(ran.text)


# Remembered resolutions


async def _settle(store: Store, ours: Sha, conflict: Conflict) -> Sha | None:
    """The tree in which every conflict is settled as before, or None when one of them is new."""
    if not conflict.stages or _beyond_rerere(conflict):
        return None
    with store.scratch() as folder:
        known = _remembered(store)
        left = await _rerere(store, ours, conflict, folder)
        _forget_unsettled(store, known)
        return None if left else await _with_files(store, conflict.tree, folder)


def _beyond_rerere(conflict: Conflict) -> list[str]:
    """Files that are no text on both sides, or whose name must not be made a file: nobody can settle these here."""
    sides: dict[str, set[int]] = {}
    for stage in conflict.stages:
        if stage.mode in _REGULAR:
            sides.setdefault(stage.path, set()).add(stage.number)
    return [
        path
        for path in conflict.files
        if not {2, 3} <= sides.get(path, set()) or not is_plain(path.encode("utf-8", "surrogateescape"))
    ]


async def _rerere(store: Store, ours: Sha, conflict: Conflict, folder: Path) -> tuple[str, ...]:
    """Make the small work tree in `folder`, settle what is remembered, and say which files are left."""
    _attach(store, ours, folder)
    rows = [IndexEntry(os.fsencode(s.path), s.number, int(s.mode, 8), s.sha) for s in conflict.stages]
    (folder / ".git" / "index").write_bytes(pack_index(rows))
    for path in conflict.files:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(await store.read_blob(conflict.tree, path))
    await _in(folder, "rerere")
    entries = unpack_index((folder / ".git" / "index").read_bytes())
    return tuple(dict.fromkeys(os.fsdecode(entry.path) for entry in entries if entry.stage))


def _attach(store: Store, ours: Sha, folder: Path) -> None:
    """A repository of its own that borrows everything but its index from the store, as `git worktree` makes them."""
    gitdir = folder / ".git"
    gitdir.mkdir(parents=True)
    (gitdir / "HEAD").write_text(f"{ours}\n")
    (gitdir / "commondir").write_text(f"{store.path}\n")


async def _in(folder: Path, *args: str) -> str:
    gitdir = folder / ".git"
    ran = await run(gitdir, *args, env={"GIT_WORK_TREE": str(folder), "GIT_LITERAL_PATHSPECS": "0"}, cwd=folder)
    return ran.text


async def _with_files(store: Store, tree: Sha, folder: Path) -> Sha:
    """`tree` with the files of the small index in place of its own."""
    entries = unpack_index((folder / ".git" / "index").read_bytes())
    env = {"GIT_INDEX_FILE": str(folder / ".git" / "whole")}
    await store.git("read-tree", tree, env=env)
    lines = b"".join(b"%o %s 0\t%s\0" % (e.mode, e.sha.encode(), e.path) for e in entries)
    await store.git("update-index", "-z", "--index-info", stdin=lines, env=env)
    return Sha((await store.git("write-tree", env=env)).text)


def _remembered(store: Store) -> Mapping[str, bool]:
    """The conflicts that are known by name, and whether each is settled."""
    return {path.name: any(path.glob("postimage*")) for path in store.rr_cache.iterdir() if path.is_dir()}


def _forget_unsettled(store: Store, before: Mapping[str, bool]) -> None:
    """rerere notes every conflict it meets; those of mere attempts, which nobody will settle, would pile up."""
    for name, settled in _remembered(store).items():
        if not settled and name not in before:
            shutil.rmtree(store.rr_cache / name, ignore_errors=True)


async def prepare_conflict(store: Store, ours: Sha, theirs: Sha, into: Path) -> Conflict | None:
    """Give a person the files in conflict, with markers, in the new folder `into`; None when none is left.

    There `git diff` shows the sides. Once the markers are gone, `record_resolution` remembers. Refused when the
    folder is not empty, or when a file is deleted or no text on one side, which cannot be remembered.
    """
    if into.exists() and any(into.iterdir()):
        raise Refused(f"{into} is not empty")
    found = await _merge_tree(store, check_sha(ours), check_sha(theirs))
    if not isinstance(found, Conflict):
        return None
    if beyond := _beyond_rerere(found) or ([] if found.stages else ["(the folders)"]):
        raise Refused(f"cannot be settled file by file: {', '.join(beyond)}: {found.log}")
    left = await _rerere(store, ours, found, into)
    if not left:
        shutil.rmtree(into)
        return None
    stages = tuple(stage for stage in found.stages if stage.path in left)
    return Conflict(left, stages, found.log, found.tree)


async def record_resolution(store: Store, worktree: Path) -> Recorded:
    """Remember how the files of a folder made by `prepare_conflict` were settled; Refused for any other folder."""
    common = worktree / ".git" / "commondir"
    if not common.is_file() or common.read_text().strip() != str(store.path):
        raise Refused(f"{worktree} was not made by this store")
    before = await _open(worktree)
    await _in(worktree, "rerere")
    after = await _open(worktree)
    return Recorded(tuple(path for path in before if path not in after), after)


async def _open(worktree: Path) -> tuple[str, ...]:
    return tuple(line for line in (await _in(worktree, "rerere", "status")).split("\n") if line)


def import_rr_cache(store: Store, path: Path) -> int:
    """Take over the resolutions of somebody's `rr-cache` folder; what is known already stays. Returns how many came."""
    taken = 0
    for source in sorted(path.iterdir()):
        target = store.rr_cache / source.name
        images = [file for file in source.iterdir() if _is_image(file)] if _is_conflict(source) else []
        if any(file.name.startswith("postimage") for file in images) and not any(target.glob("postimage*")):
            target.mkdir(parents=True, exist_ok=True)
            for file in images:
                (target / file.name).write_bytes(file.read_bytes())
            taken += 1
    return taken


def _is_conflict(path: Path) -> bool:
    return is_sha(path.name) and path.is_dir() and not path.is_symlink()


def _is_image(path: Path) -> bool:
    """git numbers further resolutions of one conflict: preimage.1, postimage.1."""
    kind, _, variant = path.name.partition(".")
    return kind in _IMAGES and (not variant or variant.isdigit()) and path.is_file() and not path.is_symlink()
