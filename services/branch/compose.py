"""A branch made: the base's head, other trees merged on top, then every series taken, in order.

The result is a function of what comes in: heads, series, mails, committer and time. So a cut that is composed again
after a crash gives the very same commit. It refuses to know where series come from, who chose them, and what becomes
of the branch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from services.branch.letters import shown, shown_all
from shared.errors import Refused
from shared.formats.validate import validate
from shared.git.apply import NotApplied, apply_series
from shared.git.merge import Conflict, merge
from shared.git.store import Store
from shared.model.ids import SeriesId, Sha
from shared.model.mails import Person

_SUSPECTS = 30


@dataclass(frozen=True, slots=True)
class Piece:
    """A series to put on: its patches as mails, or a pull request's head; `files` are those it changes."""

    id: SeriesId
    message_id: str
    title: str
    mails: tuple[bytes, ...] = field(repr=False, default=())
    pull_url: str = ""
    head: Sha | None = None
    files: frozenset[str] = frozenset()
    fault: str = ""


@dataclass(frozen=True, slots=True)
class TreeHead:
    """A tree as the branch has it."""

    name: str
    url: str
    branch: str
    head: Sha


@dataclass(frozen=True, slots=True)
class Plan:
    """What a branch is to be made of. `patches` are local mail files put on at the end."""

    tree: TreeHead
    merges: tuple[TreeHead, ...]
    pieces: tuple[Piece, ...]
    patches: tuple[Path, ...]
    committer: Person
    now: datetime


@dataclass(frozen=True, slots=True)
class MergeDone:
    """One tree merged. `state` is merged, already (nothing to do), resolved (as remembered) or conflict."""

    tree: TreeHead
    state: str
    ours: Sha
    commit: Sha
    files: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        return {"tree": self.tree.name, "url": self.tree.url, "head": self.tree.head, "state": self.state,
                "commit": self.commit, "files": list(self.files[:100])}  # fmt: skip


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A series that did not go on: the patch, the files, and the series in its way where there is one."""

    rule: str
    reason: str
    patch_number: int | None = None
    files: tuple[str, ...] = ()
    rival: SeriesId | None = None
    log: str = ""


@dataclass(frozen=True, slots=True)
class Extra:
    """One local patch: on the branch, or why not."""

    name: str
    ok: bool
    text: str

    def as_json(self) -> dict[str, object]:
        return {"name": self.name, "ok": self.ok, "text": self.text}


@dataclass(frozen=True, slots=True)
class Composed:
    """The branch: its head, the base (after merges), and what became of everything."""

    base: Sha
    commit: Sha
    merges: tuple[MergeDone, ...]
    merged: Mapping[SeriesId, Sha]
    left: Mapping[SeriesId, LeftOut]
    extras: tuple[Extra, ...]


async def compose(store: Store, plan: Plan) -> Composed:
    """Make the branch's commits. They hang in the store without a ref."""
    merges = await _merge_trees(store, plan)
    base = merges[-1].commit if merges else plan.tree.head
    head, merged, left = base, dict[SeriesId, Sha](), dict[SeriesId, LeftOut]()
    for piece in plan.pieces:
        done = await put_on(store, plan, head, piece)
        if isinstance(done, LeftOut):
            left[piece.id] = await _with_rival(store, plan, base, piece, done, merged)
        else:
            head = merged[piece.id] = done
    head, extras = await _local_patches(store, plan, head)
    return Composed(base, head, tuple(merges), merged, left, extras)


async def _merge_trees(store: Store, plan: Plan) -> list[MergeDone]:
    """Merge each tree; one that conflicts is left out, and the others are merged all the same."""
    done: list[MergeDone] = []
    ours = plan.tree.head
    for tree in plan.merges:
        message = f"Merge {tree.url} {tree.branch}\n"
        result = await merge(store, ours, tree.head, message, committer=plan.committer, now=plan.now)
        if isinstance(result, Conflict):
            done.append(MergeDone(tree, "conflict", ours, ours, shown_all(result.files)))
            continue
        state = "already" if result.already else "resolved" if result.resolved else "merged"
        done.append(MergeDone(tree, state, ours, result.commit, result.resolved))
        ours = result.commit
    return done


