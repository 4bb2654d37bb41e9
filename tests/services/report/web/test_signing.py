"""Signing in with a token, and what forms of pages may do: known issues, by who may and from our own pages alone."""

import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.report.web.signing import COOKIE, csrf_of, local
from shared.db.pool import Pool
from shared.db.tokens import Order, create
from shared.model.tokens import parse_scopes
from tests.services.report.web.conftest import Site

DAY = str((datetime.now(UTC) + timedelta(days=20)).date())


async def a_token(owner: Pool, scopes: Sequence[str] = ("admin",), remote: str = "") -> str:
    async with owner.acquire() as conn, conn.transaction():
        return (await create(conn, Order("ann's", remote, parse_scopes(scopes)), "ann")).text


@pytest.fixture
async def http(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=site.url) as client:
        yield client


async def sign_in(http: httpx.AsyncClient, text: str, where: str = "/known") -> httpx.Response:
    return await http.post("/login", data={"token": text, "next": where})


def a_form(text: str, **more: str) -> dict[str, str]:
    return {
        "csrf": csrf_of(text), "project": "netdev", "test": "fib_tests*", "reason": "bug 4711", "owner": "ann",
        "expires": DAY, "do": "keep",
    } | more  # fmt: skip


async def test_a_token_becomes_a_cookie_that_no_script_and_no_other_site_has(
    http: httpx.AsyncClient, site: Site
) -> None:
    text = await a_token(site.world.owner)
    answer = await sign_in(http, text)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/known")
    said = answer.headers["Set-Cookie"]
    assert "HttpOnly" in said
    assert "SameSite=Strict" in said
    assert "Path=/" in said
    # It is served over http here; behind https it is Secure as well.
    assert "Secure" not in said
    age = int(re.findall(r"Max-Age=(\d+)", said)[0])
    assert 0 < age <= 12 * 3600
    page = await http.get("/")
    assert "ann&#39;s" in page.text
    assert text not in page.text
    assert "private" in page.headers["Cache-Control"]
    out = await http.post("/logout")
    assert out.status_code == 303
    assert "Sign out" not in (await http.get("/")).text


async def test_a_wrong_token_is_told_and_kept_nowhere(http: httpx.AsyncClient, site: Site) -> None:
    for text in ("", "netci_nonsense", (await a_token(site.world.owner))[:-1] + "x"):
        answer = await sign_in(http, text)
        assert answer.status_code == 403
        assert "Set-Cookie" not in answer.headers
        assert 'class="notice bad"' in answer.text
    http.cookies.set(COOKIE, "netci_nonsense")
    assert (await http.get("/")).status_code == 200


@pytest.mark.parametrize(("where", "goes"), [
    ("/known?x=1", "/known?x=1"), ("https://evil.example", "/"), ("//evil.example", "/"), ("/\\evil.example", "/"),
    ("javascript:alert(1)", "/"), ("", "/"), ("/a\nb", "/"), ("/x\\..\\y", "/"),
])  # fmt: skip
def test_one_who_signs_in_is_led_nowhere_else(where: str, goes: str) -> None:
    assert local(where) == goes


async def test_a_known_issue_is_tried_kept_and_ended_from_its_page(http: httpx.AsyncClient, site: Site) -> None:
    text = await a_token(site.world.owner)
    assert "<code>netci known add" in (await http.get("/known")).text
    await sign_in(http, text)
    assert 'name="csrf"' in (await http.get("/known?test=fib_tests.sh")).text
    tried = await http.post("/known", data=a_form(text, do="try"))
    assert tried.status_code == 200
    assert "matches <strong>1</strong> of 1 failures, on 1 branch, of which 1 would not have failed" in tried.text
    assert (await http.get("/known.json")).json()["issues"] == []
    kept = await http.post("/known", data=a_form(text))
    assert (kept.status_code, kept.headers["Location"]) == (303, "/known")
    (issue,) = (await http.get("/known.json")).json()["issues"]
    assert (issue["test"], issue["owner"], issue["expires"][:10]) == ("fib_tests*", "ann", DAY)
    assert issue["made_by"].startswith("ann's (token ")
    assert "bug 4711" in (await http.get("/known")).text
    ended = await http.post(f"/known/{issue['id']}/end", data={"csrf": csrf_of(text)})
    assert ended.status_code == 303
    assert (await http.get("/known.json")).json()["issues"] == []
    assert len((await http.get("/known.json?over=1")).json()["issues"]) == 1


