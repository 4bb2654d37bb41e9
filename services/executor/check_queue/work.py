"""One plan of checks worked off: claimed under a lease, its run opened or taken over, asked, closed.

Theory of operation. A plan's row of work may be claimed again and again: after a kill, after trouble of ours, by
another process. What has an answer by then is not asked again. Beside the engine a guard looks whether the answers are
still wanted; it is rung the moment they are not, and asks the tables every two seconds in case nobody rang. When it
raises, the engine is cancelled, and with it every process that it has started.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Never

import structlog

from services.executor.check_queue.answers import AnswerSink
from services.executor.check_queue.asking import Asker, Order, wanted_of
from services.executor.check_queue.planning import Planner, drop
from services.executor.check_queue.store import (
    ROOM,
    SQL,
    PlanRow,
    TaskRow,
    executor_of,
    hindered,
    load_plan,
    load_series,
    load_tasks,
)
from services.executor.checking.sink import Task
from services.executor.checks.base import Said
from services.executor.steady import steadily
from shared.db.bells import bell_of_checks
from shared.db.pool import AWAY, Connection
from shared.db.work import Postpone, Work, finish
from shared.disk import low
from shared.errors import InfraError, Superseded
from shared.floor import Floor
from shared.ledger import Ending, Opening, OpenRun
from shared.model.ids import OWN_REMOTE
from shared.model.results import Cause, CheckState
from shared.pauses import paused
from shared.race import race

log = structlog.get_logger(__name__)

PAUSE = f"{OWN_REMOTE}/{ROOM}"
"""What `netci pause executor` calls us."""

LOOK = 2.0
"""Seconds after which the guard looks by itself."""

MOST_TROUBLES = 4
"""How often a plan is begun anew because a machine of ours was to blame."""

MOST_BEGUN = 4
"""How often a question is begun that ended with the death of whoever asked it."""

_WAITS = (20.0, 120.0, 600.0)


@dataclass(frozen=True)
class CheckWork:
    """Does the work of the kinds `checks:mail`, `checks:tree` and `checks:build`. `waits`: seconds between tries."""

    floor: Floor
    planner: Planner
    asker: Asker
    waits: Sequence[float] = _WAITS

    async def do(self, work: Work) -> None:
        plan = await load_plan(self.floor.pool, int(work.payload["plan"]))
        if plan is None or not plan.open:
            await self._settle(work)
            return
        await self._may_start(plan)
        if (run := await self._open(plan, work)) is None:
            return
        await race(self._carry_out(plan, run, work), self._still_wanted(plan))

    async def _settle(self, work: Work) -> None:
        async with self.floor.pool.acquire() as conn, conn.transaction():
            await finish(conn, work)

    async def _may_start(self, plan: PlanRow) -> None:
        """Leaves by Postpone, its reason shown, while it must wait. One that nobody wants goes on to be dropped."""
        if not plan.current:
            return
        why = await paused(self.floor.pool, "executor", PAUSE)
        reason = f"paused: {why}" if why else "" if plan.run_id else low(self.floor.settings)
        if reason:
            await hindered(self.floor.pool, plan.id, reason)
            raise Postpone(1.0, reason)

    async def _open(self, plan: PlanRow, work: Work) -> OpenRun | None:
        """Open the plan's run, or take it over. None, and everything settled, if it is closed or not wanted."""
        async with self.floor.pool.acquire() as conn, conn.transaction():
            # Beside whoever plans for the series, it would be opened from what was true before.
            await conn.execute(SQL["lock_series"], plan.series_id)
            now = await load_plan(conn, plan.id)
            if now is None or not now.open:
                raise Superseded(f"plan {plan.id} is closed")
            if not now.current:
                await drop(conn, self.planner.ledger, plan.id, await self._why_not(conn, now))
                return None
            try:
                run = await self.planner.ledger.open(conn, self._opening(plan, work))
            except Superseded as exc:
                log.info("checks: not ours", reason=str(exc))
                await conn.execute(SQL["leave_tasks"], plan.id, str(exc))
                await conn.fetchval(SQL["settle_plan"], plan.id, "done", str(exc))
                await finish(conn, work)
                return None
            if await conn.fetchval(SQL["plan_running"], plan.id, run.id) is None:
                raise Superseded(f"plan {plan.id} is closed")
            return run

    def _opening(self, plan: PlanRow, work: Work) -> Opening:
        return Opening(
            project=plan.project, remote=OWN_REMOTE, executor=executor_of(plan.lane), series_id=plan.series_id,
            attempt=plan.attempt, lease_number=work.number, kernel_commit=plan.head,
            expected_end=self.floor.clock() + timedelta(seconds=max(60.0, 2 * plan.expected)),
        )  # fmt: skip

    # Asking

    async def _carry_out(self, plan: PlanRow, run: OpenRun, work: Work) -> None:
        try:
            await self._ask(plan, run)
        except InfraError as exc:
            await self._trouble(plan, run, work, str(exc))
            return
        left = [row for row in await steadily(lambda: load_tasks(self.floor.pool, plan.id)) if row.state == "infra"]
        if not left:
            await self._close(plan, run, work, Ending())
            return
        reason = f"{len(left)} without an answer: {'; '.join(dict.fromkeys(row.why for row in left))}"
        if all(row.begun >= MOST_BEGUN for row in left):
            await self._give_up(plan, run, work, reason)
        else:
            await self._trouble(plan, run, work, reason)

    async def _ask(self, plan: PlanRow, run: OpenRun) -> None:
        series = await load_series(self.floor.pool, plan.series_id)
        tasks = await load_tasks(self.floor.pool, plan.id)
        if series is None or series.revision != plan.revision:
            raise Superseded(f"series {plan.series_id} is another by now")
        checks = wanted_of(self.planner.racks.get(plan.project, ()), {row.task.check for row in tasks})
        settled = frozenset(row.task for row in tasks if row.state in ("answered", "unasked"))
        order = Order(plan, series, checks, settled)
        sink = AnswerSink(self.floor, self.planner.ledger, plan, run, order.commits)
        killers = await self._killers(sink, tasks)
        await self.asker.ask(Order(plan, series, checks, settled | killers), sink, self._gate)

    async def _killers(self, sink: AnswerSink, tasks: Sequence[TaskRow]) -> frozenset[Task]:
        """Questions during which owner after owner died are not asked once more, now or later."""
        found = [row for row in tasks if row.state in ("running", "infra") and row.begun >= MOST_BEGUN]
        for row in found:
            if row.state == "running":
                text = f"interrupted {MOST_BEGUN} times, not tried again"
                await sink.answered(row.task, Said(CheckState.WARNING, text, cause=Cause.INFRA), 0.0)
        return frozenset(row.task for row in found)

    async def _gate(self) -> bool:
        """Closed while checks are paused: what runs goes on, the next is not begun."""
        bells = self.floor.bells
        seen = bells.count("netci_pauses")
        if await steadily(lambda: paused(self.floor.pool, "executor", PAUSE)) is None:
            return True
        await bells.wait("netci_pauses", seen, 5)
        return False

    # Ending

    async def _trouble(self, plan: PlanRow, run: OpenRun, work: Work, why: str) -> None:
        """Once more, later; or never, if it was tried often enough: then the run says that we are to blame."""
        troubles = await steadily(lambda: self.floor.pool.fetchval(SQL["troubled"], plan.id, why))
        if troubles is None:
            raise Superseded(f"plan {plan.id} is closed")
        if troubles < MOST_TROUBLES:
            raise Postpone(self.waits[min(troubles, len(self.waits)) - 1], why)
        await self._give_up(plan, run, work, why)

    async def _give_up(self, plan: PlanRow, run: OpenRun, work: Work, why: str) -> None:
        log.error("checks: given up", plan=plan.id, reason=why)
        await self._close(plan, run, work, Ending(cause="infra", reason=why))

    async def _close(self, plan: PlanRow, run: OpenRun, work: Work, ending: Ending) -> None:
        async def once() -> None:
            async with self.floor.pool.acquire() as conn, conn.transaction():
                await self.planner.ledger.finish(conn, run, ending)
                left = "give_up_tasks" if ending.cause else "leave_tasks"
                await conn.execute(SQL[left], plan.id, ending.reason or "it is not asked of this patch")
                await conn.fetchval(SQL["settle_plan"], plan.id, "done", ending.reason)
                await finish(conn, work)

        await steadily(once)
        log.info("checks: ended", plan=plan.id, series=plan.series_id, lane=plan.lane, cause=ending.cause)

    # Whether it is wanted

    async def _still_wanted(self, plan: PlanRow) -> Never:
        """A guard: raises as soon as nobody waits for the answers."""
        bells, bell = self.floor.bells, bell_of_checks(plan.id)
        while True:
            seen = bells.count(bell)
            try:
                await self._look(plan.id)
            except AWAY as exc:
                log.warning("checks: the database is away", error=str(exc))
            await bells.wait(bell, seen, LOOK)

    async def _look(self, plan_id: int) -> None:
        now = await load_plan(self.floor.pool, plan_id)
        if now is not None and now.open and not now.current:
            now = await self._left(now)
        if now is None or not now.open:
            raise Superseded(f"plan {plan_id} is closed")

    async def _left(self, plan: PlanRow) -> PlanRow | None:
        """Drop it, unless its series is back by now. Raises Superseded, saying why."""
        async with self.floor.pool.acquire() as conn, conn.transaction():
            await conn.execute(SQL["lock_series"], plan.series_id)
            now = await load_plan(conn, plan.id)
            if now is None or not now.open or now.current:
                return now
            why = await self._why_not(conn, now)
            await drop(conn, self.planner.ledger, plan.id, why)
        raise Superseded(why)

    async def _why_not(self, conn: Connection, plan: PlanRow) -> str:
        series = await load_series(conn, plan.series_id)
        if series is None:
            return "the series is gone"
        return series.standing({}).why if not series.wanted else f"revision {series.revision} of the series came"
