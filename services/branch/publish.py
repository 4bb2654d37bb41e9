"""Applied series made public: their refs pushed in batches, and only then announced.

The unpublished row is the intent; the remote is asked by the push itself, which repeats nothing that is there. One
row of work a project keeps pushes of one remote in one hand at a time.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import structlog

from services.branch.repos import Repos, Target, series_target
from services.branch.store import SQL
from shared.db.outbox import stage
from shared.db.pool import Connection, Record
from shared.db.work import Postpone, Work, enqueue, settle
from shared.errors import NetciError, Transient
from shared.events import SeriesApplied
from shared.floor import Floor
from shared.git.refs import ls_remote, push
from shared.git.store import Store
from shared.health import report_health
from shared.model.ids import Sha

log = structlog.get_logger(__name__)

BATCH = 200
_HOPELESS = 5


class Publishing:
    """Does the work of kind `publish`."""

    def __init__(self, floor: Floor, repos: Repos) -> None:
        self._floor = floor
        self._repos = repos

    async def __call__(self, work: Work) -> None:
        project = work.key
        while rows := await self._floor.pool.fetch(SQL["unpublished"], project, BATCH):
            store = await self._repos.store(project)
            present = [row for row in rows if row["wanted"] and await store.has(Sha(row["head"]))]
            elsewhere = [row for row in rows if row["wanted"] and row["young"] and row not in present]
            if len(elsewhere) == len(rows):
                # Applied by another process into its own store: that one is about to publish them.
                raise Postpone(2, "the commits are not in this store")
            stuck = await self._push(project, store, present)
            waiting = [row for row in rows if row in elsewhere or row["ref"] in stuck]
            async with self._floor.pool.acquire() as conn, conn.transaction():
                await self._settle(conn, project, [row for row in rows if row not in waiting], present)
            if stuck:
                ref, why = next(iter(stuck.items()))
                raise Postpone(15, f"{len(stuck)} refs are not taken, {ref}: {why}")
        async with settle(self._floor.pool, work):
            pass

    async def _push(self, project: str, store: Store, rows: Sequence[Record]) -> Mapping[str, str]:
        """Push the refs of `rows`; those that their remotes did not take, and why."""
        for row in rows:
            await store.set_ref(row["ref"], Sha(row["head"]))
        config = self._floor.settings.projects[project]
        groups: dict[Target, dict[str, Sha]] = defaultdict(dict)
        for row in rows:
            if target := series_target(config, row["tree"]):
                groups[target][row["ref"]] = Sha(row["head"])
        stuck: dict[str, str] = {}
        for target, refs in groups.items():
            stuck |= await _push_to(store, target, refs)
        said = "; ".join(dict.fromkeys(stuck.values())) if stuck else f"{len(rows)} refs pushed"
        await report_health(self._floor, f"push {project} series", not stuck, said, project)
        return stuck

    async def _settle(self, conn: Connection, project: str, rows: Sequence[Record], pushed: Sequence[Record]) -> None:
        """Announce what is at the remote. What is not wanted any more, or lost with its store, starts anew."""
        there = {(row["series_id"], row["revision"]) for row in pushed}
        for row in rows:
            if (row["series_id"], row["revision"]) not in there:
                await conn.execute(SQL["forget_unpublished"], row["series_id"], row["revision"])
                if row["wanted"]:
                    await enqueue(conn, "branch", "apply", str(row["series_id"]))
            elif await conn.fetchval(SQL["published"], row["series_id"], row["revision"], row["head"]):
                await stage(conn, "branch", _applied(project, row), now=self._floor.clock())


async def _push_to(store: Store, target: Target, refs: Mapping[str, Sha]) -> dict[str, str]:
    """Push together; if the remote takes only some, or none for the sake of one, the others go one by one."""
    try:
        await push(store, target.push, refs, absent=False, key=target.key)
        return {}
    except NetciError as exc:
        why = str(exc)
    try:
        there = await ls_remote(store, target.push, *refs, key=target.key)
    except Transient as exc:
        return dict.fromkeys(refs, str(exc))
    stuck = {ref: why for ref, head in refs.items() if there.get(ref) != head}
    if len(refs) > 1:
        await _one_by_one(store, target, refs, stuck)
    return stuck


async def _one_by_one(store: Store, target: Target, refs: Mapping[str, Sha], stuck: dict[str, str]) -> None:
    """Push what is `stuck` each by itself, and take out what went; given up when nothing of the first few goes."""
    refused = 0
    for ref in list(stuck):
        try:
            await push(store, target.push, {ref: refs[ref]}, absent=False, key=target.key)
            del stuck[ref]
            refused = 0
        except NetciError as exc:
            stuck[ref] = str(exc)
            refused += 1
        if refused == _HOPELESS:
            return


def _applied(project: str, row: Record) -> SeriesApplied:
    return SeriesApplied(
        project=project,
        series=row["series_id"],
        revision=row["revision"],
        message_id=row["message_id"],
        tree=row["tree"],
        base=row["base"],
        head=row["head"],
        ref=row["ref"],
        public_url=row["public_url"],
        reason=row["tree_reason"],
    )
