"""The step from planned to built: gathers what compose needs, and writes down what it made.

What is recorded counts: a commit that got lost with its store is composed again and must come out the same.
"""

from dataclasses import replace

import structlog

from services.branch import store as table
from services.branch.apply import read_letters
from services.branch.compose import Composed, LeftOut, Piece, Plan, TreeHead, compose, local_patches
from services.branch.repos import Repos, committer, series_targets
from services.branch.store import SQL, Cut, Taken
from services.branch.trees import Trees
from shared.blobs.record import keep
from shared.db.pool import Connection
from shared.errors import InfraError, NetciError, Refused, Transient
from shared.floor import Floor
from shared.git.store import Store
from shared.model.ids import SeriesId, Sha

log = structlog.get_logger(__name__)


class Builder:
    """Composes planned cuts of any stream."""

    def __init__(self, floor: Floor, repos: Repos, trees: Trees) -> None:
        self._floor = floor
        self._repos = repos
        self._trees = trees

    async def build(self, cut: Cut) -> None:
        """Compose what is planned and record it, unless somebody else did meanwhile."""
        store = await self._repos.store(cut.project)
        done = await compose(store, await self._plan(cut, store))
        await store.set_ref(cut.ref, done.commit)
        logs = await self._keep_logs(done)
        async with self._floor.pool.acquire() as conn, conn.transaction():
            if await conn.fetchval(
                SQL["cut_built"], cut.id, done.base, done.commit,
                [one.as_json() for one in done.merges], [one.as_json() for one in done.extras],
            ) is None:  # fmt: skip
                return
            await self._record_series(conn, cut, done, logs)
            await self._record_conflicts(conn, cut, done)

    async def build_again(self, cut: Cut) -> bool:
        """Bring back the recorded commit after our store was lost; False if it does not come out the same."""
        store = await self._repos.store(cut.project)
        log.warning("cut: its commit is gone from the store; composing it again", commit=cut.commit)
        done = await compose(store, await self._plan(cut, store))
        if done.commit == cut.commit:
            await store.set_ref(cut.ref, done.commit)
        return done.commit == cut.commit

    async def _plan(self, cut: Cut, store: Store) -> Plan:
        project = self._floor.settings.projects[cut.project]
        stream = project.streams[cut.stream]
        await self._have_heads(cut, store)
        rows = await table.taken(self._floor.pool, cut.id)
        return Plan(
            tree=self._tree(cut, cut.tree),
            merges=tuple(self._tree(cut, name) for name in stream.merge if name in cut.heads),
            pieces=tuple([await self._piece(cut, store, row) for row in rows]),
            patches=local_patches(stream.patches),
            committer=committer(project),
            now=cut.planned,
        )

    async def _have_heads(self, cut: Cut, store: Store) -> None:
        trees = self._floor.settings.projects[cut.project].trees
        for name, head in cut.heads.items():
            try:
                await store.fetch_commit(trees[name].git, head)
            except KeyError:
                raise InfraError(f"{cut.name} was planned with tree {name}, which is not configured now") from None
            except NetciError as exc:
                raise Transient(f"{name}: {head} cannot be fetched: {exc}") from exc

    def _tree(self, cut: Cut, name: str) -> TreeHead:
        tree = self._floor.settings.projects[cut.project].trees[name]
        return TreeHead(name, tree.git, tree.branch, cut.heads[name])

    async def _piece(self, cut: Cut, store: Store, row: Taken) -> Piece:
        """A series as compose takes it. One whose mails cannot be read is carried along with its fault."""
        piece = Piece(row.id, row.message_id, row.title, pull_url=row.pull_url, files=row.files)
        if row.pull_url:
            return await self._pull(cut, store, row, piece)
        try:
            return replace(piece, mails=tuple(await read_letters(self._floor, row.mbox, row.patch_ids)))
        except Refused as exc:
            return replace(piece, fault=str(exc))

    async def _pull(self, cut: Cut, store: Store, row: Taken, piece: Piece) -> Piece:
        """A pull request's head comes from our own published ref when the store has lost it, never from its author."""
        head = Sha(row.head)
        for target in series_targets(self._floor.settings.projects[cut.project]):
            if not await store.has(head):
                await store.fetch_commit(target.push, head, key=target.key)
        changed = await store.changed_paths(row.base, head)
        return replace(piece, head=head, files=frozenset(changed))

    async def _keep_logs(self, done: Composed) -> dict[SeriesId, str]:
        return {
            series: await keep(self._floor, left.log.encode("utf-8", "replace"))
            for series, left in done.left.items()
            if left.log
        }

    async def _record_series(self, conn: Connection, cut: Cut, done: Composed, logs: dict[SeriesId, str]) -> None:
        for series, commit in done.merged.items():
            await conn.execute(SQL["merged"], cut.id, series, commit)
        for series, left in done.left.items():
            await conn.execute(SQL["left_out"], cut.id, series, *_row(left), logs.get(series))

    async def _record_conflicts(self, conn: Connection, cut: Cut, done: Composed) -> None:
        """Only the stream's latest conflicts are for a person to settle."""
        await conn.execute(SQL["clear_conflicts"], cut.project, cut.stream)
        for one in done.merges:
            if one.state == "conflict":
                await conn.execute(
                    SQL["record_conflict"], cut.project, cut.stream, one.tree.name, one.ours, one.tree.head,
                    list(one.files),
                )  # fmt: skip


def _row(left: LeftOut) -> tuple[str, str, int | None, list[str], SeriesId | None]:
    return left.rule, left.reason, left.patch_number, list(left.files[:200]), left.rival
