"""What a person asks of the room: a cut, a word on a series, a conflict settled. Written down, audited, and shown.

It refuses to know how they asked, and who may.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from services.branch.store import SQL, find_series
from shared.db.outbox import SQL as FLOOR
from shared.db.pool import Connection, Record
from shared.errors import Missing, Refused
from shared.settings import Settings

VERBS = ("hold", "include", "drop")


@dataclass(frozen=True, slots=True)
class Ordered:
    """A word on a series, as recorded."""

    project: str
    message_id: str
    title: str
    verb: str
    why: str


async def the_series(conn: Connection, message_id: str, project: str) -> Record:
    """The newest series that a message id names, one of `project` if there is any. Raises Missing."""
    return (await _named(conn, message_id, project))[0]


async def _named(conn: Connection, message_id: str, project: str = "") -> list[Record]:
    rows = await find_series(conn, message_id, project)
    if not rows:
        raise Missing(f"no series has a mail {message_id!r}; give the message id of its cover letter or of a patch")
    return rows


async def _of_each_project(conn: Connection, message_id: str) -> list[Record]:
    """The newest series that a message id names in each project: a mail may have gone to two lists. Raises Missing."""
    rows = await _named(conn, message_id)
    return list({row["project"]: row for row in reversed(rows)}.values())


async def order(conn: Connection, message_id: str, verb: str, why: str, by: str) -> Ordered:
    """Hold a series back, include it whatever the rules say, or drop it for good. Refused without a reason."""
    if not why.strip():
        raise Refused("say why: the reason is shown to everybody who waits for the series")
    if verb not in VERBS:
        raise Refused(f"{verb!r} is none of {', '.join(VERBS)}")
    async with conn.transaction():
        for found in await _of_each_project(conn, message_id):
            await conn.execute(SQL["give_order"], found["project"], found["message_id"], verb, why, by)
            await _tell(conn, by, f"series {verb}", found["message_id"], why)
    return Ordered(found["project"], found["message_id"], found["title"], verb, why)


async def release(conn: Connection, message_id: str, why: str, by: str) -> Ordered:
    """Take back what was said of a series. Missing when nothing was."""
    async with conn.transaction():
        released: list[Ordered] = []
        for found in await _of_each_project(conn, message_id):
            row = await conn.fetchrow(SQL["take_back_order"], found["project"], found["message_id"])
            if row is not None:
                await _tell(conn, by, "series release", found["message_id"], why)
                released.append(Ordered(found["project"], found["message_id"], found["title"], row["verb"], row["why"]))
    if not released:
        raise Missing(f"nothing was ordered for {message_id}")
    return released[-1]


async def request_cut(
    conn: Connection, settings: Settings, stream: str, names: Sequence[str], why: str, by: str
) -> int:
    """Ask for a branch of `stream` now, of the series that `names` name or of all that are pending.

    Returns the request's id. Refused for a stream that does not exist, Missing for a mail that nobody knows.
    """
    project, _, _ = settings.project_of(stream)
    async with conn.transaction():
        found = [await the_series(conn, name, project) for name in names]
        if strange := [row["message_id"] for row in found if row["project"] != project]:
            raise Refused(f"{strange[0]} is not of project {project}, to which {stream} belongs")
        ids = [row["message_id"] for row in found] or None
        request = await conn.fetchval(SQL["request_cut"], project, stream, ids, by, why)
        await _tell(conn, by, "cut", stream, why)
    return int(request)


async def _tell(conn: Connection, by: str, what: str, subject: str, why: str) -> None:
    await conn.execute(FLOOR["audit"], by, what, subject, why, {})
    await conn.execute(FLOOR["notify"], "netci_orders", subject)
