"""What the room does when it hears of something: look at the tables, and write down work. No git in here."""

from services.branch.store import SQL
from shared.bus.base import Handlers
from shared.db.pool import Connection
from shared.db.work import cancel, enqueue
from shared.events import SeriesArrived, SeriesChanged, TreeMoved

TRIES = 6
"""How often a series that does not apply is tried again at once as its trees move."""

_AT_ONCE = 50


async def on_arrived(conn: Connection, event: SeriesArrived) -> None:
    """A new series, or a new revision of one: settle it."""
    await _look_at(conn, event.series)


async def on_changed(conn: Connection, event: SeriesChanged) -> None:
    """Superseded or withdrawn: what we were about to do is not wanted any more. Active again: settle it."""
    await _look_at(conn, event.series)


async def _look_at(conn: Connection, series: int) -> None:
    row = await conn.fetchrow(SQL["series"], series)
    if row is None:
        return
    if row["state"] != "active":
        await cancel(conn, "branch", "apply", str(series))
    elif row["trees"]:
        settled = await conn.fetchrow(SQL["applied"], series, row["revision"])
        if settled is None:
            await enqueue(conn, "branch", "apply", str(series), priority=1)


async def on_tree_moved(conn: Connection, event: TreeMoved) -> None:
    """What did not apply to this tree may do now."""
    for row in await conn.fetch(SQL["refused_for"], event.project, event.tree, TRIES, _AT_ONCE):
        await enqueue(conn, "branch", "apply", str(row["series_id"]), {"again": True})


async def reconcile(conn: Connection, projects: list[str]) -> int:
    """Find what no event told us, or what was lost on the way; returns how many series that were."""
    rows = await conn.fetch(SQL["unsettled"], projects)
    for row in rows:
        await enqueue(conn, "branch", "apply", str(row["id"]))
    for project in projects:
        if await conn.fetchval(SQL["any_unpublished"], project):
            await enqueue(conn, "branch", "publish", project, priority=5)
    return len(rows)


HANDLERS: Handlers = {SeriesArrived: on_arrived, SeriesChanged: on_changed, TreeMoved: on_tree_moved}
