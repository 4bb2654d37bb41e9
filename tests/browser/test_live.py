"""Two browsers watch one of twenty-six runs that report at once, and the service goes away and comes back."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from shared.db.pool import Pool
from shared.floor import Floor
from shared.ledger.write import Ledger, Opening, OpenRun
from shared.model.results import Case, Result
from tests.conftest import Database, FloorFor
from tests.services.report.web.builders import BRANCH, a_cut, served, settings_for

EXECUTORS, CASES = 26, 12
PATIENCE = 20_000
"""Milliseconds: this tells whether rows come by themselves, not how fast."""


@pytest.fixture
async def floor(database: Database, floor_for: FloorFor, tmp_path: Path) -> Floor:
    return await floor_for("report", settings_for(tmp_path))


async def a_run(owner: Pool, cut: int, executor: str) -> OpenRun:
    async with owner.acquire() as conn, conn.transaction():
        opening = Opening("netdev", "metal", executor, "net-next", BRANCH, cut_id=cut, planned=CASES * 2)
        return await Ledger("executor").open(conn, opening)


async def report(owner: Pool, run: OpenRun, numbers: range, pause: float) -> set[str]:
    """Cases of a run, one after the other."""
    told = set()
    for n in numbers:
        async with owner.acquire() as conn, conn.transaction():
            await Ledger("executor").append(conn, run, [Case("selftests-net", f"test_{n}.sh", Result.PASS)])
        told.add(f"test_{n}.sh")
        await asyncio.sleep(pause)
    return told


async def all_seen(page: Page) -> set[str]:
    return {await seen(page, f"test_{n}.sh") for n in range(CASES)}


async def seen(page: Page, name: str) -> str:
    await expect(page.locator("table.tests")).to_contain_text(name, timeout=PATIENCE)
    return name


async def a_watcher(browser: Browser, url: str) -> Page:
    page = await browser.new_page()
    await page.goto(url)
    await expect(page.locator("#pulse")).to_have_text("live")
    # What a reload would take away.
    await page.evaluate("window.mark = 'here since the beginning'")
    return page


async def test_rows_come_by_themselves_and_after_a_restart(floor: Floor, database: Database, browser: Browser) -> None:
    owner = await database.pool(size=8)
    cut = await a_cut(owner, BRANCH, floor.clock())
    runs = [await a_run(owner, cut, f"vmksft-{n}") for n in range(EXECUTORS)]
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(served(floor))
        pages = [await a_watcher(browser, f"{url}/run/{runs[3].id}") for _ in range(2)]
        reports = [asyncio.ensure_future(report(owner, run, range(CASES), 0.5)) for run in runs]
        came = await asyncio.gather(*map(all_seen, pages))
        told = (await asyncio.gather(*reports))[3]
        assert all(names == told for names in came)
    for page in pages:
        await expect(page.locator("#pulse")).to_have_text("offline", timeout=PATIENCE)
    # While nobody serves, results come.
    await report(owner, runs[3], range(CASES, CASES + 3), 0)
    async with served(floor):
        for page in pages:
            await seen(page, f"test_{CASES + 2}.sh")
            assert await page.evaluate("window.mark") == "here since the beginning"
