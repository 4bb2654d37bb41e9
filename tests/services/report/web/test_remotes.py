"""The pages of remotes: how each stands for everybody, what was rejected and which tokens end for its owner."""

from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from shared.db.tokens import Order, create
from shared.model.tokens import parse_scopes
from tests.services.report.web.builders import BRANCH, HOSTILE
from tests.services.report.web.conftest import Site

WHY = "/cases/3/result: 'okay' is none of pass, fail, skip"
URL = "https://secret-host.example.org/results-1.json"


async def token_of(site: Site, remote: str, scopes: tuple[str, ...] = ("events:read",)) -> dict[str, str]:
    async with site.world.owner.acquire() as conn:
        order = Order("the lab's own", remote, parse_scopes(scopes), timedelta(days=20))
        return {"Authorization": f"Bearer {(await create(conn, order, 'test')).text}"}


async def rejected(site: Site, remote: str = "lab-x", count: int = 1) -> None:
    for number in range(count):
        await site.world.owner.execute(
            "insert into ingest.rejections (remote, executor, path, status, detail, errors, size) "
            "values ($1, $2, $3, 422, $4, $5, 100)",
            remote, HOSTILE, URL, f"{WHY} ({number})", [{"pointer": "/cases/3/result", "detail": WHY}],
        )  # fmt: skip


async def ask(site: Site, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as http, http.get(site.url + path, headers=headers or {}) as answer:
        return answer.status, await (answer.json() if "json" in answer.content_type else answer.text())


async def test_the_list_has_the_configured_and_who_else_was_heard(site: Site) -> None:
    await site.world.owner.execute("insert into ingest.heard values ('stranger', 'x', now(), $1)", BRANCH)
    _, found = await ask(site, "/remotes.json")
    lines = {line["name"]: line for line in found["remotes"]}
    assert list(lines) == ["metal", "lab-x", "stranger"]
    metal = lines["metal"]
    assert (metal["standing"], metal["open"], metal["late"], metal["behind"]) == ("well", 1, 0, 1)
    assert (lines["lab-x"]["standing"], lines["lab-x"]["executors"]) == ("", 1)
    assert not lines["stranger"]["configured"]
    status, page = await ask(site, "/remotes")
    assert status == 200
    assert 'href="/remotes/stranger"' in page


async def test_a_late_run_and_a_silent_executor_are_seen(site: Site) -> None:
    await site.world.owner.execute(
        "update ledger.runs set expected_end = now() - interval '1 hour' where state = 'open'"
    )
    _, found = await ask(site, "/api/v1/remotes/metal")
    assert (found["remote"]["standing"], found["remote"]["late"]) == ("late", 1)
    [executor] = found["executors"]
    assert executor["streams"][0]["text"].startswith(f"the run on {BRANCH} should have ended at")
    _, page = await ask(site, "/remotes/metal")
    assert "1 late" in page


async def test_the_public_sees_how_many_were_rejected_and_no_more(site: Site) -> None:
    await rejected(site, count=2)
    await token_of(site, "lab-x")
    status, found = await ask(site, "/api/v1/remotes/lab-x")
    assert status == 200
    assert found["rejected"] == {"kept": 2, "lately": 2}
    assert found["private"] is None
    for path in ("/remotes", "/remotes/lab-x", "/remotes.json", "/remotes/lab-x.json"):
        _, text = await ask(site, path)
        assert not [word for word in ("okay", "secret-host", "the lab's own", "expires") if word in str(text)], path


async def test_the_owner_sees_why_and_when_tokens_end(site: Site) -> None:
    await rejected(site, count=3)
    mine = await token_of(site, "lab-x")
    _, found = await ask(site, "/api/v1/remotes/lab-x?limit=2", mine)
    private = found["private"]
    assert [row["detail"] for row in private["rejections"]] == [f"{WHY} (2)", f"{WHY} (1)"]
    assert private["rejections"][0]["errors"][0]["pointer"] == "/cases/3/result"
    [token] = private["tokens"]
    assert (token["name"], token["word"]) == ("the lab's own", "soon")
    assert datetime.fromisoformat(private["expires"]) - datetime.now(UTC) > timedelta(days=19)
    _, older = await ask(site, f"/api/v1/remotes/lab-x/rejections?before={private['next']}", mine)
    assert ([row["detail"] for row in older["rejections"]], older["next"]) == ([f"{WHY} (0)"], None)
    _, page = await ask(site, "/remotes/lab-x", mine)
    assert HOSTILE not in page
    assert "okay" in page


async def test_an_admin_sees_it_and_the_owner_of_another_does_not(site: Site) -> None:
    await rejected(site)
    other, admin = await token_of(site, "metal"), await token_of(site, "", ("admin",))
    assert (await ask(site, "/api/v1/remotes/lab-x", other))[1]["private"] is None
    assert (await ask(site, "/api/v1/remotes/lab-x", admin))[1]["private"]["rejections"]
    path = "/api/v1/remotes/lab-x/rejections"
    assert [(await ask(site, path, who))[0] for who in ({}, other, admin)] == [401, 403, 200]


@pytest.mark.parametrize("path", ["/remotes/none", "/api/v1/remotes/none", "/remotes/none.json"])
async def test_an_unknown_remote_is_missing(site: Site, path: str) -> None:
    assert (await ask(site, path))[0] == 404


async def test_runs_that_are_not_public_show_nowhere(site: Site) -> None:
    await site.world.owner.execute("update ledger.runs set visibility = 'operator' where remote = 'lab-x'")
    _, found = await ask(site, "/api/v1/remotes/lab-x")
    assert (found["executors"], found["open"]) == ([], [])


async def test_what_waits_for_its_webhooks_is_counted(site: Site) -> None:
    assert (await ask(site, "/api/v1/remotes/lab-x"))[1]["webhooks"] is None
    await site.world.owner.execute(
        "insert into report.hooks (id, url, remote, secret, since, after, made, made_by) "
        "values ('wh_0123456789abcdef', 'https://secret-host.example.org/x', 'lab-x', '', now(), 0, now(), 'test')"
    )
    await site.world.owner.execute(
        "insert into report.deliveries (hook_id, event_id, type, body, due, made) "
        "select 'wh_0123456789abcdef', gen_random_uuid(), 'x', '{}', now(), now() from generate_series(1, 3)"
    )
    _, found = await ask(site, "/api/v1/remotes/lab-x")
    assert (found["webhooks"]["hooks"], found["webhooks"]["waiting"], found["webhooks"]["failed"]) == (1, 3, 0)
    _, page = await ask(site, "/remotes/lab-x")
    assert "3 events wait for delivery" in page
    assert "secret-host" not in page
