"""Webhooks over HTTP: an owner's whole round, and what nobody else can see or touch."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from services.report.hooks.api import ENDPOINTS, add_routes
from services.report.web.app import gate_of
from shared.db.tokens import Order, create, rotate
from shared.model.tokens import parse_scopes
from shared.web.app import make_app
from shared.web.openapi import document
from tests.services.report.hooks.conftest import ReceiverFor
from tests.services.report.hooks.world import World, an_arrival

BASE = "/api/v1/webhooks"


@dataclass
class Client:
    """Somebody with a token, or without."""

    http: aiohttp.ClientSession
    base: str
    token: str = ""
    id: str = ""

    async def ask(self, method: str, path: str, json: Any = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with self.http.request(method, f"{self.base}{BASE}{path}", headers=headers, json=json) as answer:
            return answer.status, await answer.json() if "json" in answer.content_type else await answer.text()


@dataclass
class Site:
    """The endpoints on loopback."""

    world: World
    http: aiohttp.ClientSession
    base: str

    async def client(self, *scopes: str, remote: str = "metal", **more: Any) -> Client:
        async with self.world.owner.acquire() as conn:
            order = Order("a lab", remote, parse_scopes(scopes or ("hooks:manage",)), **more)
            made = await create(conn, order, "test")
        return Client(self.http, self.base, made.text, made.id)

    def anybody(self) -> Client:
        return Client(self.http, self.base)


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    app = make_app()
    add_routes(app, world.floor, gate_of(world.floor))
    server = TestServer(app)
    await server.start_server()
    try:
        async with aiohttp.ClientSession() as http:
            yield Site(world, http, str(server.make_url("")).rstrip("/"))
    finally:
        await server.close()


async def test_a_whole_round(site: Site, world: World, receiver_for: ReceiverFor) -> None:
    lab, receiver = await site.client(), await receiver_for("500", "200")
    status, made = await lab.ask("POST", "", {"url": receiver.url, "name": "mine", "types": ["series.arrived"]})
    assert status == 201
    hook = f"/{made['id']}"
    receiver.secrets.append(made["secret"])
    await world.happens(an_arrival(1))
    await world.rounds()
    world.clock.forward(seconds=5)
    await world.rounds()
    assert [call.fault for call in receiver.calls] == ["", ""]
    status, shown = await lab.ask("GET", hook)
    assert (status, shown["state"], shown["types"], shown["remote"]) == (
        200, "active", ["dev.netci.series.arrived.v1"], "metal",
    )  # fmt: skip
    _, page = await lab.ask("GET", f"{hook}/deliveries?state=delivered&limit=1")
    [delivery] = page["deliveries"]
    _, one = await lab.ask("GET", f"{hook}/deliveries/{delivery['id']}")
    assert [(a["number"], a["outcome"], a["status"]) for a in one["log"]] == [(1, "failed", 500), (2, "delivered", 200)]
    assert one["body"].encode() == receiver.calls[0].body
    assert one["event"] == receiver.calls[0].id
    assert (await lab.ask("POST", f"{hook}/deliveries/{delivery['id']}/redeliver"))[0] == 202
    assert (await lab.ask("POST", f"{hook}/ping"))[0] == 202
    assert await lab.ask("POST", f"{hook}/redeliver", {"from": "1"}) == (202, {"queued": 1, "delivery": None})
    assert (await lab.ask("POST", f"{hook}/pause", {"why": "moving"}))[1]["state"] == "paused"
    assert (await lab.ask("POST", f"{hook}/resume"))[1]["state"] == "active"
    status, turned = await lab.ask("POST", f"{hook}/rotate", {"overlap": "1h"})
    assert (status, turned["secret"] != made["secret"]) == (200, True)
    assert await lab.ask("DELETE", hook) == (204, "")
    assert (await lab.ask("GET", hook))[0] == 404
    assert (await lab.ask("GET", ""))[1] == {"webhooks": []}


async def a_hook(site: Site, lab: Client, receiver_for: ReceiverFor) -> tuple[str, int]:
    """A webhook of `lab` with one delivery."""
    receiver = await receiver_for()
    _, made = await lab.ask("POST", "", {"url": receiver.url})
    await site.world.happens(an_arrival())
    await site.world.rounds()
    _, page = await lab.ask("GET", f"/{made['id']}/deliveries")
    return made["id"], page["deliveries"][0]["id"]


BODIES: dict[str, Any] = {"pause": {"why": "x"}, "rotate": {}, "redeliver": {"from": "1"}}


def of_one_hook(hook: str, delivery: int) -> Sequence[tuple[str, str, Any]]:
    """Every endpoint that names a webhook, as a request: (method, path, body)."""
    filled = (
        (e.method, e.template.removeprefix(BASE).replace("{id}", hook).replace("{delivery}", str(delivery)))
        for e in ENDPOINTS
        if "{id}" in e.path
    )
    return [(m, p, BODIES.get(p.rpartition("/")[2]) if "/deliveries/" not in p else None) for m, p in filled]


async def test_anothers_webhooks_are_not_there(site: Site, receiver_for: ReceiverFor) -> None:
    """Of another remote, of a reader, of a sandbox of the same remote: 404 or 403 on every path; nothing changes."""
    hook, delivery = await a_hook(site, await site.client(), receiver_for)
    paths = of_one_hook(hook, delivery)
    assert len(paths) == 10
    strangers = [
        (await site.client(remote="wood"), 404), (await site.client(remote=""), 404),
        (await site.client(sandbox=True), 404), (await site.client("events:read"), 403), (site.anybody(), 401),
    ]  # fmt: skip
    for client, wanted in strangers:
        assert [(p, (await client.ask(m, p, body))[0]) for m, p, body in paths] == [(p, wanted) for _, p, _ in paths]
    assert (await strangers[0][0].ask("GET", "")) == (200, {"webhooks": []})
    assert await site.world.states(hook) == [(1, "delivered")]
    assert (await site.world.hook(hook))["state"] == "active"


async def test_a_guessed_delivery_of_another_is_not_there(site: Site, receiver_for: ReceiverFor) -> None:
    _, foreign = await a_hook(site, await site.client(), receiver_for)
    other = await site.client(remote="wood")
    _, mine = await other.ask("POST", "", {"url": (await receiver_for()).url})
    assert (await other.ask("GET", f"/{mine['id']}/deliveries/{foreign}"))[0] == 404
    assert (await other.ask("POST", f"/{mine['id']}/deliveries/{foreign}/redeliver"))[0] == 404


async def test_colleagues_admins_and_successors_see_them(site: Site, receiver_for: ReceiverFor) -> None:
    lab = await site.client()
    hook, _ = await a_hook(site, lab, receiver_for)
    single = await site.client(remote="")
    alone, _ = await a_hook(site, single, receiver_for)
    async with site.world.owner.acquire() as conn:
        turned = await rotate(conn, single.id, "test")
    successor = Client(site.http, site.base, turned.text)
    colleague, admin = await site.client(), await site.client("admin", remote="")

    async def seen(client: Client) -> list[str]:
        return sorted(w["id"] for w in (await client.ask("GET", ""))[1]["webhooks"])

    both = sorted([hook, alone])
    assert (await seen(colleague), await seen(successor), await seen(admin)) == ([hook], [alone], both)


async def test_a_secret_is_shown_once_and_is_nowhere_else(
    site: Site, receiver_for: ReceiverFor, capsys: pytest.CaptureFixture[str]
) -> None:
    lab, receiver = await site.client(), await receiver_for()
    _, made = await lab.ask("POST", "", {"url": receiver.url})
    await site.world.happens(an_arrival())
    await site.world.rounds()
    key = made["secret"].removeprefix("whsec_")
    shown = json.dumps([(await lab.ask("GET", p))[1] for p in ("", f"/{made['id']}", f"/{made['id']}/deliveries/1")])
    tables = await site.world.owner.fetchval(
        "select string_agg(t::text, '') from (select h::text as t from report.hooks h union all "
        "select a::text from report.attempts a union all select d::text from report.deliveries d union all "
        "select u::text from floor.audit u) x"
    )
    logged = capsys.readouterr()
    for place in (shown, tables, logged.out, logged.err):
        assert key not in place
    assert receiver.calls[0].headers["webhook-signature"] not in tables + shown


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"url": "https://127.0.0.1/"}, "127.0.0.1 is on a private network"),
        ({"url": "https://user:pw@example.org/"}, "signed instead"),
        ({"url": "http://127.0.0.2:9999/", "types": ["no.such"]}, "no event type no.such; there are "),
        ({"url": "http://127.0.0.2:9999/", "projects": ["a\u0000b"]}, "names are printable text"),
        ({"url": 7}, "/url: should be a string"),
        ({"url": "https://example.org/", "secret": "mine"}, "/secret: is no key here"),
        ({"url": "http://127.0.0.2:9999/", "series": [2**70]}, "/series/0: should be less than"),
    ],
)
async def test_bad_orders_are_told_what_is_wrong(site: Site, body: Any, detail: str) -> None:
    status, problem = await (await site.client()).ask("POST", "", body)
    assert status == 400
    assert detail in problem["detail"]
    assert await site.world.owner.fetchval("select count(*) from report.hooks") == 0


async def test_there_are_only_so_many(site: Site) -> None:
    lab = await site.client()
    for n in range(20):
        assert (await lab.ask("POST", "", {"url": f"http://127.0.0.2:{9000 + n}/"}))[0] == 201
    status, problem = await lab.ask("POST", "", {"url": "http://127.0.0.2:9999/"})
    assert (status, problem["detail"]) == (400, "20 webhooks are enough: remove one first")


@pytest.mark.parametrize("between", [{"from": "yesterday"}, {"from": "2026-11-23T09:00:00"}, {"from": "1", "to": "x"}])
async def test_ends_of_a_range_are_numbers_or_times_with_a_zone(
    site: Site, receiver_for: ReceiverFor, between: dict[str, str]
) -> None:
    lab = await site.client()
    hook, _ = await a_hook(site, lab, receiver_for)
    status, problem = await lab.ask("POST", f"/{hook}/redeliver", between)
    assert status == 400
    assert "a sequence number, or a time with its zone" in problem["detail"]


def test_the_document_has_every_endpoint() -> None:
    made = document(ENDPOINTS, title="x", version="1", description="")
    operations = [op for path in made["paths"].values() for op in path.values()]
    assert len(operations) == len(ENDPOINTS) == 12
    assert {op["x-scope"] for op in operations} == {"hooks:manage"}
