"""From an announced branch to planned runs: once for each executor, whatever comes twice, late or not at all."""

import asyncio
from pathlib import Path

from services.executor.app import reconcile
from services.executor.handlers import handlers
from services.executor.store import settle_hosts
from shared.clock import wall
from shared.events import BranchCut
from shared.floor import Floor
from shared.model.results import Purpose
from tests.conftest import Database, FloorFor
from tests.services.executor.world import a_cut, some_settings

BOTH = "select count(*) from executor.plans where state = 'planned'"
WORK = "select count(*) from floor.work where room = 'executor' and state = 'ready'"


def the_event(cut: int) -> BranchCut:
    return BranchCut(
        project="netdev", cut=cut, stream="net-next", branch="net-next-2026-11-23--09-00", commit="c" * 40,
        base="b" * 40, purpose=Purpose.BY_HAND, slot=wall(), public_url="", taken=1, left_out=0,
    )  # fmt: skip


async def handle(floor: Floor, cut: int) -> None:
    async with floor.pool.acquire() as conn, conn.transaction():
        await handlers(floor)[BranchCut](conn, the_event(cut))


async def test_a_branch_is_planned_once_for_each_executor(
    database: Database, floor_for: FloorFor, tmp_path: Path
) -> None:
    floor = await floor_for("executor", some_settings(tmp_path, "one", "two"))
    owner = await database.pool("")
    cut = await a_cut(owner)
    await asyncio.gather(*(handle(floor, cut) for _ in range(4)))
    await reconcile(floor)
    assert [await owner.fetchval(BOTH), await owner.fetchval(WORK)] == [2, 2]
    rows = await owner.fetch("select extract(epoch from deadline - announced)::int as left "
                             "from executor.plans p join branch.cuts c on c.id = p.cut_id")  # fmt: skip
    assert {row["left"] for row in rows} == {170 * 60}


async def test_what_is_not_announced_is_not_planned(database: Database, floor_for: FloorFor, tmp_path: Path) -> None:
    floor = await floor_for("executor", some_settings(tmp_path))
    owner = await database.pool("")
    await owner.execute("update branch.cuts set state = 'built' where id = $1", await a_cut(owner))
    await handle(floor, 1)
    await handle(floor, 4711)
    await reconcile(floor)
    assert await owner.fetchval(BOTH) == 0


async def test_the_tables_alone_are_enough(database: Database, floor_for: FloorFor, tmp_path: Path) -> None:
    floor = await floor_for("executor", some_settings(tmp_path))
    owner = await database.pool("")
    await a_cut(owner)
    await a_cut(owner, name="net-next-2026-11-20--09-00", ago=2 * 86400)
    await reconcile(floor)
    assert [await owner.fetchval(BOTH), await owner.fetchval(WORK)] == [1, 1]
    await owner.execute("update floor.work set state = 'dead', attempts = 8")
    await reconcile(floor)
    assert await owner.fetchval(WORK) == 1
    assert await owner.fetchval("select ok from floor.health where name = 'disk:executor'")


async def test_a_settled_plan_is_not_asked_for_again(database: Database, floor_for: FloorFor, tmp_path: Path) -> None:
    floor = await floor_for("executor", some_settings(tmp_path))
    owner = await database.pool("")
    await handle(floor, await a_cut(owner))
    await owner.execute("update executor.plans set state = 'done', settled = now()")
    await owner.execute("update floor.work set state = 'done', settled = now()")
    await handle(floor, 1)
    await reconcile(floor)
    assert [await owner.fetchval(BOTH), await owner.fetchval(WORK)] == [0, 0]


async def test_attempts_of_old_branches_are_forgotten(database: Database, floor_for: FloorFor, tmp_path: Path) -> None:
    floor = await floor_for("executor", some_settings(tmp_path))
    owner = await database.pool("")
    for name, days in (("a", 8), ("b", 1)):
        await handle(floor, await a_cut(owner, name=name))
        await owner.execute(
            "update executor.plans set state = 'done', settled = now() - make_interval(days => $1) - interval '1 hour' "
            "where branch = $2", days - 1, name,
        )  # fmt: skip
    await owner.execute("insert into executor.attempts "
                        "(cut_id, remote, executor, grp, test, attempt, host, lease_number) "
                        "select cut_id, remote, executor, 'g', 't', 0, 'h', 1 from executor.plans")  # fmt: skip
    await reconcile(floor)
    left = await owner.fetch("select p.branch from executor.attempts a join executor.plans p using (cut_id)")
    assert [row["branch"] for row in left] == ["b"]


async def test_hosts_are_shown_as_configured_and_at_rest(
    database: Database, floor_for: FloorFor, tmp_path: Path
) -> None:
    floor = await floor_for("executor", some_settings(tmp_path))
    owner = await database.pool("")
    for address, state in (("root@vm1", "busy"), ("root@vm2", "broken"), ("root@gone", "idle")):
        await owner.execute(
            "insert into executor.hosts (remote, executor, address, label, state) values ('metal', 'net', $1, '', $2)",
            address, state,
        )  # fmt: skip
    await settle_hosts(floor.pool, "metal", "net", ["root@vm1", "root@vm2"])
    rows = await owner.fetch("select address, state from executor.hosts order by address")
    assert [tuple(row) for row in rows] == [("root@vm1", "idle"), ("root@vm2", "broken")]
