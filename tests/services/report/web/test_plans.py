"""The plans behind pages: old days are left alone, however many there are."""

from services.report.web.filters import BOXES
from services.report.web.store import SQL
from tests.services.report.web.conftest import Site


async def test_the_result_table_and_progress_look_at_the_days_named_only(site: Site) -> None:
    owner = site.world.owner
    await owner.execute("select ledger.ensure_day(date '2020-01-01' + n) from generate_series(0, 20) n")
    today = await owner.fetchval("select day from ledger.runs limit 1")
    results = [result for box in BOXES.values() for result in box]
    plans = {
        "contest": (
            125,
            None,
            None,
            None,
            None,
            None,
            None,
            False,
            results,
            False,
            None,
            0,
            0,
            0,
            201,
            [today],
            [],
            None,
            ["fail"],
            True,
        ),
        "progress": ([today], [1, 2]),
        "run_tests": (today, 1, 100),
    }
    for name, args in plans.items():
        async with owner.acquire() as conn, conn.transaction():
            await conn.execute(SQL["plan_anew"])
            plan = "\n".join(row[0] for row in await conn.fetch(f"explain {SQL[name]}", *args))
        assert f"cases_{today:%Y%m%d}" in plan, name
        assert "cases_2020" not in plan, name


async def test_lists_go_by_their_key(site: Site) -> None:
    async with site.world.owner.acquire() as conn:
        await conn.execute("set enable_seqscan = off; set enable_sort = off")
        for name, args in {"events": (5, None, None, None, None, None, 101), "branches": (None, None, 9, 101),
                           "series_list": (None, None, 9, 101)}.items():  # fmt: skip
            plan = "\n".join(row[0] for row in await conn.fetch(f"explain {SQL[name]}", *args))
            assert "pkey" in plan, name
            assert "Sort Key" not in plan.split("SubPlan")[0], (name, plan)
        await conn.execute("reset all")
