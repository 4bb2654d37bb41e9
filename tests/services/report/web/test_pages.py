"""Pages and their twins over a seeded database."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from yarl import URL as URL_

from services.report.compose import series_url
from shared.blobs.record import keep
from shared.model.results import Case, Result
from tests.services.report.web.builders import BRANCH, HOSTILE, OLDER, URL, a_cut, a_series, an_opening, sha
from tests.services.report.web.conftest import Site

PAGES = (
    "/", "/contest", "/contest?pass=0&ld-cases=1", "/branches",
    "/remotes", "/remotes/metal", "/remotes/lab-x", "/series", "/series?state=active", "/events",
    "/events?type=branch.cut", "/about", f"/branch/{BRANCH}", f"/branch/{OLDER}", "/series/1", "/series/2",
    "/series/3", "/series/4", "/run/1", "/run/2", "/run/3", "/series/1/log/1",
    "/run/1/log/selftests-net%2Ftls%2F0%2Fstdout", "/series/20261123080001.1-1-jane@example.org",
)  # fmt: skip

TWINS = (
    "/status.json", "/contest.json", "/series.json", "/series/1.json", "/run/1.json", "/events.json", "/about.json",
    f"/branch/{BRANCH}.json", "/remotes.json",
    "/remotes/metal.json", "/api/v1/remotes", "/api/v1/remotes/lab-x", "/api/v1/status", "/api/v1/streams",
    "/api/v1/contest", "/api/v1/branches",
    f"/api/v1/branches/{BRANCH}", "/api/v1/series", "/api/v1/series/1", "/api/v1/runs/1", "/api/v1/runs/1/cases",
    "/api/v1/events", "/branches.json", "/query/branches",
)  # fmt: skip

MISSING = (
    "/nothing", "/branch/no", "/remotes/no",
    "/api/v1/remotes/no", "/series/999", "/series/no@where", "/run/999", "/run/1/log/no", "/run/2/log/no",
    "/series/1/log/9", "/static/no.css", "/api/v1/runs/999", f"/branch/{BRANCH}/log/1",
)  # fmt: skip

REFUSED = ("/run/x", "/contest?pass=2", "/events?type=no", "/series?before=x", "/api/v1/runs/1/cases?after=x",
           "/branch/a%00b", "/series/%00", "/contest?stream=%00", "/events?correlation=%00", "/series?state=%00",
           "/api/v1/events?project=%00", "/api/v1/runs/1/cases?after=g%09t%09%09%C2%B2")  # fmt: skip


@pytest.fixture
async def client(site: Site) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(site.url) as session:
        yield session


async def get(client: aiohttp.ClientSession, path: str, status: int = 200) -> str:
    async with client.get(path) as answer:
        text = await answer.text()
        assert answer.status == status, f"{path}: {answer.status} {text[:500]}"
        return text


async def get_json(client: aiohttp.ClientSession, path: str) -> Any:
    return json.loads(await get(client, path))


async def test_every_page_shows_and_no_hostile_word_is_html(client: aiohttp.ClientSession) -> None:
    for path in PAGES:
        text = await get(client, path)
        assert text.startswith("<!doctype html>"), path
        assert HOSTILE not in text, path
        assert 'style="' not in text, path
        assert "\x1b" not in text, path


async def test_every_twin_is_json(client: aiohttp.ClientSession) -> None:
    for path in TWINS:
        await get_json(client, path)


async def test_what_is_not_there_and_what_makes_no_sense(client: aiohttp.ClientSession) -> None:
    for path in MISSING:
        await get(client, path, 404)
    for path in REFUSED:
        await get(client, path, 400)


async def test_nothing_shows_where_a_machine_is(site: Site, client: aiohttp.ClientSession) -> None:
    owner = site.world.owner
    await owner.execute("update ledger.runs set reason = 'root@secret-host: no answer'")
    await owner.execute("update ledger.cases set detail = 'root@secret-host: lost', cause = 'infra'")
    await owner.execute("update executor.plans set reason = 'ssh to 192.0.2.7:22 timed out'")
    await owner.execute("update branch.cuts set error = 'asking ci@secret-host:x.git for its refs'")
    await owner.execute("update report.posts set answer = 'patchwork cannot be reached: 192.0.2.7'")
    for path in ("/", "/status.json", "/branches", f"/branch/{BRANCH}", f"/branch/{BRANCH}.json", "/run/1",
                 "/run/1.json", "/api/v1/runs/1/cases", "/contest", "/contest.json", "/api/v1/branches"):  # fmt: skip
        text = await get(client, path)
        assert "192.0.2.7" not in text
        assert "secret-host" not in text
    assert "192.0.2.7" not in await get(client, "/series/1")
    assert "jane@example.org" not in await get(client, "/status.json")


async def test_status_shows_what_is_wrong_and_why(client: aiohttp.ClientSession) -> None:
    text = await get(client, "/")
    for words in ("Paused: post netdev", "the mail server is moving", "branch: tree net", "could not resolve",
                  "netci resolve net-next", "1 of 9", "88.0 MB"):  # fmt: skip
        assert words in text
    status = await get_json(client, "/api/v1/status")
    (stream,) = status["streams"]
    assert [b["name"] for b in stream["branches"]] == [BRANCH, OLDER]
    assert [(r["executor"], r["word"]) for r in stream["branches"][0]["runs"]] == [
        ("nic-100g", "infra"), ("vmksft-net", "running"),
    ]  # fmt: skip


async def test_tries_are_nobodys_business(site: Site, client: aiohttp.ClientSession) -> None:
    from datetime import UTC, datetime

    owner, name = site.world.owner, "net-next-2026-11-23--09-30"
    cut = await a_cut(owner, name, datetime.now(UTC), purpose="try")
    async with owner.acquire() as conn, conn.transaction():
        run = await site.world.ledger.open(conn, an_opening(cut, name))
        await site.world.ledger.append(conn, run, [Case("g", "t", Result.FAIL)])
    await get(client, f"/branch/{name}", 404)
    await get(client, f"/run/{run.id}", 404)
    for path in ("/", "/branches", "/contest", "/branches.json"):
        assert name not in await get(client, path), path


async def test_an_operators_blob_is_not_served(site: Site, client: aiohttp.ClientSession) -> None:
    await get(client, "/series/1/log/1")
    await site.world.owner.execute("update floor.blobs set visibility = 'operator'")
    await get(client, "/series/1/log/1", 404)
    await get(client, "/run/1/log/selftests-net%2Ftls%2F0%2Fstdout", 404)


async def test_a_branch_says_what_was_left_out_and_why(client: aiohttp.ClientSession) -> None:
    data = await get_json(client, f"/api/v1/branches/{BRANCH}")
    assert [s["series_id"] for s in data["taken"]] == [1]
    conflict = data["left"][0]
    assert (conflict["rule"], conflict["rival"], conflict["files"]) == ("conflict", 1, ["net/ipv4/tcp_input.c"])
    assert (data["older"], data["newer"]) == (OLDER, None)


async def test_a_series_by_any_of_its_names(client: aiohttp.ClientSession) -> None:
    for name in ("1", "20261123080001.1-1-jane@example.org", "%3C20261123080001.1-1-jane@example.org%3E",
                 "20261123080001.1-3-jane@example.org"):  # fmt: skip
        assert (await get_json(client, f"/api/v1/series/{name}"))["series"]["id"] == 1
    data = await get_json(client, "/series/1.json")
    assert data["applied"][0]["fetch"].startswith(f"git fetch {URL} refs/tags/netci/")
    assert data["posts"][0]["agrees"] is False
    assert [v["id"] for v in (await get_json(client, "/series/4.json"))["versions"]] == [4, 1]


async def test_the_result_table_filters_and_pages(site: Site, client: aiohttp.ClientSession) -> None:
    async def tests(query: str) -> list[str]:
        return [f"{r['run']}:{r['test']}" for r in (await get_json(client, f"/api/v1/contest?{query}"))["rows"]]

    assert sorted(await tests("")) == ["1:fib_tests.sh", "1:gro.sh", "1:tls", "1:xfrm_policy.sh", "2:tls"]
    assert await tests("pass=0&skip=0") == ["1:fib_tests.sh"]
    assert await tests("retried=1&fail=0") == ["1:gro.sh"]
    assert await tests("test=tls") == ["2:tls", "1:tls"]
    assert await tests("test=never-heard-of") == []
    assert await tests(f"branch={OLDER}&test=tls") == ["1:tls"]
    assert await tests("remote=lab-x") == []
    assert await tests("ld_cnt=1") == ["2:tls"]
    assert len(await tests("ld-cases=1")) == 10
    (flake,) = (await get_json(client, "/api/v1/contest?test=gro.sh"))["rows"]
    assert (flake["result"], flake["retry"], flake["flaky"]) == ("fail", "pass", True)


async def test_pages_of_results_join_without_loss(site: Site, client: aiohttp.ClientSession) -> None:
    ledger, run = site.world.ledger, site.world.open
    cases = [Case("g", f"t{n}", Result.PASS) for n in range(450)]
    async with site.world.owner.acquire() as conn, conn.transaction():
        await ledger.append(conn, run, cases)
    seen, query = [], "ld-cases=1"
    while query:
        page = await get_json(client, f"/api/v1/contest?{query}")
        seen += [(r["run"], r["test"], r["subtest"]) for r in page["rows"]]
        query = page["next"]
    assert len(seen) == len(set(seen)) == 460
    assert [r for r, _, _ in seen] == sorted((r for r, _, _ in seen), reverse=True)


async def test_cases_by_key_join_without_loss(client: aiohttp.ClientSession) -> None:
    seen: list[object] = []
    after: str | None = ""
    while after is not None:
        async with client.get("/api/v1/runs/1/cases", params={"limit": "2", "after": after}) as answer:
            page = await answer.json()
        seen += [(c["test"], c["subtest"], c["attempt"]) for c in page["cases"]]
        after = page["next"]
    assert len(seen) == len(set(seen)) == 9


async def test_branches_as_nipas_executors_read_them(site: Site, client: aiohttp.ClientSession) -> None:
    from datetime import UTC, datetime

    owner = site.world.owner
    for day, (purpose, state) in enumerate((("base", "announced"), ("scheduled", "planned"), ("scheduled", "pruned"))):
        slot = datetime(2026, 1, 1 + day, tzinfo=UTC)
        await a_cut(owner, f"x-{purpose}-{state}", slot, purpose=purpose, state=state)
    found = await get_json(client, "/branches.json")
    assert [b["branch"] for b in found] == [OLDER, BRANCH]
    assert set(found[0]) == {"branch", "date", "base", "url"}
    assert (found[0]["url"], found[0]["base"]) == (f"{URL} {OLDER}", sha("b"))
    assert found[0]["date"].endswith("+00:00")


async def test_a_raw_log_is_plain_text_in_a_sandbox(client: aiohttp.ClientSession) -> None:
    async with client.get("/run/1/log/selftests-net%2Ftls%2F0%2Fstdout?raw=1") as answer:
        assert answer.content_type == "text/plain"
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert b"<b>gro</b>" in await answer.read()


async def test_a_log_leads_to_what_else_there_is_of_the_attempt(client: aiohttp.ClientSession) -> None:
    folder = "/run/1/log/selftests-net%2Ffib_tests.sh%2F0%2F"
    assert f'<a href="{folder}crashes">crashes</a>' in await get(client, f"{folder}stdout")
    assert f'<a href="{folder}stdout">stdout</a>' in await get(client, f"{folder}crashes")
    assert "crashes</a>" not in await get(client, "/run/1/log/selftests-net%2Ftls%2F0%2Fstdout")


async def test_a_large_file_of_a_lab_goes_out_in_pieces(site: Site, client: aiohttp.ClientSession) -> None:
    data = b"".join(b"line %d\n" % n for n in range(1, 300_001))
    sha = await keep(site.floor, data)
    await site.world.owner.execute(
        "insert into ledger.artifacts (run_id, name, sha256, size) values (1, 'console', $1, $2)", sha, len(data)
    )
    async with client.get("/run/1/log/console?raw=1") as answer:
        assert (answer.status, answer.content_length, answer.content_type) == (200, len(data), "text/plain")
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert await answer.read() == data
    async with client.head("/run/1/log/console?raw=1") as answer:
        assert (answer.status, answer.content_length) == (200, len(data))
    text = await get(client, "/run/1/log/console?from=299999")
    assert "line 299998" not in text
    assert "line 300000" in text
    site.floor.blobs.path(sha).write_bytes(b"")  # type: ignore[attr-defined]
    async with client.get("/run/1/log/console?raw=1") as answer:
        assert answer.status == 500


async def test_a_page_that_has_not_changed_is_not_sent_again(client: aiohttp.ClientSession) -> None:
    async with (
        client.get("/run/1") as first,
        client.get("/run/1", headers={"If-None-Match": first.headers["ETag"]}) as again,
    ):
        assert again.status == 304


async def test_a_message_id_may_hold_anything(site: Site, client: aiohttp.ClientSession) -> None:
    odd = "a/b+c%20d?e&f=@x.org"
    number = await a_series(site.world.owner, 77, "odd", message_id=odd)
    url = series_url(site.url, number, odd)
    async with client.get(URL_(url, encoded=True)) as answer:
        assert answer.status == 200
        assert "odd" in await answer.text()
    async with client.get(URL_(f"{url}.json", encoded=True)) as answer:
        assert (await answer.json())["series"]["message_id"] == odd
