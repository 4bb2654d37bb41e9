"""A branch was cut: plan it once for each executor that follows its stream."""

from collections.abc import Mapping

import structlog

from services.executor.plan import Runner, plans
from services.executor.store import load_cut, plan, work_kind, work_row
from shared.bus.base import Handler
from shared.db.pool import Connection
from shared.db.work import enqueue
from shared.events import BranchCut
from shared.events.base import Event
from shared.floor import Floor

log = structlog.get_logger(__name__)


def handlers(floor: Floor) -> Mapping[type[Event], Handler]:
    """What this room acts on."""

    async def on_branch_cut(conn: Connection, event: BranchCut) -> None:
        await plan_cut(floor, conn, event.cut)

    return {BranchCut: on_branch_cut}


async def plan_cut(floor: Floor, conn: Connection, cut_id: int) -> int:
    """Plan the branch for its executors; returns how many plans are new. Harmless to repeat."""
    cut = await load_cut(conn, cut_id)
    if cut is None or cut.announced is None or cut.state != "announced":
        return 0
    runners = [Runner(e.remote, e.name, e.streams, e.deadline) for e in floor.settings.executors]
    new = 0
    for one in plans(runners, cut.stream, cut.announced):
        if await plan(conn, cut, one):
            new += 1
            kind, row = work_kind(one.remote, one.executor), work_row(one.remote, one.executor, cut_id)
            await enqueue(conn, "executor", kind, str(cut_id), row)
    if new:
        log.info("planned", branch=cut.name, executors=new)
    return new
