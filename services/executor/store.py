"""The executor's tables, as typed verbs over queries.sql."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.executor.plan import Plan
from shared.db.pool import Connection, Pool
from shared.db.statements import load
from shared.events import Visibility, visibility_of
from shared.model.results import Purpose

SQL = load("services.executor")


@dataclass(frozen=True, slots=True)
class Cut:
    """A branch as announced."""

    id: int
    project: str
    stream: str
    name: str
    base: str
    commit: str
    public_url: str
    announced: datetime | None
    state: str


@dataclass(frozen=True, slots=True)
class Planned:
    """One executor's part in one branch, as it stands."""

    cut_id: int
    remote: str
    executor: str
    project: str
    stream: str
    branch: str
    commit: str
    base: str
    public_url: str
    deadline: datetime
    state: str
    visibility: Visibility = "public"

    @property
    def ident(self) -> tuple[int, str, str]:
        return (self.cut_id, self.remote, self.executor)


async def load_cut(conn: Connection, cut_id: int) -> Cut | None:
    row = await conn.fetchrow(SQL["cut"], cut_id)
    if row is None:
        return None
    return Cut(
        row["id"], row["project"], row["stream"], row["name"], row["base"], row["commit"], row["public_url"],
        row["announced"], row["state"],
    )  # fmt: skip


async def plan(conn: Connection, cut: Cut, one: Plan) -> bool:
    """Record a plan; False if it stood already."""
    made = await conn.fetchval(
        SQL["plan"], cut.id, one.remote, one.executor, cut.project, cut.stream, cut.name, cut.commit, one.deadline
    )
    return made is not None


async def load_plan(pool: Pool, cut_id: int, remote: str, executor: str) -> Planned | None:
    row = await pool.fetchrow(SQL["load_plan"], cut_id, remote, executor)
    if row is None:
        return None
    return Planned(
        row["cut_id"], row["remote"], row["executor"], row["project"], row["stream"], row["branch"], row["commit"],
        row["base"], row["public_url"], row["deadline"], row["state"], visibility_of(Purpose(row["purpose"])),
    )  # fmt: skip


async def durations(pool: Pool, remote: str, executor: str) -> dict[tuple[str, str], float]:
    rows = await pool.fetch(SQL["durations"], remote, executor)
    return {(r["grp"], r["test"]): r["seconds"] for r in rows}


async def known_bad(pool: Pool, remote: str, executor: str) -> frozenset[tuple[str, str, str]]:
    """What fails in every run, by (group, test, subtest)."""
    rows = await pool.fetch(SQL["known_bad"], remote, executor)
    return frozenset((r["grp"], r["test"], r["subtest"]) for r in rows)


async def last_hosts(pool: Pool, ident: tuple[int, str, str]) -> dict[tuple[str, str], str]:
    rows = await pool.fetch(SQL["last_hosts"], *ident)
    return {(r["grp"], r["test"]): r["host"] for r in rows}


async def settle(conn: Connection, ident: tuple[int, str, str], state: str, reason: str = "") -> None:
    await conn.execute(SQL["settle_plan"], *ident, state, reason)


async def hindered(pool: Pool, ident: tuple[int, str, str], reason: str) -> None:
    """Say why a plan waits."""
    await pool.execute(SQL["hindered"], *ident, reason)


async def settle_hosts(pool: Pool, remote: str, executor: str, addresses: Sequence[str]) -> None:
    """Show only hosts that are configured, and none busy: called by whoever begins to work for the executor."""
    await pool.execute(SQL["forget_hosts"], remote, executor, list(addresses))
    await pool.execute(SQL["rest_hosts"], remote, executor)


def work_kind(remote: str, executor: str) -> str:
    """Each executor's runs are a kind of work of their own, as its hosts take one run at a time."""
    return f"run:{remote}/{executor}"


def work_row(remote: str, executor: str, cut_id: int) -> dict[str, Any]:
    return {"cut": cut_id, "remote": remote, "executor": executor}
