"""Telling the owners of remotes what happened to them, by events. Looks at the tables again and again.

What was told is remembered in the transaction that stages the event, so each change is told once whoever looks.
The first sight of an executor is remembered and not told: nothing has changed.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Never

import structlog

from services.report.remotes.facts import SQL, stands
from services.report.remotes.standing import WELL, Judged, Standing
from shared.db.outbox import stage
from shared.db.pool import AWAY, Connection
from shared.events import RemoteChanged
from shared.floor import Floor
from shared.settings import Settings

log = structlog.get_logger(__name__)

EVERY = 15.0
TELL_EVERY = timedelta(minutes=1)
"""At most one event of rejected submissions of a remote in this time."""
UNSEEN = timedelta(minutes=15)
"""How long a manifest may be in trouble before its remote counts as silent."""

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Watching:
    """See the module."""

    floor: Floor

    async def run(self) -> Never:
        while True:
            try:
                await self.once()
            except AWAY as exc:
                log.warning("remotes: the database is away", error=str(exc))
            await asyncio.sleep(EVERY)

    async def once(self) -> None:
        now = self.floor.clock()
        async with self.floor.pool.acquire() as conn, conn.transaction():
            await conn.execute(SQL["one_watcher"])
            await self._stand(conn, now)
            await self._rejections(conn, now)

    async def _stand(self, conn: Connection, now: datetime) -> None:
        settings = self.floor.settings
        found = await stands(conn, settings, now)
        judged = {stand.key: (stand.project, stand.judged) for stand in found}
        polled = [remote.name for remote in settings.remotes if remote.manifest]
        rows = {row["remote"]: dict(row) for row in await conn.fetch(SQL["manifests"])}
        judged |= {(name, "", ""): ("", manifest_stands(rows.get(name), now)) for name in polled}
        known = {(r["remote"], r["executor"], r["stream"]): r["standing"] for r in await conn.fetch(SQL["standings"])}
        for key, (project, new) in judged.items():
            if known.get(key) == new.standing:
                continue
            await conn.execute(SQL["set_standing"], *key, str(new.standing), now)
            if key in known:
                await stage(conn, "report", *_changes(settings, key, project, new))
                log.info("remote: changed", remote=key[0], executor=key[1], stream=key[2], standing=new.standing)
        for key in known.keys() - judged.keys():
            await conn.execute(SQL["drop_standing"], *key)

    async def _rejections(self, conn: Connection, now: datetime) -> None:
        for row in await conn.fetch(SQL["rejected"], now, TELL_EVERY.total_seconds()):
            await conn.execute(SQL["told"], row["remote"], row["upto"], now)
            text = f"{row['rejected']} submissions were not taken"
            for project in projects_of(self.floor.settings, row["remote"]):
                rejected = RemoteChanged(
                    project=project, remote=row["remote"], what="rejected", count=row["rejected"], text=text
                )
                await stage(conn, "report", rejected)


def _changes(settings: Settings, key: Key, project: str, new: Judged) -> Iterator[RemoteChanged]:
    remote, executor, stream = key
    what: Any = "recovered" if new.standing is Standing.WELL else str(new.standing)
    for name in [project] if project else projects_of(settings, remote):
        yield RemoteChanged(
            project=name, remote=remote, executor=executor, stream=stream, what=what, branch=new.branch, text=new.text
        )


def manifest_stands(row: Mapping[str, Any] | None, now: datetime) -> Judged:
    """How a remote stands whose manifest we look at."""
    if row is None or row["since"] is None or now - row["since"] < UNSEEN:
        return WELL
    return Judged(Standing.SILENT, f"its manifest has not been read since {row['since']:%Y-%m-%d %H:%M} UTC")


def projects_of(settings: Settings, remote: str) -> list[str]:
    """The projects that a remote works for; of one that nothing is expected of, all of them."""
    mine = {
        name
        for name, project in settings.projects.items()
        if any(remote == expected for stream in project.streams for expected, _ in settings.expected_on(stream))
    }
    return sorted(mine or settings.projects)
