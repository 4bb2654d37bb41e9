"""branches.json, read as NIPA's executors read it: their rules, field by field."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from tests.services.report.web.builders import BRANCH, OLDER, URL, a_cut, sha
from tests.services.report.web.conftest import Site

NAME = re.compile(r".+-\d{4}-\d{2}-\d{2}--\d{2}-\d{2}$")


async def listed(site: Site, path: str = "/branches.json") -> list[dict[str, Any]]:
    async with aiohttp.ClientSession() as http, http.get(site.url + path) as answer:
        assert answer.status == 200
        assert answer.content_type == "application/json"
        found: list[dict[str, Any]] = await answer.json()
        return found


def to_test(branches: list[dict[str, Any]], last: datetime) -> tuple[str | None, datetime]:
    """What an executor tests next: the one with the newest date after `last`, which it remembers."""
    newest, chosen = last, None
    for branch in branches:
        when = datetime.fromisoformat(branch["date"])
        if when > newest:
            newest, chosen = when, branch["branch"]
    return chosen, newest


async def test_every_field_is_as_their_programs_need_it(site: Site) -> None:
    branches = await listed(site)
    assert [branch["branch"] for branch in branches] == [OLDER, BRANCH]
    for branch in branches:
        assert set(branch) == {"branch", "date", "base", "url"}
        # Sliced by position: the last seventeen characters are the date, before them a dash and the stream.
        assert NAME.fullmatch(branch["branch"])
        assert branch["branch"][:-18] == "net-next"
        datetime.strptime(branch["branch"][-17:] + " +0000", "%Y-%m-%d--%H-%M %z")
        # Compared with an aware time, which one without a zone cannot be.
        assert datetime.fromisoformat(branch["date"]).utcoffset() == timedelta(0)
        assert branch["date"].endswith("+00:00")
        assert "T" in branch["date"]
        assert re.fullmatch("[0-9a-f]{40}", branch["base"])
        # One blank: the repository before it, the branch after.
        assert branch["url"].split(" ") == [URL, branch["branch"]]


async def test_dates_rise_so_that_no_branch_is_passed_over(site: Site) -> None:
    """An executor never goes back: what is published later has a later date and stands further down."""
    now = datetime.now(UTC).replace(microsecond=123456)
    # Cut first and pushed last: git had to be asked twice.
    await site.world.owner.execute("update branch.cuts set pushed = $1 where name = $2", now, OLDER)
    dates = [datetime.fromisoformat(branch["date"]) for branch in await listed(site)]
    assert dates == sorted(dates)
    assert dates[-1] == now


async def test_their_choice_is_the_newest_and_nothing_twice(site: Site) -> None:
    week_ago = datetime.now(UTC) - timedelta(weeks=1)
    chosen, last = to_test(await listed(site), week_ago)
    assert chosen == BRANCH
    assert to_test(await listed(site), last) == (None, last)
    fresh = "net-next-2026-11-23--12-00"
    await a_cut(site.world.owner, fresh, datetime.now(UTC))
    assert to_test(await listed(site), last)[0] == fresh


@pytest.mark.parametrize(
    "more",
    [{"purpose": "try"}, {"state": "built", "announced": None, "pushed": None}, {"state": "pruned"}, {"commit": ""}],
)
async def test_what_cannot_be_fetched_is_not_listed(site: Site, more: dict[str, Any]) -> None:
    await a_cut(site.world.owner, "net-next-2026-11-23--15-00", datetime.now(UTC), **more)
    assert [branch["branch"] for branch in await listed(site)] == [OLDER, BRANCH]


async def test_both_addresses_say_the_same_and_forty_at_most(site: Site) -> None:
    start = datetime.now(UTC) - timedelta(hours=1)
    for minute in range(45):
        await a_cut(
            site.world.owner, f"net-next-2026-11-24--01-{minute:02}", start + timedelta(minutes=minute), base=sha("b")
        )
    branches = await listed(site)
    assert branches == await listed(site, "/query/branches")
    assert len(branches) == 40
    assert branches[-1]["branch"] == "net-next-2026-11-24--01-44"
