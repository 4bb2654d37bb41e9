"""Statistics of checks, and devices: what each is and what of it changed."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx

from services.report.web.charts import bars
from services.report.web.devices import differences
from services.report.web.statistics import by_context, by_day
from shared.db.pool import Pool
from tests.services.report.web.builders import a_series
from tests.services.report.web.conftest import Site


async def ask(site: Site, path: str) -> Any:
    async with httpx.AsyncClient(base_url=site.url) as http:
        answer = await http.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json() if "json" in answer.headers["content-type"] else answer.text


async def a_post(
    owner: Pool, series: int, number: int, context: str, state: str, days: int = 1, text: str = "says"
) -> None:
    await owner.execute(
        "insert into report.posts (project, channel, series_id, patch_id, external_patch, context, state, text, mode, "
        "status, made) select 'netdev', 'patchwork', $1, id, 5, $3, $4, $5, 'shadow', 'shadowed', $6 "
        "from ingest.patches where series_id = $1 and number = $2",
        series, number, context, state, text, datetime.now(UTC) - timedelta(days=days),
    )  # fmt: skip


async def test_the_last_word_on_each_patch_is_counted(site: Site) -> None:
    owner = site.world.owner
    await owner.execute("delete from report.posts")
    one, other = await a_series(owner, 71, "net: a"), await a_series(owner, 72, "net: b", author_name="Bob")
    await owner.execute("update ingest.patches set author_name = 'Bob' where series_id = $1", other)
    await a_post(owner, one, 1, "kdoc", "fail", 20)
    await a_post(owner, one, 1, "kdoc", "success", 19)
    await a_post(owner, one, 2, "kdoc", "fail", 3, "missing colon")
    await a_post(owner, other, 1, "kdoc", "fail", 30, "missing colon")
    await a_post(owner, other, 1, "cc", "warning", 30)
    await a_post(owner, other, 2, "cc", "pending", 3)
    found = await ask(site, "/checks/statistics.json")
    counts = ("context", "all", "fail", "warning", "all_lately", "fail_lately")
    assert [tuple(c[name] for name in counts) for c in found["contexts"]] == [
        ("kdoc", 3, 2, 0, 1, 1), ("cc", 1, 0, 1, 0, 0),
    ]  # fmt: skip
    assert [(a["author"], a["failing"], a["patches"]) for a in found["authors"]] == [("Bob", 1, 1), ("Jane Doe", 1, 2)]
    assert found["outputs"][0] == {"context": "kdoc", "state": "fail", "text": "missing colon", "count": 2}
    assert [(d["success"], d["warning"], d["fail"]) for d in found["by_day"]] == [(0, 0, 1), (1, 0, 0), (0, 0, 1)]
    page = await ask(site, "/checks")
    assert "missing colon" in page
    assert 'class="chart"' in page


async def test_only_accepted_patches_where_that_is_asked(site: Site) -> None:
    owner = site.world.owner
    await owner.execute("delete from report.posts")
    one = await a_series(owner, 71, "net: a")
    await owner.execute("update ingest.patches set state = 'accepted' where series_id = $1 and number = 1", one)
    await a_post(owner, one, 1, "kdoc", "fail")
    await a_post(owner, one, 2, "kdoc", "success")
    assert [(c["all"], c["fail"]) for c in (await ask(site, "/checks/statistics.json?accepted=1"))["contexts"]] == [
        (1, 1)
    ]
    assert "Of all patches" in await ask(site, "/checks.html?accepted=1")


async def test_a_device_has_its_facts_what_changed_and_its_tests(site: Site) -> None:
    owner = site.world.owner
    now = datetime.now(UTC)
    for days, fw in ((9, "28.39"), (2, "28.40")):
        await owner.execute(
            "insert into report.devices values ('metal', 'vmksft-net', $1, $2)", now - timedelta(days=days),
            {"nic": "CX7", "fw": fw},
        )  # fmt: skip
    (one,) = (await ask(site, "/devices.json"))["devices"]
    assert (one["executor"], dict(one["facts"]), one["old"]) == ("vmksft-net", {"nic": "CX7", "fw": "28.40"}, False)
    assert one["tests"] == one["steady"] + 4
    found = await ask(site, "/devices/metal/vmksft-net.json")
    assert found["changes"][0]["changed"] == [{"name": "fw", "before": "28.39", "after": "28.40"}]
    assert {t["test"] for t in found["tests"]} == {"tls", "gro.sh", "fib_tests.sh"}
    page = await ask(site, "/devices/metal/vmksft-net")
    assert "28.39" in page
    async with httpx.AsyncClient(base_url=site.url) as http:
        assert (await http.get("/devices/metal/nothing")).status_code == 404
    await owner.execute("update report.stability set last_update = now() - interval '15 days'")
    assert "1 that told nothing for two weeks" in await ask(site, "/devices.html?later")


def test_what_is_not_told_any_more_is_a_change() -> None:
    assert differences({"a": "1", "b": {"c": 2}}, {"b": {"c": 3}, "d": "x"}) == [
        {"name": "b.c", "before": "2", "after": "3"}, {"name": "d", "before": "", "after": "x"},
        {"name": "a", "before": "1", "after": ""},
    ]  # fmt: skip
    assert differences(None, None) == []


def test_days_are_stacked_and_a_check_that_fails_most_is_first() -> None:
    days = by_day(
        [
            {"day": date(2026, 11, 2), "worst": "fail", "patches": 2},
            {"day": date(2026, 11, 1), "worst": "success", "patches": 1},
        ]
    )
    assert days == [
        {"day": date(2026, 11, 1), "success": 1, "warning": 0, "fail": 0},
        {"day": date(2026, 11, 2), "success": 0, "warning": 0, "fail": 2},
    ]
    assert "2026-11-02: 0 success, 0 warning, 2 fail" in str(bars(days))
    assert bars([]) == ""
    row = {"warning": 0, "all_lately": 0, "fail_lately": 0}
    rows = by_context([row | {"context": "a", "all": 9, "fail": 1}, row | {"context": "b", "all": 2, "fail": 1}])
    assert [r["context"] for r in rows] == ["b", "a"]
