"""The API describes itself: documents are served, and parameters are read as they say."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from services.api_document import endpoints, openapi
from tests.services.report.web.conftest import Site


@pytest.fixture
async def client(site: Site) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(site.url) as session:
        yield session


async def ask(client: aiohttp.ClientSession, path: str, **headers: str) -> tuple[int, Any]:
    async with client.get(path, headers=headers) as answer:
        return answer.status, json.loads(await answer.text() or "null")


async def test_the_documents_are_served(client: aiohttp.ClientSession) -> None:
    _, mine = await ask(client, "/api/v1/openapi.json")
    assert "/api/v1/branches" in mine["paths"]
    _, events = await ask(client, "/api/v1/asyncapi.json")
    assert events["asyncapi"] == "3.0.0"
    _, schema = await ask(client, "/api/v1/schemas/branch.cut.json")
    assert schema["properties"]["type"] == {"const": "dev.netci.branch.cut.v1"}
    assert (await ask(client, "/api/v1/schemas/no.such.json"))[0] == 404


def test_the_document_of_the_product_has_both_rooms() -> None:
    made = openapi("https://ci.example.org")
    assert {"/api/v1/lab", "/api/v1/events", "/branches.json", "/api/v1/openapi.json"} <= made["paths"].keys()
    operations = [one for path in made["paths"].values() for one in path.values()]
    assert len(operations) == len([one for one in endpoints() if not one.hidden])
    assert len({one["operationId"] for one in operations}) == len(operations)


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/api/v1/branches?limit=0", "limit"), ("/api/v1/branches?limit=x", "limit"),
        ("/api/v1/series?before=x", "before"),
        ("/api/v1/runs/x", "id"), ("/api/v1/runs/1/cases?after=x", "after"), ("/api/v1/contest?pass=perhaps", "pass"),
        ("/api/v1/events?type=no.such", "type"), ("/api/v1/events?after=x", "after"), ("/api/v1/events?wait=x", "wait"),
        ("/api/v1/events?typ=branch.cut", "typ"), ("/api/v1/events/stream?typ=branch.cut", "typ"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_named(client: aiohttp.ClientSession, path: str, word: str) -> None:
    status, problem = await ask(client, path)
    assert (status, problem["detail"].partition(":")[0]) == (400, word)


async def test_what_is_right_is_said_in_words(client: aiohttp.ClientSession) -> None:
    for query, words in (
        ("type=branch.cutt", "there is no such type; there are branch.cut, check.done, "),
        ("after=x", "a cursor looks like 17"), ("wait=1e9", "whole seconds"), ("limit=x", "should be an integer"),
        ("typ=branch.cut", "no such parameter; there are after, "),
    ):  # fmt: skip
        _, problem = await ask(client, f"/api/v1/events?{query}")
        assert words in problem["detail"]
        assert "pattern" not in problem["detail"]


@pytest.mark.parametrize("path", ["/api/v1/branches", "/branches.json", "/api/v1/events", "/api/v1/openapi.json"])
async def test_who_has_it_already_is_told_so(client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(path) as answer:
        etag = answer.headers["ETag"]
    async with client.get(path, headers={"If-None-Match": etag}) as answer:
        assert (answer.status, await answer.read()) == (304, b"")


async def test_branches_are_paged_and_filtered(client: aiohttp.ClientSession) -> None:
    _, all_ = await ask(client, "/api/v1/branches")
    names = [branch["name"] for branch in all_["branches"]]
    paged, before = [], ""
    while True:
        _, page = await ask(client, f"/api/v1/branches?limit=1{before}")
        paged += [branch["name"] for branch in page["branches"]]
        if page["next"] is None:
            break
        before = f"&before={page['next']}"
    assert paged == names
    assert len(names) == 2
    assert (await ask(client, "/api/v1/branches?stream=net"))[1]["branches"] == []
    assert len((await ask(client, "/api/v1/branches?stream=net-next&project=netdev"))[1]["branches"]) == 2


async def test_a_token_that_does_not_hold_is_refused_even_where_none_is_needed(client: aiohttp.ClientSession) -> None:
    assert (await ask(client, "/api/v1/branches", Authorization="Bearer netci_x"))[0] == 401


async def test_times_are_told_as_they_were_measured(client: aiohttp.ClientSession) -> None:
    """They are kept in four bytes, and read as eight are full of digits that nobody measured."""
    for path, word in (
        ("/api/v1/runs/1/cases", "93.4"),
        ("/query/results?format=l2", "0.4"),
        ("/api/v1/contest", "93.4"),
    ):
        _, told = await ask(client, path)
        text = json.dumps(told)
        assert f" {word}" in text, path
        assert f" {word}0" not in text, path
