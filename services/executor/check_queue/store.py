"""The tables of the checks of series, as typed verbs over queries.sql."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.executor.check_queue.decide import Applied, Lane, Planned, Standing, State
from services.executor.checking.sink import Task
from shared.db.pool import Connection, Pool, Record
from shared.db.statements import load
from shared.errors import Missing
from shared.model.ids import RunId

SQL = load("services.executor.check_queue")

ROOM = "checks"


def kind_of(lane: Lane) -> str:
    """The kind of work that a lane's plans are."""
    return f"checks:{lane}"


def executor_of(lane: Lane) -> str:
    return f"checks-{lane}"


@dataclass(frozen=True, slots=True)
class Series:
    """A series as its source and the branch room have it. `mbox` and `cover` name blobs; None: there is none."""

    id: int
    project: str
    revision: int
    message_id: str
    title: str
    state: str
    reason: str
    author: str
    marked: bool
    tree_rule: str
    trees: tuple[str, ...]
    pull: str
    mbox: str | None
    cover: str | None
    patches: tuple[str, ...]
    applied: Applied | None
    commits: tuple[str, ...] = ()
    public_url: str = ""

    @property
    def tree(self) -> str:
        """The one it is applied to; before that the likeliest, if any."""
        if self.applied is not None and self.applied.ok:
            return self.applied.tree
        return self.trees[0] if self.trees else ""

    @property
    def wanted(self) -> bool:
        return self.state == "active"

    def standing(self, kinds: Mapping[str, str]) -> Standing:
        """For `decide`. `kinds` are those of the project's trees: one kind is all that the tree can be of."""
        why = self.reason or f"the series is {self.state}"
        sure = self.marked or len({kinds.get(tree) for tree in self.trees}) < 2
        return Standing(self.revision, self.wanted, why[:1].lower() + why[1:], self.applied, sure)


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A plan as whoever works on it needs it. `current` is false once its series is something else."""

    id: int
    project: str
    series_id: int
    revision: int
    message_id: str
    lane: Lane
    attempt: int
    state: State
    tree: str
    kind: str
    base: str
    head: str
    run_id: RunId | None
    troubles: int
    current: bool
    expected: float = 0.0

    @property
    def open(self) -> bool:
        return self.state in ("planned", "running")


@dataclass(frozen=True, slots=True)
class TaskRow:
    task: Task
    state: str
    begun: int
    why: str


async def load_series(conn: Connection | Pool, series_id: int) -> Series | None:
    row = await conn.fetchrow(SQL["series"], series_id)
    if row is None:
        return None
    patches = await conn.fetch(SQL["patches"], series_id)
    applied = await conn.fetchrow(SQL["applied"], series_id, row["revision"])
    return Series(
        row["id"], row["project"], row["revision"], row["message_id"], row["title"], row["state"], row["reason"],
        row["author_email"].lower(), row["marked"], row["tree_rule"],
        tuple(row["trees"]), row["pull_url"], row["mbox"], row["cover"],
        tuple(patch["message_id"] for patch in patches), _applied(applied),
        tuple(applied["commits"]) if applied else (), applied["public_url"] if applied else "",
    )  # fmt: skip


def _applied(row: Record | None) -> Applied | None:
    if row is None:
        return None
    return Applied(row["outcome"] == "applied", row["tree"], row["base"], row["head"], row["reason"])


async def load_plans(conn: Connection, series_id: int) -> list[Planned]:
    rows = await conn.fetch(SQL["plans"], series_id)
    return [
        Planned(
            r["id"],
            r["revision"],
            r["lane"],
            r["attempt"],
            r["state"],
            r["base"],
            r["head"],
            tuple(r["open_checks"]),
            tuple(r["checks"]),
        )
        for r in rows
    ]


async def load_plan(conn: Connection | Pool, plan_id: int) -> PlanRow | None:
    row = await conn.fetchrow(SQL["load_plan"], plan_id)
    if row is None:
        return None
    return PlanRow(
        row["id"], row["project"], row["series_id"], row["revision"], row["message_id"], row["lane"], row["attempt"],
        row["state"], row["tree"], row["kind"], row["base"], row["head"],
        RunId(row["run_id"]) if row["run_id"] is not None else None, row["troubles"],
        row["series_state"] == "active" and row["series_revision"] == row["revision"], row["expected"],
    )  # fmt: skip


async def load_tasks(conn: Connection | Pool, plan_id: int) -> list[TaskRow]:
    rows = await conn.fetch(SQL["tasks"], plan_id)
    return [TaskRow(Task(r["check_name"], r["patch"]), r["state"], r["begun"], r["why"]) for r in rows]


async def durations(conn: Connection | Pool, project: str) -> Mapping[str, float]:
    return {row["check_name"]: row["seconds"] for row in await conn.fetch(SQL["durations"], project)}


async def add_tasks(conn: Connection, plan_id: int, tasks: Sequence[Task], state: str, why: str) -> None:
    names, patches = [task.check for task in tasks], [task.patch for task in tasks]
    await conn.execute(SQL["make_tasks"], plan_id, names, patches, state, why)


async def hindered(pool: Pool, plan_id: int, why: str) -> None:
    """Say why a plan waits."""
    await pool.execute(SQL["hindered"], plan_id, why)


async def series_of(conn: Connection, message_id: str) -> list[Record]:
    """The newest series of each project that a mail belongs to. Raises Missing."""
    if not (rows := await conn.fetch(SQL["find_series"], message_id.strip().strip("<>"))):
        raise Missing(f"no series has a mail {message_id!r}; give the message id of its cover letter or of a patch")
    return rows
