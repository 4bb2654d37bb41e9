"""Pages of checks: the grid on the series' page, a page for each result, the queue on the status page."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from shared.blobs.record import keep
from shared.formats.check_report import artifact
from tests.services.report.web.builders import HOSTILE
from tests.services.report.web.checked import Checked, a_plan, a_report, a_task, answer, checked
from tests.services.report.web.conftest import Site

ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;"


@pytest.fixture
async def made(site: Site) -> Checked:
    return await checked(site.floor, site.world.owner)


@pytest.fixture
async def client(site: Site) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(site.url) as session:
        yield session


async def get(client: aiohttp.ClientSession, path: str, status: int = 200) -> str:
    async with client.get(path) as reply:
        text = await reply.text()
        assert reply.status == status, f"{path}: {reply.status} {text[:500]}"
        return text


async def get_json(client: aiohttp.ClientSession, path: str) -> Any:
    return json.loads(await get(client, path))


async def test_the_series_page_has_every_check_of_every_patch(made: Checked, client: aiohttp.ClientSession) -> None:
    data = await get_json(client, f"/api/v1/series/{made.series}")
    grid = data["grid"]
    assert grid["columns"] == [0, 1, 2, 3, 4, 5]
    assert grid["counts"] == {
        "fail": 2, "infra": 1, "warning": 2, "success": 40, "running": 1, "planned": 9, "all": 55
    }  # fmt: skip
    assert [(cell["context"], cell["patch"]) for cell in grid["told"]][:3] == [
        ("kdoc", 3), ("vendor-build", 3), ("cc_maintainers", 5)
    ]  # fmt: skip
    assert [row["context"] for row in grid["rows"] if not row["posted"]] == ["vendor-build"]
    assert [(q["lane"], q["state"], q["position"]) for q in data["queue"]] == [
        ("tree", "running", 0), ("build", "running", 0)
    ]  # fmt: skip
    page = await get(client, f"/series/{made.series}")
    assert f'href="/series/{made.series}/checks/kdoc/3" title="kdoc of patch 3: fail – {ESCAPED}' in page
    assert f'href="/series/{made.series}/checks/series_format"' in page
    assert 'data-every="5"' in page
    assert HOSTILE not in page
    assert "10.1.2.3" not in page


async def test_a_result_is_shown_with_what_is_new_first(made: Checked, client: aiohttp.ClientSession) -> None:
    path = f"/series/{made.series}/checks/kdoc/3"
    page = await get(client, path)
    assert HOSTILE not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    order = ["not described", "that was there before", "See it at home", "the full log"]
    assert sorted(order, key=page.index) == order
    assert "judged by the base&#39;s scripts" in page
    assert '<tr class="here"><td class="no">41</td>' in page
    assert "and 12 more, in the log" in page
    assert await get_json(client, f"{path}.json") == await get_json(client, f"/api/v1{path}")
    data = await get_json(client, f"/api/v1{path}")
    assert (data["cell"]["state"], data["patch"], data["report"]["counts"]) == ("fail", 3, {"before": 1, "after": 5})
    assert [one["state"] for one in data["along"]] == ["success", "success", "fail", "success", "success"]
    assert [one["short"] for one in data["files"]] == ["log", "files/diff stat.txt"]


async def test_the_log_and_the_files_are_read_as_text(made: Checked, client: aiohttp.ClientSession) -> None:
    page = await get(client, f"/series/{made.series}/checks/kdoc/3")
    run = made.runs["tree"].id
    for name in ("log", "files/diff%20stat.txt"):
        href = f"/run/{run}/log/checks/3/kdoc/{name}"
        assert f'href="{href}"' in page
        await get(client, href)
        async with client.get(f"{href}?raw=1") as reply:
            assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
            assert reply.headers["X-Content-Type-Options"] == "nosniff"
            assert "sandbox" in reply.headers["Content-Security-Policy"]
    assert "Lines 5001 and on" in await get(client, f"/run/{run}/log/checks/3/kdoc/log")


async def test_what_is_still_to_come_says_so(made: Checked, client: aiohttp.ClientSession) -> None:
    assert "making defconfig" in await get(client, f"/series/{made.series}/checks/build_32bit/1")
    infra = await get(client, f"/series/{made.series}/checks/cc_maintainers/5")
    assert "Something of ours did not work" in infra
    assert "10.1.2.3" not in infra
    assert "of the series" in await get(client, f"/series/{made.series}/checks/series_format")
    # Posted on every patch, it is asked for by any.
    assert "of the series" in await get(client, f"/series/{made.series}/checks/series_format/2")


async def test_what_a_lab_said_is_shown_as_the_labs(made: Checked, client: aiohttp.ClientSession) -> None:
    page = await get(client, f"/series/{made.series}/checks/vendor-build/3")
    assert 'href="https://lab.example/3" rel="noopener nofollow"' in page
    assert "lab-x/bot" in page
    # Whatever a lab names its files, its words are no document of ours.
    run = await made.owner.fetchval("select id from ledger.runs where remote = 'lab-x' and series_id = $1", made.series)
    sha256 = await keep(made.floor, b"{}")
    name = artifact(3, "vendor-build")
    await made.owner.execute("insert into ledger.artifacts (run_id, name, sha256, size) values ($1, $2, $3, 2)",
                             run, name, sha256)  # fmt: skip
    data = await get_json(client, f"/series/{made.series}/checks/vendor-build/3.json")
    assert data["report"] is None


async def test_a_persons_word_stands_before_what_the_check_said(made: Checked, client: aiohttp.ClientSession) -> None:
    for patch in (0, 3):
        await made.owner.execute(
            "insert into report.verdicts (series_id, revision, context, patch, project, state, settled, text, by_hand) "
            "values ($1, 1, 'kdoc', $2, 'netdev', 'success', true, 'Set by ann: wrong', true)", made.series, patch,
        )  # fmt: skip
    data = await get_json(client, f"/series/{made.series}/checks/kdoc/3.json")
    assert (data["cell"]["state"], data["cell"]["said"]) == ("success", "fail")
    assert "By hand; the check itself said" in await get(client, f"/series/{made.series}/checks/kdoc/3")
    grid = (await get_json(client, f"/series/{made.series}.json"))["grid"]
    assert grid["counts"]["fail"] == 1


async def test_one_that_is_asked_again_keeps_its_answer(made: Checked, client: aiohttp.ClientSession) -> None:
    path = f"/series/{made.series}/checks/kdoc/3"
    await a_plan(made, "tree", "running", attempt=1)
    await a_task(made, "tree", "kdoc", 3, "running")
    assert "It is being asked again" in await get(client, path)
    await a_task(made, "tree", "kdoc", 3, "infra", why="no kernel-doc")
    assert "asked again without an answer, by a fault of ours: " in await get(client, path)
    await answer(made, "tree", "kdoc", 3, "success", "", a_report(3))
    page = await get(client, path)
    assert "attempt 2" in page
    assert "asked again" not in page


async def test_a_document_that_cannot_be_read_is_left_out(made: Checked, client: aiohttp.ClientSession) -> None:
    for broken in (b"{", b"[]", b'{"check": 1, "no": "such"}', b'{"findings": 7}', b"\xff"):
        sha256 = await keep(made.floor, broken)
        await made.owner.execute("update ledger.artifacts set sha256 = $1 where name = $2", sha256, artifact(3, "kdoc"))
        assert "not kept any more" in await get(client, f"/series/{made.series}/checks/kdoc/3")


@pytest.mark.parametrize("path", ["kdoc/9", "nothing", "kdoc/99999", "nothing/1.json", "a b", "%00"])
async def test_what_is_not_there(made: Checked, client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(f"/series/{made.series}/checks/{path}") as reply:
        assert reply.status in (400, 404)
    await get(client, f"/series/no@where/checks/{path}", 400 if path == "%00" else 404)


async def test_a_mail_with_slashes_in_its_name_leads_there(made: Checked, client: aiohttp.ClientSession) -> None:
    await made.owner.execute(
        "update ingest.series set message_id = 'a/checks/b@example.org' where id = $1", made.series
    )
    for key in ("a%2Fchecks%2Fb@example.org", "a/checks/b@example.org"):
        assert "kdoc" in await get(client, f"/series/{key}/checks/kdoc/3")
    assert "ethtool" in await get(client, "/series/a%2Fchecks%2Fb@example.org")


async def test_the_queue_is_on_the_status_page(made: Checked, client: aiohttp.ClientSession) -> None:
    other = await made.owner.fetchval("select id from ingest.series where id <> $1 and state = 'active'", made.series)
    waiting = Checked(made.owner, made.floor, other, {}, {})
    await a_plan(waiting, "build", "planned")
    await made.owner.execute(
        "update executor.check_plans set why = $1 where series_id = $2", f"paused: {HOSTILE}", other
    )
    page = await get(client, "/")
    assert "netdev, builds: 1 running, 1 waiting" in page
    assert f"paused: {ESCAPED}" in page
    status = await get_json(client, "/api/v1/status")
    assert [(q["series_id"], q["lane"], q["position"]) for q in status["checks"]["queue"]] == [
        (made.series, "tree", 0), (made.series, "build", 0), (other, "build", 1)
    ]  # fmt: skip
    assert "netci/checks" not in page.split("Running now")[1].split("Streams")[0]


async def test_checks_without_a_cage_are_told_at_the_top(made: Checked, client: aiohttp.ClientSession) -> None:
    await made.owner.execute("insert into floor.health (room, name, ok, text) values "
                             "('checks', 'checks:isolation', false, 'checks run bare')")  # fmt: skip
    assert "<strong>Checks have no cage</strong>" in await get(client, "/")


async def test_a_run_of_checks_lists_its_answers(made: Checked, client: aiohttp.ClientSession) -> None:
    page = await get(client, f"/run/{made.runs['tree'].id}")
    assert "34 answers so far" in page
    assert f'href="/series/{made.series}/checks/kdoc/3"' in page
    assert "<h2>Tests</h2>" not in page
    remotes = await get_json(client, "/remotes.json")
    assert "netci" not in [remote["name"] for remote in remotes["remotes"]]


async def test_the_list_of_series_shows_what_is_no_success_and_counts_the_rest(
    made: Checked, client: aiohttp.ClientSession
) -> None:
    rows = [("kdoc", 1, "success"), ("kdoc", 2, "fail"), ("ynl", 1, "success"), ("ruff", 1, "success")]
    for context, patch, state in rows:
        await made.owner.execute(
            "insert into report.verdicts (series_id, revision, context, patch, project, state, settled, text) "
            "values ($1, 1, $2, $3, 'netdev', $4, true, $5)", made.series, context, patch, state, HOSTILE,
        )  # fmt: skip
    page = await get(client, "/series")
    assert HOSTILE not in page
    assert '<span class="badge bad">kdoc</span>' in page
    assert '<span class="badge good">2 ✓</span>' in page
    (row,) = (r for r in (await get_json(client, "/series.json"))["series"] if r["id"] == made.series)
    assert [(v["context"], v["state"]) for v in row["verdicts"]] == [
        ("kdoc", "fail"), ("ruff", "success"), ("ynl", "success")
    ]  # fmt: skip
