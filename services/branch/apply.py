"""One series settled: which tree it is for, and whether it applies there as a whole.

Theory of operation. `SeriesArrived` enqueues work of kind `apply`, one row a series. Whoever claims it tries the
candidate trees in the order of `choice`, keeps git's log as a blob, and writes one row of branch.applied for the
revision. An applied series is not announced here: its row waits, unpublished, until `publish` has confirmed its ref
at the remote. A series that applies nowhere is announced at once. A series that was changed, superseded or
withdrawn meanwhile leaves no trace.

It refuses to know who asks, what is tested, and what a branch is.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from services.branch import store as table
from services.branch.choice import Attempt, Choice, choices, settled_reason
from services.branch.letters import letters, named_commits, pull_address, shown, shown_all
from services.branch.repos import Repos, committer, series_target
from services.branch.store import SQL, Series, Settled
from services.branch.trees import Trees
from shared.blobs.record import keep
from shared.db.outbox import stage
from shared.db.pool import Connection
from shared.db.work import Postpone, Work, enqueue, settle
from shared.errors import Missing, Refused, Transient
from shared.events import SeriesRefused
from shared.floor import Floor
from shared.formats.validate import validate
from shared.git.apply import NotApplied, apply_series
from shared.git.merge import Conflict, merge
from shared.git.pulls import check_paths, fetch_pull
from shared.git.refs import series_ref
from shared.git.store import Store
from shared.model.ids import SeriesId, Sha
from shared.net import Reach
from shared.settings import Project

log = structlog.get_logger(__name__)

_COMMITS_SHOWN = 1000
_PULL_PATIENCE = timedelta(hours=6)
_LOG_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class _Bench:
    """All that trying one series needs: where, on what, in whose name, at what time."""

    store: Store
    project: Project
    heads: dict[str, Sha]
    now: datetime


@dataclass(frozen=True, slots=True)
class _Tried:
    """One tree tried: what goes into the attempts, and the row it would make."""

    attempt: Attempt
    settled: Settled
    log: str


class Applying:
    """Does the work of kind `apply`."""

    def __init__(self, floor: Floor, repos: Repos, trees: Trees, reach: Reach | None = None) -> None:
        self._floor = floor
        self._repos = repos
        self._trees = trees
        self._reach = reach or Reach(floor.settings.outgoing.allow_private)
        self._pulling = asyncio.Lock()

    async def __call__(self, work: Work) -> None:
        pool = self._floor.pool
        one = await table.series(pool, SeriesId(int(work.key)))
        if one is None or not self._ours(one) or await self._stands(one, work):
            async with settle(pool, work):
                return
        try:
            how, said = await self._settle(one)
        except (Transient, OSError) as exc:
            raise Postpone(_wait(one, self._floor.clock()), str(exc)) from exc
        how = replace(how, log=await keep(self._floor, said[-_LOG_LIMIT:].encode("utf-8", "replace")) if said else "")
        async with settle(pool, work) as conn:
            if await table.still_wanted(conn, one):
                await self._record(conn, one, how)

    def _ours(self, one: Series) -> bool:
        return one.state == "active" and bool(one.trees) and one.project in self._floor.settings.projects

    async def _stands(self, one: Series, work: Work) -> bool:
        """Whether this revision is settled already, and nobody asked to try it again."""
        row = await self._floor.pool.fetchrow(SQL["applied"], one.id, one.revision)
        if row is None:
            return False
        return row["outcome"] == "applied" or not work.payload.get("again")

    async def _record(self, conn: Connection, one: Series, how: Settled) -> None:
        before = await conn.fetchrow(SQL["applied"], one.id, one.revision)
        if not await table.record_settled(conn, one, how):
            return
        if how.applied:
            await enqueue(conn, "branch", "publish", one.project, priority=5)
        elif before is None:
            await stage(conn, "branch", _refused(one, how), now=self._floor.clock())

    async def _settle(self, one: Series) -> tuple[Settled, str]:
        project = self._floor.settings.projects[one.project]
        heads = await self._trees.heads(one.project, one.trees)
        if missing := [tree for tree in one.trees if tree in project.trees and tree not in heads]:
            raise Postpone(1, f"waiting for the first fetch of {', '.join(missing)}")
        bench = _Bench(await self._repos.store(one.project), project, heads, self._floor.clock())
        try:
            return await (self._pull(one, bench) if one.pull_url else self._patches(one, bench))
        except Refused as exc:
            return Settled("refused", shown(str(exc)), tree=one.trees[0]), str(exc)

    async def _patches(self, one: Series, bench: _Bench) -> tuple[Settled, str]:
        mails = await read_letters(self._floor, one.mbox, one.patch_ids)
        order = choices(
            [tree for tree in one.trees if tree in bench.heads],
            marked=one.marked,
            kinds={name: tree.kind for name, tree in bench.project.trees.items()},
            fixes=await _fixes(bench, one),
        )
        tried: list[_Tried] = []
        for choice in order:
            tried.append(await _try_mails(bench, choice, mails))
            if tried[-1].attempt.ok:
                break
        return _outcome(one, bench, order, tried)

    async def _pull(self, one: Series, bench: _Bench) -> tuple[Settled, str]:
        head = await self._fetch_pull(one, bench)
        await check_paths(bench.store, head, tuple(bench.heads.values()))
        order = choices(
            [tree for tree in one.trees if tree in bench.heads],
            marked=one.marked,
            kinds={name: tree.kind for name, tree in bench.project.trees.items()},
            fixes={},
        )
        tried: list[_Tried] = []
        for choice in order:
            tried.append(await _try_merge(bench, choice, head, one))
            if tried[-1].attempt.ok:
                break
        return _outcome(one, bench, order, tried)

    async def _fetch_pull(self, one: Series, bench: _Bench) -> Sha:
        """The pull request's head, under all the limits for what strangers ask us to fetch."""
        if (rules := bench.project.patchwork) is None:
            raise Refused("this project fetches no pull requests: it has no Patchwork")
        url, ref = pull_address(one.pull_url)
        if self._pulling.locked():
            # Remotes that hang would otherwise take every hand, and no other series were applied meanwhile.
            raise Postpone(2, "another pull request is being fetched")
        try:
            async with self._pulling:
                return await fetch_pull(
                    bench.store,
                    url,
                    ref,
                    allowed=rules.pull_from,
                    max_commits=rules.pull_commits,
                    max_bytes=rules.pull_bytes,
                    timeout=rules.pull_timeout.total_seconds(),
                    reach=self._reach,
                )
        except Transient as exc:
            if bench.now - one.arrived > _PULL_PATIENCE:
                raise Refused(f"the pull request could not be fetched for {_PULL_PATIENCE}: {exc}") from exc
            raise


