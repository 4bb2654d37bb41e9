"""What other rooms are told of series. The tables say the rest.

SeriesArrived is staged for every whole series that still stands, also for one that is not ours: then `trees` is
empty and the branch room leaves it alone, while report shows maintainers that it was seen and why it was left.
"""

from services.ingest.standing import Standing, State
from services.ingest.store import Entry
from shared.db.outbox import stage
from shared.db.pool import Connection
from shared.events import SeriesArrived, SeriesChanged

ROOM = "ingest"


async def announce_arrival(conn: Connection, project: str, id_: int, entry: Entry) -> None:
    """Stage SeriesArrived for the series as it was saved in this transaction."""
    series = entry.series
    await stage(
        conn,
        ROOM,
        SeriesArrived(
            project=project,
            series=id_,
            revision=entry.revision,
            message_id=series.message_id,
            title=series.title,
            author=str(entry.parcel.author),
            patches=len(series.patches),
            version=series.version,
            trees=entry.decision.trees if entry.standing.state is State.ACTIVE else (),
            pull=series.pull is not None,
        ),
    )


async def announce_change(
    conn: Connection, project: str, id_: int, revision: int, message_id: str, now: Standing, by: int | None = None
) -> None:
    """Stage SeriesChanged for a series whose state or delegate changed in this transaction."""
    await stage(
        conn,
        ROOM,
        SeriesChanged(
            project=project,
            series=id_,
            revision=revision,
            message_id=message_id,
            state=str(now.state),
            reason=now.reason[:1000],
            superseded_by=by,
        ),
    )