@pytest.mark.parametrize(("field", "value", "words"), [
    ("test", "*", "at least one"), ("reason", " ", "reason"), ("expires", "soon", "a day as"),
    ("project", "bpf", "no &#39;bpf&#39;"),
    ("link", "javascript:alert(1)", "link"), ("expires", "2020-01-01", "is over"),
])  # fmt: skip
async def test_a_form_with_a_fault_is_shown_again_with_it(
    http: httpx.AsyncClient, site: Site, field: str, value: str, words: str
) -> None:
    text = await a_token(site.world.owner)
    await sign_in(http, text)
    answer = await http.post("/known", data=a_form(text, **{field: value}))
    assert answer.status_code == 400
    assert words in answer.text
    assert 'value="ann"' in answer.text
    assert (await http.get("/known.json")).json()["issues"] == []


async def test_nothing_is_changed_by_a_form_that_is_not_ours(http: httpx.AsyncClient, site: Site) -> None:
    text = await a_token(site.world.owner)
    other = await a_token(site.world.owner, ("results:write:*",), "metal")
    attempts: list[tuple[str, dict[str, str], int]] = [
        ("", a_form(text), 401), (text, a_form(text, csrf=""), 403), (text, a_form(text, csrf=csrf_of(other)), 403),
        (other, a_form(other), 403),
    ]  # fmt: skip
    for cookie, form, status in attempts:
        http.cookies.clear()
        if cookie:
            http.cookies.set(COOKIE, cookie)
        assert (await http.post("/known", data=form)).status_code == status, form
    http.cookies.set(COOKIE, text)
    # The API does not look at cookies.
    body = {"project": "netdev", "test": "x", "reason": "y", "owner": "z", "expires": f"{DAY}T00:00:00Z"}
    assert (await http.post("/api/v1/known-issues", json=body)).status_code == 401
    assert (await http.post("/known", json=a_form(text))).status_code == 400
    assert (await http.get("/known.json?over=1")).json()["issues"] == []


async def test_programs_do_the_same_over_the_api(http: httpx.AsyncClient, site: Site) -> None:
    headers = {"Authorization": f"Bearer {await a_token(site.world.owner)}"}
    body: dict[str, Any] = {
        "project": "netdev", "crash": "general protection fault*", "reason": "bug 4711", "owner": "ann",
        "expires": f"{DAY}T00:00:00Z",
    }  # fmt: skip
    tried = await http.post("/api/v1/known-issues/try", json=body, headers=headers)
    assert (tried.status_code, tried.json()["hits"]) == (200, 1)
    made = await http.post("/api/v1/known-issues", json=body, headers=headers)
    assert made.status_code == 201
    number = made.json()["id"]
    assert [i["id"] for i in (await http.get("/api/v1/known-issues")).json()["issues"]] == [number]
    for wrong in ({"project": "x"}, {"crash": "*"}, {"expires": "2020-01-01T00:00:00Z"}, {"reason": ""}):
        assert (await http.post("/api/v1/known-issues", json=body | wrong, headers=headers)).status_code in (400, 422)
    end = await http.post(f"/api/v1/known-issues/{number}/end", json={"why": "mended"}, headers=headers)
    assert end.status_code == 200
    assert (await http.post(f"/api/v1/known-issues/{number}/end", json={}, headers=headers)).status_code == 400
    assert (await http.post("/api/v1/known-issues/999/end", json={}, headers=headers)).status_code == 404


async def test_who_is_signed_in_sees_what_is_only_for_the_owner_of_a_lab(http: httpx.AsyncClient, site: Site) -> None:
    assert (await http.get("/remotes/metal.json")).json()["private"] is None
    http.cookies.set(COOKIE, await a_token(site.world.owner, ("results:write:*",), "metal"))
    assert (await http.get("/remotes/metal.json")).json()["private"] is not None
    assert (await http.get("/remotes/lab-x.json")).json()["private"] is None
    # Not over the API.
    assert (await http.get("/api/v1/remotes/metal")).json()["private"] is None
