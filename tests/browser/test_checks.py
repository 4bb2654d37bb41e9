"""Checks in Chromium: the grid fills by itself, strangers' text does nothing, all is readable on a telephone."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from shared import recheck
from shared.db.tokens import Order, create
from shared.model.tokens import parse_scopes
from shared.settings import Checking
from tests.browser.conftest import Site
from tests.browser.test_front import contrast
from tests.conftest import Database, FloorFor
from tests.services.report.web.builders import HOSTILE, seed, served, settings_for
from tests.services.report.web.checked import Checked, a_plan, a_report, a_task, answer, checked

PATIENCE = 60_000
"""Milliseconds for something to come by itself, on a machine that has much else to do."""


@pytest.fixture
async def made(site: Site) -> Checked:
    return await checked(site.floor, site.world.owner)


@pytest.fixture
async def checking(database: Database, floor_for: FloorFor, tmp_path: Path) -> AsyncIterator[Site]:
    """The front of a project with checks of its own."""
    settings = settings_for(tmp_path)
    netdev = settings.projects["netdev"].model_copy(update={"checking": Checking()})
    floor = await floor_for("report", settings)
    floor = replace(floor, settings=settings.model_copy(update={"projects": {"netdev": netdev}}))
    world = await seed(floor, await database.pool())
    async with served(floor) as url:
        yield Site(url, world, floor)


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page that fails the test if the console saw an error, or a stranger's script ran."""
    made = await browser.new_page()
    faults: list[str] = []
    made.on("console", lambda m: faults.append(m.text) if m.type in ("error", "warning") else None)
    made.on("pageerror", lambda e: faults.append(str(e)))
    made.on("dialog", lambda d: faults.append(f"a script of a stranger ran: {d.message}"))
    yield made
    await made.close()
    assert faults == []


def paths(made: Checked) -> tuple[str, ...]:
    below = f"/series/{made.series}"
    names = ("kdoc/3", "cc_maintainers/5", "series_format", "vendor-build/3", "build_clang/2")
    return below, *(f"{below}/checks/{name}" for name in names), "/", "/series", f"/run/{made.runs['tree'].id}"


async def test_the_grid_fills_as_answers_come(site: Site, made: Checked, page: Page) -> None:
    await page.goto(f"{site.url}/series/{made.series}")
    await expect(page.locator("#pulse")).to_have_text("live")
    cell = page.locator(".grid a[href$='/checks/build_32bit/1']")
    await expect(cell).to_have_class("busy running")
    await page.evaluate("document.querySelector('.grid').dataset.mark = 'the same page'")
    await answer(made, "build", "build_32bit", 1, "fail", "Errors and warnings before: 3 this patch: 4")
    await expect(cell).to_have_class("bad fail", timeout=PATIENCE)
    await expect(page.locator(".told")).to_contain_text("this patch: 4")
    # Nothing tells that one has begun; it is looked for while something is to come.
    await a_task(made, "build", "build_32bit", 2, "running", "making defconfig")
    second = page.locator(".grid a[href$='/checks/build_32bit/2']")
    await expect(second).to_have_class("busy running", timeout=PATIENCE)
    await cell.click()
    await expect(page.locator("h1")).to_contain_text("build_32bit")


async def test_a_result_replaces_the_one_that_is_looked_at(site: Site, made: Checked, page: Page) -> None:
    await page.goto(f"{site.url}/series/{made.series}/checks/kdoc/3")
    await expect(page.locator("#pulse")).to_have_text("live")
    assert HOSTILE in await page.locator(".lead").inner_text()
    assert await page.locator(".finding .here").count() == 1
    await a_plan(made, "tree", "running", attempt=1)
    await answer(made, "tree", "kdoc", 3, "success", "Warnings before: 1 after: 1", a_report(3))
    await expect(page.locator(".lead")).to_contain_text("after: 1", timeout=PATIENCE)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_is_readable_on_a_telephone(site: Site, made: Checked, browser: Browser, scheme: str) -> None:
    page = await browser.new_page(
        viewport={"width": 360, "height": 740}, color_scheme="dark" if scheme == "dark" else "light"
    )
    for path in paths(made):
        answer_ = await page.goto(site.url + path)
        assert answer_ is not None
        assert answer_.status == 200, path
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360, path
        pairs = await page.evaluate(
            "[...document.querySelectorAll('.badge, .grid .cell a')].map(b => [getComputedStyle(b).color, "
            "getComputedStyle(b.className.includes('planned') ? document.body : b).backgroundColor, b.textContent])"
        )
        for ink, ground, word in pairs:
            assert contrast(ink, ground) >= 4.5, (scheme, path, word, ink, ground)
    await page.goto(f"{site.url}/series/{made.series}")
    boxes = [await one.bounding_box() for one in await page.locator(".grid tbody tr:first-child th, .cell a").all()]
    assert all(box is not None and box["width"] > 0 and box["x"] + box["width"] <= 360 for box in boxes)


async def test_without_javascript(site: Site, made: Checked, browser: Browser) -> None:
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(f"{site.url}/series/{made.series}")
    await page.locator(".grid a[href$='/checks/kdoc/3']").click()
    await expect(page.locator(".finding").first).to_contain_text("not described")
    await page.locator("summary").click()
    await expect(page.get_by_text("Excess function parameter")).to_be_visible()
    await page.locator(".along a", has_text="2").click()
    await expect(page.locator("h1")).to_contain_text("patch 2")
    await page.go_back()
    await page.get_by_text("the full log").click()
    await expect(page.locator("table.log tr").first).to_contain_text("kernel-doc")
    await context.close()


async def test_a_cell_says_in_words_what_its_colour_says(site: Site, made: Checked, page: Page) -> None:
    await page.goto(f"{site.url}/series/{made.series}")
    cell = page.locator(".grid a[href$='/checks/checkpatch/2']")
    assert (await cell.inner_text()).split() == ["!", "warning"]
    assert (await cell.get_attribute("title") or "").startswith("checkpatch of patch 2: warning")


async def test_an_operator_asks_again_with_a_token(checking: Site, page: Page) -> None:
    owner = checking.world.owner
    made = await checked(checking.floor, owner)
    async with owner.acquire() as conn, conn.transaction():
        token = (await create(conn, Order("x", "", parse_scopes(["admin"])), "ann")).text
    await page.goto(f"{checking.url}/series/{made.series}/checks/kdoc/3")
    await page.get_by_text("Ask this check again").click()
    await expect(page.locator(".recheck code")).to_have_text(
        "netci recheck 20261123080005.5-1-jane@example.org --check kdoc"
    )
    await page.fill("input[name=token]", token)
    await page.fill("input[name=why]", "a flaky tool")
    await page.click(".recheck button")
    await expect(page.locator(".recheck output")).to_contain_text("planned within seconds")
    assert await page.input_value("input[name=token]") == ""
    wish = await owner.fetchval("select payload from floor.work where kind = $1", recheck.KIND)
    assert (wish["series"], wish["checks"], wish["why"]) == (made.series, ["kdoc"], "a flaky tool")


async def test_without_a_token_that_holds_nothing_is_asked(checking: Site, browser: Browser) -> None:
    made = await checked(checking.floor, checking.world.owner)
    page = await browser.new_page()
    await page.goto(f"{checking.url}/series/{made.series}")
    await page.get_by_text("Ask the checks again").click()
    await page.fill("input[name=token]", "netci_nobody")
    await page.click(".recheck button")
    await expect(page.locator(".recheck output")).to_contain_text("token")
    assert await checking.world.owner.fetchval("select count(*) from floor.work") == 0
