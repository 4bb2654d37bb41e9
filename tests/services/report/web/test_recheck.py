"""A series' checks asked again over HTTP: by an operator's token, as work for the room of checks."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from shared import recheck
from shared.db.tokens import Order, create
from shared.model.tokens import parse_scopes
from shared.settings import Checking
from tests.conftest import Database, FloorFor
from tests.services.report.web.builders import World, seed, served, settings_for


@dataclass
class Asking:
    client: aiohttp.ClientSession
    world: World

    async def post(self, key: object, body: object, token: str = "") -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.client.post(f"/api/v1/series/{key}/recheck", json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def token(self, *scopes: str) -> str:
        async with self.world.owner.acquire() as conn, conn.transaction():
            return (await create(conn, Order("x", "", parse_scopes(scopes)), "ann")).text

    async def wishes(self) -> list[dict[str, Any]]:
        rows = await self.world.owner.fetch("select payload from floor.work where kind = $1", recheck.KIND)
        return [row["payload"] for row in rows]


@pytest.fixture
async def asking(database: Database, floor_for: FloorFor, tmp_path: Path) -> AsyncIterator[Asking]:
    settings = settings_for(tmp_path)
    netdev = settings.projects["netdev"].model_copy(update={"checking": Checking()})
    floor = await floor_for("report", settings)
    floor = replace(floor, settings=settings.model_copy(update={"projects": {"netdev": netdev}}))
    world = await seed(floor, await database.pool())
    async with served(floor) as url, aiohttp.ClientSession(url) as client:
        yield Asking(client, world)


async def test_an_operator_asks_by_number_or_by_mail(asking: Asking) -> None:
    token = await asking.token("admin")
    body = {"checks": ["checkpatch", "checkpatch"], "why": "a flaky tool"}
    status, said = await asking.post(asking.world.good, body, token)
    assert (status, said) == (202, {"series": asking.world.good, "checks": ["checkpatch"]})
    message = await asking.world.owner.fetchval(
        "select message_id from ingest.series where id = $1", asking.world.good
    )  # fmt: skip
    assert (await asking.post(message, {}, token))[0] == 202
    first, second = sorted(await asking.wishes(), key=lambda wish: len(wish["checks"]), reverse=True)
    assert (first["series"], first["checks"], first["why"]) == (asking.world.good, ["checkpatch"], "a flaky tool")
    assert second["checks"] == []
    assert first["by"] == f"token {token.split('_')[1][:8]}"
    assert await asking.world.owner.fetchval("select count(*) from floor.audit where what = 'recheck'") == 2


async def test_nobody_else_may(asking: Asking) -> None:
    assert (await asking.post(asking.world.good, {}))[0] == 401
    assert (await asking.post(asking.world.good, {}, await asking.token("events:read")))[0] == 403
    assert await asking.wishes() == []


async def test_what_cannot_be_asked_is_refused_in_words(asking: Asking) -> None:
    token = await asking.token("admin")
    assert (await asking.post(999_999, {}, token))[0] == 404
    assert (await asking.post(asking.world.good, {"checks": ["no such"]}, token))[0] == 400
    await asking.world.owner.execute("update ingest.series set state = 'superseded' where id = $1", asking.world.good)
    status, said = await asking.post(asking.world.good, {}, token)
    assert (status, said["detail"]) == (400, "the series is superseded: nobody waits for its checks")
    assert await asking.wishes() == []
