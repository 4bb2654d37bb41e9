"""Ten questions that people come with. Each begins at the front page, goes by links that are seen, three clicks at
most, and ends at the sentence that answers."""

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.services.report.web.builders import chosen
from tests.services.report.web.history.builders import name_of
from tests.services.report.web.history.conftest import CRASH, Weeks, weeks

__all__ = ["weeks"]

MOST_CLICKS = 3


class Visitor:
    """Somebody who has never been here, and only clicks what there is to be seen. Typing into a form is free."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self._url = url
        self._clicks = 0

    async def come(self) -> None:
        await self.page.goto(self._url + "/")

    async def click(self, name: str | re.Pattern[str], within: Locator | None = None, role: str = "link") -> None:
        self._clicks += 1
        assert self._clicks <= MOST_CLICKS, f"more than {MOST_CLICKS} clicks"
        place = within or self.page.locator("body")
        found = (
            place.get_by_role("button", name=name) if role == "button" else place.get_by_role("link", name=name)
        ).first
        await expect(found).to_be_visible()
        await found.click()
        await self.page.wait_for_load_state("domcontentloaded")

    async def reads(self, sentence: str | re.Pattern[str]) -> None:
        await expect(self.page.get_by_text(sentence).first).to_be_visible()


@pytest.fixture
async def visitor(weeks: Weeks, browser: Browser) -> AsyncIterator[Visitor]:
    page = await browser.new_page()
    one = Visitor(page, weeks.url)
    await one.come()
    yield one
    await page.close()


TITLE = "net: sockets: count what is dropped"


async def test_why_is_my_series_red(weeks: Weeks, visitor: Visitor) -> None:
    await visitor.click("Series")
    await visitor.click(TITLE)
    await visitor.reads(f"contest is pending, which the next branch may change: {name_of(39)} (tests: 5, failing: 2)")
    await visitor.reads("2 failing: selftests-net/gro.sh, selftests-net/psp.py")


async def test_was_it_me(weeks: Weeks, visitor: Visitor) -> None:
    await visitor.click("Series")
    await visitor.click(TITLE)
    await visitor.reads("1 of 2 failures is likely from this series.")
    await visitor.reads(
        "it failed on each of the 2 branches with this series, and on none of the 38 branches without it"
    )


async def test_how_do_i_repeat_it(weeks: Weeks, visitor: Visitor) -> None:
    await visitor.click("Series")
    await visitor.click(TITLE)
    await visitor.reads(re.compile(r"netci repro http\S+/run/40 --test selftests-net/gro.sh"))


async def test_which_tests_are_flaky_this_week(weeks: Weeks, visitor: Visitor) -> None:
    await visitor.click("Flaky tests")
    first = visitor.page.locator("tbody tr").first
    await expect(first).to_contain_text("selftests-net/tls")
    await expect(first).to_contain_text("12 (5 to 26)")
    await expect(visitor.page.get_by_role("columnheader", name="This week")).to_be_visible()


async def test_when_did_this_test_start_failing_and_on_which_branch(weeks: Weeks, visitor: Visitor) -> None:
    await visitor.click("Flaky tests")
    await visitor.click("selftests-net/psp.py")
    await visitor.reads(re.compile(f"fails since {name_of(34)} .*it passed last on {name_of(33)}"))


async def test_which_lab_is_late(weeks: Weeks, visitor: Visitor) -> None:
    await weeks.owner.execute(
        "insert into ledger.runs (day, project, stream, branch, cut_id, remote, executor, started, expected_end) "
        "values (current_date, 'netdev', 'net-next', $2, $1, 'lab-x', 'cx7', now() - interval '5 hours', "
        "now() - interval '2 hours')",
        weeks.cuts[-1], name_of(39),
    )  # fmt: skip
    await visitor.click("Labs")
    await visitor.reads("Late, as past the expected end: lab-x (1 run).")


async def test_what_is_in_the_newest_branch_and_what_was_left_out(weeks: Weeks, visitor: Visitor) -> None:
    await weeks.owner.execute(
        "delete from branch.selections where cut_id = $1 and series_id = $2", weeks.cuts[-1], weeks.other
    )
    await chosen(
        weeks.owner, weeks.cuts[-1], weeks.other, 2, "leave", rule="conflict",
        reason="patch 1 does not apply on this branch", patch_number=1, rival=weeks.jane,
    )  # fmt: skip
    await visitor.come()
    await visitor.click(name_of(39))
    await visitor.reads("patch 1 does not apply on this branch")
    await expect(visitor.page.get_by_role("heading", name="Left out 1")).to_be_visible()
    await expect(visitor.page.get_by_role("heading", name="On it 1")).to_be_visible()
    await visitor.reads(TITLE)


async def test_which_of_my_patches_wait_for_what(weeks: Weeks, visitor: Visitor) -> None:
    await visitor.click("My series")
    await visitor.page.get_by_label("Author's address").fill("jane@example.org")
    await visitor.click("Show", role="button")
    row = visitor.page.get_by_role("row").filter(has_text=TITLE)
    await expect(row).to_contain_text("It applies to net-next; contest is pending, which the next branch may change")


async def test_what_does_this_crash_look_like_elsewhere(weeks: Weeks, visitor: Visitor) -> None:
    await visitor.click("Flaky tests")
    await visitor.click("Crashes")
    await visitor.click(CRASH)
    await visitor.reads("Seen 2 times, on 2 branches in 1 lab")
    await visitor.reads(name_of(38))


async def test_how_do_i_get_notified(weeks: Weeks, visitor: Visitor) -> None:
    await visitor.click("Follow")
    await visitor.reads("Follow a feed, keep a page open, register a webhook or listen to the stream of events")
    await expect(visitor.page.get_by_role("link", name="branches.atom?stream=net-next")).to_be_visible()
