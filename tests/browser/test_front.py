"""The front in Chromium: no errors, filters, rows that come by themselves, and everything without JavaScript."""

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect

from shared.ledger.write import Ending
from shared.model.results import Case, Result
from tests.browser.conftest import Site
from tests.browser.paths import PATHS
from tests.services.report.web.builders import HOSTILE, OLDER, a_series


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page that fails the test if the console saw an error."""
    made = await browser.new_page()
    faults: list[str] = []
    made.on("console", lambda m: faults.append(m.text) if m.type in ("error", "warning") else None)
    made.on("pageerror", lambda e: faults.append(str(e)))
    yield made
    await made.close()
    assert faults == []


async def test_pages_load_and_nothing_of_a_stranger_runs(site: Site, page: Page) -> None:
    page.on("dialog", lambda d: pytest.fail(f"a script of a stranger ran: {d.message}"))
    for path in PATHS:
        answer = await page.goto(site.url + path)
        assert answer is not None
        assert answer.status == 200, path
        assert await page.locator("h1").count() == 1, path
    await page.goto(f"{site.url}/series/2")
    assert HOSTILE in await page.locator("h1").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_page_is_wider_than_a_telephone(site: Site, browser: Browser, scheme: str) -> None:
    page = await browser.new_page(
        viewport={"width": 360, "height": 740}, color_scheme="dark" if scheme == "dark" else "light"
    )
    for path in PATHS:
        await page.goto(site.url + path)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360, path
    dark = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (dark == "rgb(255, 255, 255)") is (scheme == "light")


async def test_filters_are_in_the_address(site: Site, page: Page) -> None:
    await page.goto(f"{site.url}/contest")
    rows = page.locator("table.results tbody tr")
    await expect(rows).to_have_count(5)
    await page.uncheck("input[name=pass]")
    await page.uncheck("input[name=skip]")
    await page.click("button")
    await expect(rows).to_have_count(1)
    await expect(rows.first).to_contain_text("fib_tests.sh")
    assert "fail=1" in page.url
    await page.reload()
    await expect(rows).to_have_count(1)
    assert not await page.is_checked("input[name=pass]")
    await rows.first.get_by_text("history").click()
    await expect(page.locator("input[name=test]")).to_have_value("fib_tests.sh")


async def test_a_result_comes_by_itself(site: Site, page: Page) -> None:
    await page.goto(f"{site.url}/run/2")
    await expect(page.locator("#pulse")).to_have_text("live")
    await expect(page.locator("table.tests > tbody > tr")).to_have_count(1)
    world = site.world
    async with world.owner.acquire() as conn, conn.transaction():
        await conn.execute("update ledger.runs set progressed = null where id = $1", world.open.id)
        await world.ledger.append(conn, world.open, [Case("selftests-net", "new_test.sh", Result.FAIL)])
    await expect(page.locator("table.tests")).to_contain_text("new_test.sh")
    async with world.owner.acquire() as conn, conn.transaction():
        await world.ledger.finish(conn, world.open, Ending())
    await expect(page.locator(".lead")).to_contain_text("1 fail")


async def test_the_status_page_moves_and_keeps_what_was_opened(site: Site, page: Page) -> None:
    await page.goto(site.url)
    await expect(page.locator("#pulse")).to_have_text("live")
    older = page.locator(f"h4:has-text('{OLDER}') + details")
    await older.locator("summary").click(position={"x": 3, "y": 8})
    await expect(older).to_have_attribute("open", "")
    world = site.world
    async with world.owner.acquire() as conn, conn.transaction():
        await world.ledger.finish(conn, world.open, Ending())
    await expect(page.locator("#live-runs")).to_contain_text("No run is in progress")
    await expect(older).to_have_attribute("open", "")


async def test_without_javascript(site: Site, browser: Browser) -> None:
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    for path in PATHS:
        answer = await page.goto(site.url + path)
        assert answer is not None
        assert answer.status == 200, path
    await page.goto(f"{site.url}/contest")
    await page.uncheck("input[name=pass]")
    await page.click("button")
    await expect(page.locator("table.results tbody tr")).to_have_count(2)
    await page.goto(f"{site.url}/run/1")
    await page.locator("summary", has_text="tls").click()
    await expect(page.get_by_text("12_gcm.send")).to_be_visible()
    await context.close()


async def test_the_keyboard_reaches_the_content_first(site: Site, page: Page) -> None:
    await page.goto(site.url)
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "Skip to the content"
    await page.keyboard.press("Enter")
    assert page.url.endswith("#main")


async def test_states_can_be_told_apart_in_both_schemes(site: Site, browser: Browser) -> None:
    """Contrast of each badge's word to its ground is at least 4.5 (WCAG 2.2, 1.4.3)."""
    for scheme in ("light", "dark"):
        page = await browser.new_page(color_scheme="dark" if scheme == "dark" else "light")
        for path in ("/", "/series/1", "/contest"):
            await page.goto(site.url + path)
            pairs = await page.evaluate(
                "[...document.querySelectorAll('.badge')].map(b => [getComputedStyle(b).color, "
                "getComputedStyle(b).backgroundColor, b.textContent])"
            )
            for ink, ground, word in pairs:
                assert contrast(ink, ground) >= 4.5, (scheme, path, word, ink, ground)
        await page.close()


async def test_a_new_series_appears_in_the_list(site: Site, page: Page) -> None:
    from shared.db.outbox import stage
    from tests.services.report.web.builders import an_arrival

    await page.goto(f"{site.url}/series")
    await expect(page.locator("#pulse")).to_have_text("live")
    number = await a_series(site.world.owner, 9, "mptcp: a new one")
    async with site.world.owner.acquire() as conn, conn.transaction():
        await stage(conn, "ingest", an_arrival(number, "mptcp: a new one"))
    await expect(page.locator("tbody tr").first).to_contain_text("mptcp: a new one")


def contrast(one: str, other: str) -> float:
    """The ratio of two CSS rgb() colours as WCAG defines it."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(n) / 255 for n in re.findall(r"\d+", colour)[:3]]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


async def test_a_result_is_in_sight_on_a_telephone(site: Site, browser: Browser) -> None:
    page = await browser.new_page(viewport={"width": 360, "height": 740})
    await page.goto(f"{site.url}/contest")
    box = await page.locator("table.results tbody tr").first.locator(".badge").first.bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 360


async def test_a_table_is_sorted_by_several_columns_and_stays_so(site: Site, page: Page) -> None:
    await page.goto(f"{site.url}/contest")

    async def shown(column: int) -> list[str]:
        cells = page.locator(f"table.results tbody tr td:nth-child({column})")
        return [text.split()[0] for text in await cells.all_inner_texts()]

    await page.get_by_role("button", name="Test", exact=True).click()
    names = await shown(6)
    assert names == sorted(names)
    await page.get_by_role("button", name="Test", exact=True).click()
    assert await shown(6) == sorted(names, reverse=True)
    await expect(page.locator("th[aria-sort]")).to_have_attribute("aria-sort", "descending")
    await page.get_by_role("button", name="Result", exact=True).click()
    await page.get_by_role("button", name="Time").click(modifiers=["Shift"])
    assert await page.locator("th[aria-sort]").count() == 2
    results = await shown(7)
    assert results == sorted(results)
