"""Looking at a series: what its checks should be doing, done in the transaction of whoever looks.

Handlers, the reconciler and requests by hand all come through here, so an event that comes late, twice or never
changes nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import structlog

from services.executor.check_queue.decide import Drop, Lane, Leave, Make, Standing, Start, again, decide
from services.executor.check_queue.priority import Waiting, at_first
from services.executor.check_queue.questions import expected, lanes, tasks_of
from services.executor.check_queue.store import (
    ROOM,
    SQL,
    Series,
    add_tasks,
    durations,
    kind_of,
    load_plans,
    load_series,
)
from services.executor.checks.base import Check
from shared.clock import Clock
from shared.db.bells import bell_of_checks
from shared.db.outbox import SQL as FLOOR
from shared.db.pool import Connection
from shared.db.work import cancel, enqueue
from shared.errors import Missing, Refused
from shared.ledger import Ledger, OpenRun
from shared.model.ids import RunId
from shared.settings import Settings

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Planner:
    """Plans the checks of all projects that have any. `racks` are their configured checks by project."""

    settings: Settings
    racks: Mapping[str, tuple[Check, ...]]
    clock: Clock
    ledger: Ledger

    @property
    def projects(self) -> list[str]:
        return [name for name, checks in self.racks.items() if checks]

    @property
    def configured(self) -> list[tuple[str, Lane, str]]:
        """Every check of every project: project, lane and name."""
        found = [(project, lanes(checks)) for project, checks in self.racks.items()]
        return [(project, lane, name) for project, groups in found for lane, names in groups.items() for name in names]

    async def look(self, conn: Connection, series_id: int) -> int:
        """Do for a series what is to be done; returns how many things that were. Harmless to repeat."""
        await conn.execute(SQL["lock_series"], series_id)
        series = await load_series(conn, series_id)
        if series is None or series.project not in self.racks:
            return 0
        plans = await load_plans(conn, series_id)
        acts = decide(self._standing(series), plans, lanes(self.racks[series.project]))
        for act in acts:
            match act:
                case Drop():
                    await drop(conn, self.ledger, act.plan, act.why)
                case Make():
                    await self._make(conn, series, act)
                case Start():
                    await self._start(conn, series, act.plan)
                case Leave():
                    await conn.execute(SQL["leave_plan"], act.plan, act.why)
                    await conn.execute(SQL["close_tasks"], act.plan, "unasked", act.why)
        if acts:
            log.info(
                "checks: planned", series=series_id, revision=series.revision, acts=[type(a).__name__ for a in acts]
            )
        return len(acts)

    async def again(self, conn: Connection, series_id: int, names: Collection[str], why: str, by: str) -> int:
        """Ask once more, by hand. Returns how many lanes are asked. Raises Refused for a check that there is not."""
        await conn.execute(SQL["lock_series"], series_id)
        series = await load_series(conn, series_id)
        if series is None or series.project not in self.racks:
            raise Missing(f"there is no series {series_id} of a project that has checks")
        checks = lanes(self.racks[series.project])
        if unknown := set(names) - {name for group in checks.values() for name in group}:
            raise Refused(f"{series.project} has no check {', '.join(sorted(unknown))}")
        made = again(self._standing(series), await load_plans(conn, series_id), checks, names, why)
        for act in made:
            await self._make(conn, series, act, by)
        log.info("checks: asked again", series=series_id, lanes=[act.lane for act in made], by=by)
        return len(made)

    async def _make(self, conn: Connection, series: Series, act: Make, by: str = "") -> None:
        checks = self._named(series.project, act.checks)
        tasks = tasks_of(checks, len(series.patches), bool(series.pull))
        seconds = expected(tasks, act.lane, await durations(conn, series.project))
        place = self._place(series) if act.lane != "mail" else (*self._place(series)[:2], "", "")
        plan_id = await conn.fetchval(
            SQL["make_plan"], series.project, series.id, series.revision, series.message_id, act.lane, act.attempt,
            act.state, act.why, by, series.author, len(series.patches), act.checks, *place, seconds,
        )  # fmt: skip
        left = act.state == "unasked"
        await add_tasks(conn, plan_id, tasks, "unasked" if left else "planned", act.why if left else "")
        if act.state == "planned":
            await self._enqueue(conn, act.lane, self._waiting(series, plan_id, seconds, by))

    def _standing(self, series: Series) -> Standing:
        trees = self.settings.projects[series.project].trees
        return series.standing({name: tree.kind for name, tree in trees.items()})

    def _named(self, project: str, names: Collection[str]) -> Sequence[Check]:
        return [check for check in self.racks[project] if check.name in names]

    def _place(self, series: Series) -> tuple[str, str, str, str]:
        """Tree, its kind, base and head; the likeliest tree as long as it is applied to none."""
        trees, applied = self.settings.projects[series.project].trees, series.applied
        kind = trees[series.tree].kind if series.tree in trees else "next"
        commits = (applied.base, applied.head) if applied is not None and applied.ok else ("", "")
        return (series.tree, kind, *commits)

    async def _start(self, conn: Connection, series: Series, plan_id: int) -> None:
        rows = await conn.fetch(SQL["tasks"], plan_id)
        lane = next(plan.lane for plan in await load_plans(conn, series.id) if plan.id == plan_id)
        seconds = await durations(conn, series.project)
        wanted = self._named(series.project, {row["check_name"] for row in rows})
        left = expected(tasks_of(wanted, len(series.patches), bool(series.pull)), lane, seconds)
        if await conn.fetchval(SQL["start_plan"], plan_id, *self._place(series), left) is not None:
            await conn.execute(SQL["ask_tasks_again"], plan_id)
            await self._enqueue(conn, lane, self._waiting(series, plan_id, left, ""))

    def _waiting(self, series: Series, plan_id: int, seconds: float, by: str) -> Waiting:
        fixes = self._place(series)[1] == "fixes"
        return Waiting(plan_id, series.author, fixes, len(series.patches), seconds, self.clock(), bool(by))

    async def _enqueue(self, conn: Connection, lane: str, one: Waiting) -> None:
        await enqueue(conn, ROOM, f"checks:{lane}", str(one.id), {"plan": one.id}, priority=at_first(one))


async def drop(conn: Connection, ledger: Ledger, plan_id: int, why: str) -> None:
    """Nobody wants the plan's answers: its run is closed, its questions too, and whoever works on it is woken."""
    while (plan := await conn.fetchrow(SQL["open_plan"], plan_id)) is not None:
        if (run := await conn.fetchrow(SQL["lock_run"], plan["run_id"])) is not None:
            await ledger.abandon(conn, OpenRun(RunId(run["id"]), run["day"], run["lease_number"], False), "", why)
        # Whoever opens a run just now is waited for here; then there is one more to be closed.
        if await conn.fetchval(SQL["drop_plan"], plan_id, why, plan["run_id"]) is not None:
            break
    else:
        return
    await conn.execute(SQL["close_tasks"], plan_id, "cancelled", why)
    await cancel(conn, ROOM, kind_of(plan["lane"]), str(plan_id))
    await conn.execute(FLOOR["notify"], "netci_hooks", bell_of_checks(plan_id))