def _wait(one: Series, now: datetime) -> float:
    """Seconds until a series is tried again that something was away for: the older it is, the longer."""
    return min(300.0, max(15.0, (now - one.arrived).total_seconds() / 10))


async def read_letters(floor: Floor, mbox: str, patch_ids: Sequence[str]) -> list[bytes]:
    """A series' patches as mails. Refused when there are none, Transient when the blobs are away."""
    if not mbox:
        raise Refused("the series has no mails")
    try:
        return letters(await floor.blobs.get(mbox), patch_ids)
    except Missing as exc:
        raise Transient(f"the series' mails are not at hand: {exc}") from exc


async def _fixes(bench: _Bench, one: Series) -> dict[str, frozenset[str]]:
    """For each commit that the series says it fixes, the candidate trees that have it."""
    found: dict[str, frozenset[str]] = {}
    for commit in named_commits(one.fixes):
        try:
            sha = await bench.store.rev_parse(commit)
        except Missing:
            found[commit] = frozenset()
            continue
        there = [tree for tree in one.trees if tree in bench.heads
                 and await bench.store.is_ancestor(sha, bench.heads[tree])]  # fmt: skip
        found[commit] = frozenset(there)
    return found


async def _try_mails(bench: _Bench, choice: Choice, mails: Sequence[bytes]) -> _Tried:
    base = bench.heads[choice.tree]
    done = await apply_series(
        bench.store,
        base,
        mails,
        committer=committer(bench.project),
        now=bench.now,
        validate=validate,
        three_way=bench.project.trees[choice.tree].three_way,
    )
    if isinstance(done, NotApplied):
        text = shown(f"patch {done.number} ({done.subject}) does not apply to {choice.tree}: {done.reason}")
        if done.already:
            text = shown(f"patch {done.number} ({done.subject}) is in {choice.tree} already")
        how = Settled("refused", text, choice.tree, base=base, already=done.already,
                      patch_number=done.number or None, files=shown_all(done.files))  # fmt: skip
        return _Tried(Attempt(choice.tree, choice.rule, False, text, base), how, done.log)
    text = "applies" + (" with a three-way merge" if done.three_way else "")
    how = Settled("applied", "", choice.tree, base=base, head=done.head, commits=done.commits)
    return _Tried(Attempt(choice.tree, choice.rule, True, text, base), how, done.log)


