"""axe-core over every page, light and dark, wide and narrow: nothing serious."""

from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser

from tests.browser.conftest import Site
from tests.browser.paths import PATHS, WEEKS, filled
from tests.services.report.web.history.conftest import Weeks, weeks

__all__ = ["weeks"]

SERIOUS = ("serious", "critical")


async def found_on(browser: Browser, urls: list[str], scheme: str, width: int) -> list[str]:
    """What axe holds against each page: the rule and where."""
    context = await browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme="dark" if scheme == "dark" else "light", bypass_csp=True
    )
    page, faults = await context.new_page(), []
    for url in urls:
        await page.goto(url)
        results: dict[str, Any] = (await Axe().run(page)).response
        faults += [
            f"{url} {one['id']}: {node['html'][:200]}"
            for one in results["violations"]
            if one["impact"] in SERIOUS
            for node in one["nodes"][:3]
        ]
        assert results["passes"], url
    await context.close()
    return faults


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
async def test_nothing_serious(site: Site, browser: Browser, scheme: str, width: int) -> None:
    assert await found_on(browser, [site.url + path for path in PATHS], scheme, width) == []


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1280)])
async def test_nothing_serious_on_histories(weeks: Weeks, browser: Browser, scheme: str, width: int) -> None:
    assert await found_on(browser, [weeks.url + filled(path, weeks) for path in WEEKS], scheme, width) == []
