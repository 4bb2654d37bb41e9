"""Names of strangers on the pages of histories: shown harmless, in Chromium, in feeds and in badges."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote
from xml.etree.ElementTree import fromstring

import httpx
import pytest
from playwright.async_api import Browser

from shared.floor import Floor
from shared.ledger.write import Ending, Ledger, Opening
from shared.model.results import Case, Result
from tests.conftest import Database, FloorFor
from tests.services.report.web.builders import a_cut, a_series, chosen, served, settings_for
from tests.services.report.web.history.builders import GROUP, judged, name_of

MARKUP = '"><img src=x onerror=alert(1)><script>alert(2)</script>'
BIDI = "safe\u202etxt.exe\u2066 \u200f"
SCRIPT = "javascript:alert(3)"
LONG = "w" * 500
CONTROL = "a\x1b[31mred\x07\x9b b"
NAMES = (MARKUP, SCRIPT, LONG, "{{ 7 * 7 }}", "<svg/onload=alert(4)>", "../../etc/passwd", "%2e%2e%2f")
CRASH = f"WARNING in {MARKUP}"
LOOKALIKE = "https://patchwork.kernel.org@evil.example/"


@pytest.fixture
async def hostile(database: Database, floor_for: FloorFor, tmp_path: Path) -> AsyncIterator[tuple[str, int]]:
    """A front over three branches of a stranger's results, and a series with a stranger's title."""
    floor: Floor = await floor_for("report", settings_for(tmp_path))
    owner = await database.pool()
    title = f"{MARKUP}{BIDI}{CONTROL}" + "x" * 10_000
    series = await a_series(owner, 1, title, author_name=f"{MARKUP}{BIDI}", web_url=SCRIPT, reason=BIDI)
    for n in range(3):
        cut = await a_cut(owner, name_of(n), floor.clock())
        await owner.execute("update branch.cuts set slot = now() - $2 * interval '1 hour' where id = $1", cut, 3 - n)
        await chosen(owner, cut, series, 1, reason=MARKUP + BIDI)
        ledger, result = Ledger("executor"), Result.FAIL if n else Result.PASS
        bad = Case(GROUP, "x", result, seconds=1.0, crashes=(CRASH,) if n else (), link=SCRIPT, detail=MARKUP + BIDI)
        cases = [replace(bad, test=name) for name in NAMES] + [replace(bad, group=MARKUP, test=BIDI, link=LOOKALIKE)]
        async with owner.acquire() as conn, conn.transaction():
            opening = Opening(
                "netdev", "metal", "vmksft-net", "net-next", name_of(n), cut_id=cut, device={MARKUP: BIDI}
            )
            run = await ledger.open(conn, opening)
            await ledger.append(conn, run, cases)
            await ledger.finish(conn, run, Ending())
        await judged(floor, owner, cut)
    async with served(floor) as url:
        yield url, series


def paths(series: int) -> list[str]:
    tests = [f"/test?group={GROUP}&test={quote(name, safe='')}" for name in NAMES]
    return [
        "/", "/flakes", "/matrix?min-flip=0", "/crashes", f"/crash?title={quote(CRASH)}", *tests, "/contest",
        "/devices",
        f"/test?group={quote(MARKUP, safe='')}&test={quote(BIDI, safe='')}", f"/series/{series}", "/series", "/run/2",
        "/mine?who=jane@example.org", f"/mine?who={quote(MARKUP)}",
        f"/flakes?needle={quote(MARKUP)}&remote={quote(BIDI)}",
        f"/compare?after={name_of(2)}&before={name_of(0)}", f"/known?test={quote(MARKUP)}",
        f"/login?next={quote(SCRIPT)}",
        f"/matrix?needle={quote(MARKUP)}", f"/branch/{name_of(2)}",
    ]  # fmt: skip


@pytest.mark.parametrize("width", [1280, 360])
async def test_nothing_of_a_stranger_runs_or_breaks_out(hostile: tuple[str, int], browser: Browser, width: int) -> None:
    url, series = hostile
    page = await browser.new_page(viewport={"width": width, "height": 800})
    page.on("dialog", lambda d: pytest.fail(f"a script of a stranger ran: {d.message}"))
    faults: list[str] = []
    page.on("console", lambda m: faults.append(f"{page.url} {m.text}") if m.type in ("error", "warning") else None)
    for path in paths(series):
        answer = await page.goto(url + path)
        assert answer is not None
        assert answer.status == 200, path
        assert (
            await page.locator("img:not([src^='/']), script:not([src]), svg[onload], iframe, [onerror]").count() == 0
        ), path
        links = await page.eval_on_selector_all("a", "all => all.map(a => a.getAttribute('href'))")
        assert not [link for link in links if link.strip().lower().startswith(("javascript:", "data:", "vbscript:"))], (
            path
        )
        text = await page.inner_text("body")
        assert not set(text) & set("\u202e\u2066\u200f\x1b\x07\x9b"), path
        assert "49" not in await page.title(), path
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
    await page.close()
    assert faults == []


async def test_feeds_and_badges_hold_text_alone(hostile: tuple[str, int]) -> None:
    url, series = hostile
    async with httpx.AsyncClient(base_url=url) as http:
        tests = [path.removeprefix("/test?") for path in paths(series) if path.startswith("/test?")]
        feeds = [f"/test.atom?{query}" for query in tests]
        for path in (f"/series/{series}.atom", "/mine.atom?who=jane@example.org", "/branches.atom", *feeds):
            answer = await http.get(path)
            assert answer.status_code == 200, path
            root = fromstring(answer.content)
            assert not set(answer.text) & set("\u202e\u2066\x1b\x07"), path
            assert {element.tag.rpartition("}")[2] for element in root.iter()} <= {
                "feed", "title", "id", "updated", "link", "author", "name", "entry", "summary",
            }, path  # fmt: skip
            assert all(
                link.attrib["href"].startswith("http") for link in root.iter("{http://www.w3.org/2005/Atom}link")
            )
        for path in (f"/test.svg?{query}" for query in tests):
            answer = await http.get(path)
            assert answer.status_code == 200, path
            assert {element.tag.rpartition("}")[2] for element in fromstring(answer.content).iter()} <= {
                "svg", "title", "rect", "g", "text",
            }, path  # fmt: skip


async def test_links_of_results_lead_to_the_web_or_nowhere(hostile: tuple[str, int], browser: Browser) -> None:
    url, _ = hostile
    page = await browser.new_page()
    await page.goto(f"{url}/run/2")
    there = await page.eval_on_selector_all("td a[rel~=nofollow]", "all => all.map(a => a.getAttribute('href'))")
    assert there == [LOOKALIKE]
    await page.close()
