"""What is old goes: branches and refs of series at our remotes; only those that we made and nobody moved since."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Never

import structlog

from services.branch.repos import Repos, Target, series_target, stream_target
from services.branch.store import SQL
from shared.errors import NetciError
from shared.floor import Floor
from shared.git.refs import delete_remote, ls_remote
from shared.health import report_health
from shared.settings import Project

log = structlog.get_logger(__name__)

_EVERY = 3600.0
_PACK_EVERY = 24


class Retention:
    """Prunes every project's remotes, once an hour."""

    def __init__(self, floor: Floor, repos: Repos) -> None:
        self._floor = floor
        self._repos = repos

    async def run(self, number: int) -> Never:
        turn = 0
        while True:
            await self.prune()
            turn += 1
            # Not at the start, when trees are fetched and the store is written most: packing takes away folders
            # of loose objects, and git does not bear that at the moment it wants to write into one.
            if turn % _PACK_EVERY == 0:
                await self._pack()
            await asyncio.sleep(_EVERY)

    async def prune(self) -> None:
        """Delete what its time is over for. A remote that is away is asked again next time."""
        for project, config in self._floor.settings.projects.items():
            troubles = [text async for text in self._project(project, config)]
            for text in troubles:
                log.warning("retention: not done", project=project, error=text)
            await report_health(self._floor, f"retention {project}", not troubles, "; ".join(troubles), project)

    async def _project(self, project: str, config: Project) -> AsyncIterator[str]:
        """Prune each remote of a project, whatever became of the others; says what went wrong."""
        now, keep = self._floor.clock(), self._floor.settings.keep
        for stream, table in config.streams.items():
            try:
                await self._branches(project, stream, stream_target(table), now - keep.branches)
            except NetciError as exc:
                yield str(exc)
        for name in config.trees:
            try:
                if target := series_target(config, name):
                    await self._series(project, target, now - keep.series_refs)
            except NetciError as exc:
                yield str(exc)

    async def _branches(self, project: str, stream: str, target: Target, before: datetime) -> None:
        """Delete old branches. One that somebody moved is not ours any more and stays."""
        rows = await self._floor.pool.fetch(SQL["old_cuts"], project, stream, before)
        if not rows:
            return
        store = await self._repos.store(project)
        there = await ls_remote(store, target.push, f"refs/heads/{stream}-*", key=target.key)
        ours = {f"refs/heads/{row['name']}": row for row in rows}
        same = [ref for ref, row in ours.items() if there.get(ref) == row["commit"]]
        await delete_remote(store, target.push, same, key=target.key)
        await store.delete_refs(f"refs/netci/cuts/{row['id']}" for row in rows)
        for ref, row in ours.items():
            moved = ref in there and ref not in same
            note = "somebody moved it at the remote; it was left there" if moved else ""
            await self._floor.pool.execute(SQL["cut_pruned"], row["id"], note)

    async def _series(self, project: str, target: Target, before: datetime) -> None:
        rows = await self._floor.pool.fetch(SQL["old_refs"], project, target.public, before)
        refs = [row["ref"] for row in rows]
        if not refs:
            return
        store = await self._repos.store(project)
        await delete_remote(store, target.push, refs, key=target.key)
        await store.delete_refs(refs)
        await self._floor.pool.execute(SQL["refs_pruned"], project, refs, before)

    async def _pack(self) -> None:
        for project in self._floor.settings.projects:
            try:
                await (await self._repos.store(project)).maintain()
            except NetciError as exc:
                log.warning("retention: the store was not packed", project=project, error=str(exc))
