"""Rates: a burst, then a trickle, each address for itself."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from shared.web import rates as module
from shared.web.app import make_app
from shared.web.rates import Rates


class Hand:
    """A clock that is moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_then_a_trickle() -> None:
    clock = Hand()
    rates = Rates(rate=2, burst=3, clock=clock)
    assert [rates.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert rates.take("b") == 0
    clock.now = 0.5
    assert rates.take("a") == 0
    assert rates.take("a") == 0.5
    clock.now = 100
    assert [rates.take("a") for _ in range(4)] == [0, 0, 0, 0.5]


def test_only_so_many_addresses_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 2)
    rates = Rates(rate=1, burst=1, clock=Hand())
    for address in ("a", "b", "c"):
        assert rates.take(address) == 0
    assert rates.take("c") > 0
    assert rates.take("a") == 0


@pytest.fixture
async def client() -> AsyncIterator[TestClient[web.Request, web.Application]]:
    app = make_app(trusted=["127.0.0.1"], rates=Rates(rate=0.1, burst=2))
    async with TestClient(TestServer(app)) as made:
        yield made


async def test_a_client_too_quick_is_told_when_to_come_back(client: TestClient[web.Request, web.Application]) -> None:
    theirs = {"X-Forwarded-For": "198.51.100.9"}
    statuses = [(await client.get("/api/v1/x", headers=theirs)).status for _ in range(3)]
    assert statuses == [404, 404, 429]
    refused = await client.get("/api/v1/x", headers=theirs)
    assert int(refused.headers["Retry-After"]) >= 9
    assert (await client.get("/healthz", headers=theirs)).status == 200
    assert (await client.get("/api/v1/x")).status == 404
