"""Checks that runs on series say: pending when a run begins, settled when it ends."""

from collections.abc import Mapping, Sequence

from services.ingest.api import contexts
from services.ingest.api.desk import LabDesk
from services.ingest.api.place import Place
from services.ingest.api.store import SQL
from shared.db.pool import Connection, Record
from shared.formats.run_model import Check as Said
from shared.ledger import Check
from shared.model.ids import RunId
from shared.model.results import CheckState
from shared.model.tokens import Token


def allowed(desk: LabDesk, token: Token, place: Place, said: Sequence[Said], context: str | None) -> str:
    """The context in which the run as a whole speaks, "" where its checks say all. Raises Forbidden, Faulty."""
    whole = "" if said and context is None else contexts.default(token, context)
    named = [*contexts.of_checks(said, place), *([("/context", whole)] if whole else [])]
    contexts.check_contexts(token, named, place, desk.floor.settings)
    return whole


async def pending(desk: LabDesk, conn: Connection, place: Place, run: int, context: str, text: str) -> None:
    """Say that something is to come."""
    assert place.series_id is not None
    check = Check(
        place.project, place.series_id, place.revision, context, CheckState.PENDING, RunId(run), text=text
    )  # fmt: skip
    await desk.ledger.check(conn, check)


async def say(desk: LabDesk, conn: Connection, place: Place, run: int, said: Sequence[Said]) -> None:
    """Say what a document says."""
    assert place.series_id is not None
    for one in said:
        check = Check(
            place.project, place.series_id, place.revision, one["context"], CheckState(one["state"]), RunId(run),
            one.get("patch", 0), one.get("description", ""), one.get("link", ""),
        )  # fmt: skip
        await desk.ledger.check(conn, check)


async def settle(
    desk: LabDesk, conn: Connection, place: Place, run: int, context: str, counts: Mapping[str, int]
) -> None:
    """Say what the run's cases come to."""
    assert place.series_id is not None
    state, text = contexts.fold(counts)
    check = Check(place.project, place.series_id, place.revision, context, state, RunId(run), text=text)
    await desk.ledger.check(conn, check)


async def give_up(desk: LabDesk, conn: Connection, run: Record, why: str) -> None:
    """Of a run that was closed without a result: nothing waits for it any more, unless another run of its lab is at
    the same.
    """
    if not run["context"] or run["trial"]:
        return
    which = (run["series_id"], run["revision"], run["context"], run["remote"])
    # Locked before it is asked: of two that end at once the second sees that the first has ended.
    if await conn.fetchval(SQL["lock_pending"], *which) is None or await conn.fetchval(SQL["at_it"], *which):
        return
    check = Check(
        run["project"], run["series_id"], run["revision"], run["context"], CheckState.WARNING, RunId(run["id"]),
        text=f"no result: {why}",
    )  # fmt: skip
    await desk.ledger.check(conn, check)