async def _try_merge(bench: _Bench, choice: Choice, head: Sha, one: Series) -> _Tried:
    ours = bench.heads[choice.tree]
    done = await merge(
        bench.store, ours, head, f"Merge {one.pull_url}", committer=committer(bench.project), now=bench.now
    )
    base = await bench.store.merge_base(ours, head) or ours
    if isinstance(done, Conflict):
        text = shown(f"does not merge into {choice.tree}: conflict in {', '.join(done.files[:5])}")
        how = Settled("refused", text, choice.tree, base=base, files=shown_all(done.files))
        return _Tried(Attempt(choice.tree, choice.rule, False, text, ours), how, done.log)
    if done.already:
        text = f"everything in it is in {choice.tree} already"
        how = Settled("refused", text, choice.tree, base=base, already=True)
        return _Tried(Attempt(choice.tree, choice.rule, False, text, ours), how, text)
    commits = await bench.store.subjects(head, limit=_COMMITS_SHOWN, not_in=base)
    how = Settled("applied", "", choice.tree, base=base, head=head, commits=tuple(sha for sha, _ in reversed(commits)))
    return _Tried(Attempt(choice.tree, choice.rule, True, "merges", ours), how, "")


def _outcome(one: Series, bench: _Bench, order: Sequence[Choice], tried: Sequence[_Tried]) -> tuple[Settled, str]:
    """The row for the tree that took it, or for the first candidate if none did; and the log of all tries."""
    attempts = tuple(t.attempt for t in tried)
    said = "\n".join(f"== {t.attempt.tree}: {t.attempt.text}\n{t.log}".rstrip() + "\n" for t in tried)
    if not tried:
        return Settled("refused", "none of its trees is configured here"), ""
    if tried[-1].attempt.ok:
        choice = order[len(tried) - 1]
        target = series_target(bench.project, choice.tree)
        how = replace(
            tried[-1].settled,
            tree_reason=settled_reason(choice, attempts[:-1]),
            attempts=attempts,
            ref=series_ref(one.message_id),
            public_url=target.public if target else "",
        )
        return how, said
    reason = "; ".join(attempt.text for attempt in attempts)
    settled = next((t.settled for t in tried if t.settled.already), tried[0].settled)
    return replace(settled, reason=reason, tree_reason=order[0].why, attempts=attempts), said


def _refused(one: Series, how: Settled) -> SeriesRefused:
    return SeriesRefused(
        project=one.project,
        series=one.id,
        revision=one.revision,
        message_id=one.message_id,
        reason=how.reason[:2000],
        tree=how.tree,
        patch_number=how.patch_number,
    )
