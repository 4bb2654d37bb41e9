"""Filters, orders, pages and rights that the recording does not reach, asked without a socket."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from shared.practice.patchwork import Served, standard
from shared.practice.patchwork.asking import Answer, Ask
from tests.shared.practice.patchwork.writing import a_mail, a_series

SLUG = 'Enter a valid "slug" consisting of letters, numbers, underscores or hyphens.'


def a_site(*mails: bytes) -> Served:
    site = Served(standard())
    for mail in mails or a_series(3):
        site.submit(mail)
    return site


def got(site: Served, target: str, user: str = "") -> Any:
    return json.loads(asked(site, "GET", target, user=user).body)


def asked(site: Served, method: str, target: str, body: object = None, user: str = "") -> Answer:
    headers = {"content-type": "application/json"}
    if user:
        headers["authorization"] = f"Token {site.token(user)}"
    return site.answer(Ask(method, target, headers, b"" if body is None else json.dumps(body).encode()))


@pytest.mark.parametrize(
    "query",
    [
        "project=nosuch",
        "project=1&project=nosuch",
        "state=bogus",
        "series=99",
        "series=x",
        "since=yesterday",
        "msgid=<1@x>",
    ],
)
def test_a_value_that_is_not_known_finds_nothing_without_an_error(query: str) -> None:
    assert got(a_site(), f"/api/1.3/patches/?{query}") == []


@pytest.mark.parametrize("query", ["", "nosuch=1", "state=", "order=number", "project=", "archived=perhaps"])
def test_what_is_not_understood_is_ignored(query: str) -> None:
    assert [row["id"] for row in got(a_site(), f"/api/1.3/patches/?{query}")] == [1, 2, 3]


def test_two_orders() -> None:
    site = a_site(a_mail("[PATCH] b", "1@x"), a_mail("[PATCH] a", "2@x"), a_mail("[PATCH] b", "3@x"))
    assert [row["id"] for row in got(site, "/api/1.3/patches/?order=name,-id")] == [2, 3, 1]


def test_several_series_in_one_request() -> None:
    site = a_site(*(a_mail(msgid=f"{n}@x") for n in range(5)))
    assert [row["id"] for row in got(site, "/api/1.3/patches/?series=2&series=4")] == [2, 4]


@pytest.mark.parametrize("page", ["0", "-1", "x", "3", "1.0"])
def test_a_page_that_is_not_there(page: str) -> None:
    answer = asked(a_site(), "GET", f"/api/1.3/patches/?per_page=2&page={page}")
    assert (answer.status, json.loads(answer.body)) == (404, {"detail": "Invalid page."})


def test_a_list_without_rows_has_one_page() -> None:
    answer = asked(a_site(), "GET", "/api/1.3/covers/?q=nothing")
    assert answer.body == b"[]"
    assert 'page=1&q=nothing>; rel="last"' in answer.headers["Link"]


def test_a_missing_slash_is_a_redirect_with_the_query() -> None:
    answer = asked(a_site(), "GET", "/api/1.3/patches?state=new")
    assert (answer.status, answer.headers["Location"]) == (301, "/api/1.3/patches/?state=new")
    assert asked(a_site(), "GET", "/nowhere").status == 404


def test_a_message_id_that_needs_escaping_is_found_at_the_address_given() -> None:
    site = a_site(a_mail(msgid="a/b%c+d=1@x"))
    url = got(site, "/api/1.3/patches/1/")["mbox"]
    assert "a%252Fb%25c+d=1@x" in url
    assert asked(site, "GET", url.removeprefix("http://127.0.0.1")).status == 200


@pytest.mark.parametrize(("user", "status"), [("", 403), ("outsider", 403), ("maintainer", 200)])
def test_who_may_change_a_patch(user: str, status: int) -> None:
    assert asked(a_site(), "PATCH", "/api/1.3/patches/1/", {"state": "accepted"}, user).status == status


def test_a_delegate_may_post_checks() -> None:
    site = a_site()
    body = {"state": "success", "context": "x"}
    assert asked(site, "POST", "/api/1.3/patches/1/checks/", body, "outsider").status == 403
    site.pw.patches[1].delegate = site.pw.user("outsider").id
    assert asked(site, "POST", "/api/1.3/patches/1/checks/", body, "outsider").status == 201


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"state": None, "context": "x"}, {"state": ["This field may not be null."]}),
        ({"state": True, "context": "x"}, {"state": ['"True" is not a valid choice.']}),
        ({"state": "fail", "description": ["x"]}, {"description": ["Not a valid string."]}),
        ({"state": "fail", "user": 99}, {"user": ['Invalid pk "99" - object does not exist.']}),
        ({"state": "fail", "target_url": "javascript:alert(1)"}, {"target_url": ["Enter a valid URL."]}),
        ({"state": "x", "context": "a b"}, {"state": ['"x" is not a valid choice.'], "context": [SLUG]}),
    ],
)
def test_what_is_wrong_with_a_check_is_told_of_every_field(body: object, why: object) -> None:
    answer = asked(a_site(), "POST", "/api/1.3/patches/1/checks/", body, "nipa-bot")
    assert (answer.status, json.loads(answer.body)) == (400, why)


@pytest.mark.parametrize(
    "target", ["patches/?per_page=50", "series/?per_page=50", "events/?per_page=50&category=series-completed"]
)
def test_a_page_does_not_scan_inside_a_scan(target: str) -> None:
    """Ten times the rows are at most some ten times the calls for the same page."""
    few, many = (a_site(*(a_mail(msgid=f"{n}@x") for n in range(count))) for count in (100, 1000))
    assert calls(lambda: got(many, f"/api/1.4/{target}")) < 12 * calls(lambda: got(few, f"/api/1.4/{target}"))


def calls(act: Callable[[], list[Any]]) -> int:
    """How many functions `act` calls to give 50 rows."""
    counted = 0

    def count(frame: object, event: str, arg: object) -> None:
        nonlocal counted
        counted += 1

    sys.setprofile(count)
    try:
        rows = act()
    finally:
        sys.setprofile(None)
    assert len(rows) == 50
    return counted
