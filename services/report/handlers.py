"""What report does when it hears of something: series are settled at once, branches are folded as work.

A branch's fold is work with the cut as its key, so twenty-six runs that end together make one or two folds, not
twenty-six. A fold that has to wait leaves a second piece of work behind, due when the wait is over. Handlers never
look at what the event says beyond its ids; the tables know better.
"""

from services.report.deciding import Deciding
from services.report.store import ReportStore
from shared.bus.base import Handlers
from shared.clock import Clock
from shared.db.pool import Connection, Pool
from shared.db.work import Work, cancel, enqueue, settle
from shared.events import (
    BranchCut,
    CheckDone,
    RunDone,
    RunStarted,
    SeriesApplied,
    SeriesArrived,
    SeriesChanged,
    SeriesRefused,
)

FOLD = "fold"
OVERDUE = "overdue"
ROLL_UP = "roll-up"
SOON, LATER = 10, 0


async def want_fold(conn: Connection, cut: int, priority: int = SOON) -> None:
    await enqueue(conn, "report", FOLD, str(cut), {"cut": cut}, priority=priority)


async def want_roll_up(conn: Connection, run: int, priority: int = SOON) -> None:
    await enqueue(conn, "report", ROLL_UP, str(run), {"run": run}, priority=priority)


class Handling:
    """Event handlers and the work they ask for."""

    def __init__(self, pool: Pool, deciding: Deciding, clock: Clock) -> None:
        self._pool = pool
        self._deciding = deciding
        self._clock = clock
        self._store = ReportStore()

    @property
    def handlers(self) -> Handlers:
        series = (SeriesArrived, SeriesApplied, SeriesRefused, SeriesChanged)
        return {
            **dict.fromkeys(series, self.on_series),
            BranchCut: self.on_cut,
            RunStarted: self.on_run,
            RunDone: self.on_run,
            CheckDone: self.on_check,
        }

    async def on_series(
        self, conn: Connection, event: SeriesArrived | SeriesApplied | SeriesRefused | SeriesChanged
    ) -> None:
        await self._deciding.series(conn, event.series, self._clock())
        await self._deciding.checks(conn, event.series, self._clock())

    async def on_cut(self, conn: Connection, event: BranchCut) -> None:
        await want_fold(conn, event.cut)

    async def on_run(self, conn: Connection, event: RunStarted | RunDone) -> None:
        if event.cut is not None:
            await want_fold(conn, event.cut)
        elif isinstance(event, RunDone):
            await want_roll_up(conn, event.run)
        if event.series is not None:
            await self._deciding.checks(conn, event.series, self._clock())

    async def on_check(self, conn: Connection, event: CheckDone) -> None:
        await self._deciding.checks(conn, event.series, self._clock(), (event.context, event.patch or 0))

    async def fold(self, work: Work) -> None:
        async with settle(self._pool, work) as conn:
            now = self._clock()
            if until := await self._deciding.branch(conn, int(work.payload["cut"]), now):
                left = max(0.5, (until - now).total_seconds())
                await enqueue(conn, "report", OVERDUE, work.key, work.payload, priority=SOON, wait=left)
            else:
                await cancel(conn, "report", OVERDUE, work.key)

    async def overdue(self, work: Work) -> None:
        async with settle(self._pool, work) as conn:
            await want_fold(conn, int(work.payload["cut"]))

    async def roll_up(self, work: Work) -> None:
        async with settle(self._pool, work) as conn:
            cut = await self._store.roll_up_run(conn, int(work.payload["run"]))
            if cut is not None and work.payload.get("fold"):
                await want_fold(conn, cut, LATER)
