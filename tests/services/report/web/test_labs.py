"""What labs say, on pages: with its links and its machine, as harmless text; a trial nowhere."""

import json
from dataclasses import replace

import aiohttp

from shared.formats.run_columns import to_columns
from shared.ledger import Check, Ending, Ledger, Opening
from shared.model.ids import RunId
from shared.model.results import Case, CheckState, Result
from tests.services.report.web.builders import BRANCH, an_opening
from tests.services.report.web.conftest import Site

EVIL = '<script>alert("x")</script>'
DEVICE = {"nic": {"driver": EVIL, "ports": 2}, "serial": "A-17"}
CASE = Case("selftests-net", f"t{EVIL}", Result.FAIL, detail=EVIL, link="https://lab.example/t?a=1&b=2")


async def posted(site: Site, opening: Opening) -> RunId:
    async with site.world.owner.acquire() as conn, conn.transaction():
        run = await Ledger("ingest").whole(conn, opening, to_columns([CASE]), Ending())
    return run.id


async def text_of(site: Site, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as http, http.get(site.url + path) as answer:
        return answer.status, await answer.text()


def of_a_lab(site: Site) -> Opening:
    return replace(
        an_opening(site.world.cut, BRANCH), remote="vendor", executor="cx7", device=DEVICE, link="https://lab.example/7"
    )


async def test_a_labs_run_has_its_machine_and_its_links(site: Site) -> None:
    run = await posted(site, of_a_lab(site))
    status, page = await text_of(site, f"/run/{run}")
    assert status == 200
    assert '<a href="https://lab.example/7" rel="noopener nofollow">' in page
    assert '<a href="https://lab.example/t?a=1&amp;b=2" rel="noopener nofollow">' in page
    assert "<dt>nic.driver</dt>" in page
    assert "<dt>serial</dt><dd>A-17</dd>" in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


async def test_links_of_another_kind_are_no_links(site: Site) -> None:
    run = await posted(site, replace(of_a_lab(site), link="javascript:alert(1)"))
    assert "javascript:alert" not in (await text_of(site, f"/run/{run}"))[1]


async def test_what_labs_said_of_a_series_is_shown_with_who_said_it(site: Site) -> None:
    series = site.world.good
    opening = Opening("netdev", "vendor", "bot", series_id=series)
    run = await posted(site, opening)
    async with site.world.owner.acquire() as conn, conn.transaction():
        for patch, link in ((0, "https://lab.example/c"), (1, "ftp://lab.example/c")):
            check = Check("netdev", series, 1, "vendor-build", CheckState.WARNING, run, patch, f"says {EVIL}", link)
            assert await Ledger("ingest").check(conn, check)
    _, page = await text_of(site, f"/series/{series}")
    assert 'title="vendor-build of patch 1: warning' in page
    assert f'<a href="/run/{run}">vendor/bot</a>' in page
    assert '<a href="https://lab.example/c" rel="noopener nofollow">' in page
    assert "ftp://" not in page
    assert "<script>alert" not in page
    assert ">not posted</small>" in page
    twin = json.loads((await text_of(site, f"/series/{series}.json"))[1])
    assert [(c["context"], c["patch"], c["posted"]) for c in twin["checks"]] == [
        ("vendor-build", 0, False), ("vendor-build", 1, False),
    ]  # fmt: skip


async def test_a_trial_is_on_no_page(site: Site) -> None:
    trial = await posted(site, replace(of_a_lab(site), executor="sandboxed-vm", trial=True, visibility="operator"))
    hidden = await posted(site, replace(of_a_lab(site), executor="hidden-vm", visibility="project"))
    on_series = Opening(
        "netdev", "vendor", "sandboxed-vm", series_id=site.world.good, trial=True, visibility="operator"
    )  # fmt: skip
    await posted(site, on_series)
    for run in (trial, hidden):
        for path in (f"/run/{run}", f"/run/{run}.json", f"/api/v1/runs/{run}", f"/api/v1/runs/{run}/cases"):
            assert (await text_of(site, path))[0] == 404, path
    paths = (
        "/", "/status.json", f"/branch/{BRANCH}", f"/branch/{BRANCH}.json", "/contest", "/contest.json",
        f"/series/{site.world.good}", f"/series/{site.world.good}.json", "/events", "/api/v1/events", "/query/branches",
    )  # fmt: skip
    for path in paths:
        page = (await text_of(site, path))[1]
        assert "sandboxed-vm" not in page, path
        assert "hidden-vm" not in page, path
        assert "vendor" not in page, path