async def put_on(store: Store, plan: Plan, head: Sha, piece: Piece) -> Sha | LeftOut:
    """The branch's head with the whole series on it, or why it does not go on."""
    if piece.fault:
        return LeftOut("mails", piece.fault)
    if piece.pull_url:
        return await _pull(store, plan, head, piece.head, piece)
    done = await apply_series(
        store,
        head,
        piece.mails,
        committer=plan.committer,
        now=plan.now,
        validate=validate,
        skip_applied=True,
        look_back=200,
    )
    if not isinstance(done, NotApplied):
        return done.head
    number, files = done.number or None, shown_all(done.files)
    if done.already:
        text = shown(f"patch {done.number} ({done.subject}) is on the branch already")
        return LeftOut("already", text, number, files, log=done.log)
    text = f"patch {done.number} ({done.subject}) conflicts"
    text += f" in {', '.join(files[:5])}" if files else f": {done.reason}"
    return LeftOut("conflict", shown(text), number, files, log=done.log)


async def _pull(store: Store, plan: Plan, head: Sha, theirs: Sha | None, piece: Piece) -> Sha | LeftOut:
    if theirs is None:
        return LeftOut("apply", "the pull request was never fetched")
    message = f"Merge {piece.pull_url}\n\n{piece.title}\n"
    done = await merge(store, head, theirs, message, committer=plan.committer, now=plan.now)
    if isinstance(done, Conflict):
        files = shown_all(done.files)
        return LeftOut("conflict", f"the pull request conflicts in {', '.join(files[:5])}", None, files, log=done.log)
    if done.already:
        return LeftOut("already", "everything in the pull request is on the branch already")
    return done.commit


async def _with_rival(
    store: Store, plan: Plan, base: Sha, piece: Piece, left: LeftOut, merged: Mapping[SeriesId, Sha]
) -> LeftOut:
    """The same with the series named that is in the way, if it is one of this branch and not the base itself."""
    if left.rule not in ("conflict", "already"):
        return left
    alone = await put_on(store, plan, base, piece)
    if isinstance(alone, LeftOut):
        text = f"{alone.reason} with {plan.tree.name} itself" if alone.rule == "conflict" else alone.reason
        return LeftOut(alone.rule, text, alone.patch_number, alone.files, log=alone.log)
    rival = await _rival(store, plan, base, piece, left.files, [p for p in plan.pieces if p.id in merged])
    if rival is None:
        text = f"{left.reason}, with several other pending series together"
        return LeftOut("conflict", text, left.patch_number, left.files, log=left.log)
    text = f'{left.reason} with the pending series "{rival.title}" ({rival.message_id})'
    return LeftOut("conflict", text, left.patch_number, left.files, rival.id, left.log)


async def _rival(
    store: Store, plan: Plan, base: Sha, piece: Piece, files: Sequence[str], others: Sequence[Piece]
) -> Piece | None:
    """The first series of the branch after which `piece` does not go on any more.

    Asked are those that touch the files in conflict, or else any file of the series, or else all; put on the base
    one upon the other in the branch's order, as a later one may need an earlier.
    """
    near = [one for one in others if one.files & set(files)]
    far = [one for one in others if one.files & piece.files or one.pull_url]
    head = base
    for one in (near or far or others)[:_SUSPECTS]:
        done = await put_on(store, plan, head, one)
        if isinstance(done, LeftOut):
            continue
        head = done
        if isinstance(await put_on(store, plan, head, piece), LeftOut):
            return one
    return None


async def _local_patches(store: Store, plan: Plan, head: Sha) -> tuple[Sha, tuple[Extra, ...]]:
    """The operator's own patches, at the end; one that does not fit is left out and shown."""
    extras: list[Extra] = []
    for path in plan.patches:
        done = await apply_series(
            store, head, [path.read_bytes()], committer=plan.committer, now=plan.now, validate=validate
        )
        if isinstance(done, NotApplied):
            extras.append(Extra(path.name, False, shown(done.reason)))
        else:
            head = done.head
            extras.append(Extra(path.name, True, "applied"))
    return head, tuple(extras)


def local_patches(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The files that the `patches` of a stream name: files as they stand, of folders their ``*.patch`` by name.

    Raises Refused when one is not there.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(path.glob("*.patch"))
        elif path.is_file():
            found.append(path)
        else:
            raise Refused(f"patches: there is no {path}")
    return tuple(found)
