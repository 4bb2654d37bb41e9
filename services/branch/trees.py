"""The trees as they are now: fetched on their cadence, and at once when somebody needs them fresh.

A head is recorded, and `TreeMoved` staged, only after its commit is in our store. It refuses to know what is built
on the trees. Old objects stay: a series that was applied last week is still based on them.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Never

import structlog

from services.branch import store as table
from services.branch.repos import Repos
from services.branch.store import SQL
from shared.db.bells import bell_of_tree
from shared.db.outbox import stage
from shared.db.pool import AWAY
from shared.errors import NetciError, Transient
from shared.events import TreeMoved
from shared.floor import Floor
from shared.git.store import Store
from shared.health import report_health
from shared.model.ids import Sha
from shared.settings import Tree

log = structlog.get_logger(__name__)

HOOK_REST = 2.0
"""Seconds between two fetches of a tree, however many hooks call."""
PATIENCE = 600.0
"""Seconds that one fetch may take; the first of a kernel tree is the longest."""


class Trees:
    """The trees of all projects of this process."""

    def __init__(self, floor: Floor, repos: Repos) -> None:
        self._floor = floor
        self._repos = repos
        self._locks: dict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def run(self, number: int) -> Never:
        """Fetch every tree on its cadence. Only who holds the lease does."""
        async with asyncio.TaskGroup() as group:
            for project, config in self._floor.settings.projects.items():
                for name, tree in config.trees.items():
                    group.create_task(self._follow(project, name, tree))
            await asyncio.Event().wait()
        raise AssertionError("trees are followed for ever")

    async def _follow(self, project: str, name: str, tree: Tree) -> Never:
        every = tree.fetch.total_seconds()
        trouble, bell = 1.0, bell_of_tree(project, name)
        while True:
            seen = self._floor.bells.count(bell)
            try:
                fetched = await self.refresh(project, name)
            except AWAY as exc:
                log.warning("tree: the database or the disk is away", tree=name, error=str(exc))
                fetched = False
            # Not the whole cadence after a failure: series may wait for the first fetch.
            trouble = 1.0 if fetched else min(every, trouble * 2)
            wait = every if fetched else trouble
            # A hook may call for the next look, but not for more than one in a while.
            await asyncio.sleep(rest := min(HOOK_REST, wait))
            await self._floor.bells.wait(bell, seen, wait - rest)

    async def refresh(self, project: str, name: str, patience: float = PATIENCE) -> bool:
        """Fetch one tree and record where it is now; False, and its health says why, when that did not work.

        `patience` is in seconds.
        """
        tree = self._floor.settings.projects[project].trees[name]
        title = f"tree {project}/{name}"
        try:
            async with self._turn(project, name, patience):
                head = await self._fetch(project, name, tree, patience)
                await self._record(project, name, head)
        except NetciError as exc:
            log.warning("tree: not fetched", project=project, tree=name, error=str(exc))
            await report_health(self._floor, title, False, str(exc), project)
            return False
        await report_health(self._floor, title, True, f"at {head[:12]}", project)
        return True

    @asynccontextmanager
    async def _turn(self, project: str, name: str, patience: float) -> AsyncIterator[None]:
        """One fetch of a tree at a time. Transient where another's, of a remote that hangs, outlasts our patience."""
        lock = self._locks[project, name]
        try:
            async with asyncio.timeout(patience):
                await lock.acquire()
        except TimeoutError:
            raise Transient(f"another fetch of {name} has not ended for {patience:g} s") from None
        try:
            yield
        finally:
            lock.release()

    async def _fetch(self, project: str, name: str, tree: Tree, patience: float) -> Sha:
        store = await self._repos.store(project)
        return await store.fetch_branch(tree.git, tree.branch, tree_ref(name), timeout=patience)

    async def _record(self, project: str, name: str, head: Sha) -> None:
        async with self._floor.pool.acquire() as conn, conn.transaction():
            before = await conn.fetchval(SQL["lock_tree"], project, name) or ""
            await conn.execute(SQL["record_tree"], project, name, head)
            if before != head:
                moved = TreeMoved(project=project, tree=name, head=head, before=before)
                await stage(conn, "branch", moved, now=self._floor.clock())

    async def heads(self, project: str, names: Collection[str]) -> dict[str, Sha]:
        """The recorded heads of these of a project's trees, each present in our store; trees never fetched lack.

        Another process may have recorded a head that this one's store does not have yet, and a store may have
        been deleted: then it is fetched by its id. Raises Transient when that does not work now.
        """
        known = self._floor.settings.projects[project].trees
        recorded = await table.heads(self._floor.pool, project)
        heads = {name: head for name, head in recorded.items() if name in known and name in names}
        store = await self._repos.store(project)
        for name, head in heads.items():
            await self._have(store, known[name], name, head)
        return heads

    @staticmethod
    async def _have(store: Store, tree: Tree, name: str, head: Sha) -> None:
        if await store.has(head):
            return
        try:
            await store.fetch_branch(tree.git, tree.branch, tree_ref(name), timeout=PATIENCE)
            await store.fetch_commit(tree.git, head, timeout=PATIENCE)
        except NetciError as exc:
            raise Transient(f"{name}: its head {head} cannot be fetched: {exc}") from exc


def tree_ref(name: str) -> str:
    """Where a tree's head is kept in our store."""
    return f"refs/netci/trees/{name}"
