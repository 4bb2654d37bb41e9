"""Chromium, real: missing is a failure that says what to install."""

import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright

from tests.services.report.web.conftest import Site, site

__all__ = ["Site", "site"]

ARGS = (
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
)  # fmt: skip


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.fail("no chromium on this machine; apt-get install chromium", pytrace=False)
    async with async_playwright() as playwright:
        made = await playwright.chromium.launch(executable_path=program, args=list(ARGS))
        yield made
        await made.close()
