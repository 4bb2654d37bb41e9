"""The front as a room's task: it starts, takes others' routes, and is gone within a second."""

import asyncio
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from services.report.web.app import serve
from shared.errors import Refused
from tests.conftest import FloorFor
from tests.services.report.web.builders import served, settings_for


async def test_it_ends_within_a_second_with_readers_on(floor_for: FloorFor, tmp_path: Path) -> None:
    floor = await floor_for("report", settings_for(tmp_path))
    up, loop = asyncio.Event(), asyncio.get_running_loop()
    task: asyncio.Future[object] = asyncio.ensure_future(serve(floor, up.set))
    async with aiohttp.ClientSession(f"http://{floor.settings.web.listen}") as client, asyncio.timeout(20):
        await up.wait()
        readers = [await client.get("/api/v1/events/stream") for _ in range(5)]
        began = loop.time()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        took = loop.time() - began
        for reader in readers:
            reader.close()
    assert took < 1


async def test_ingest_may_add_its_paths(floor_for: FloorFor, tmp_path: Path) -> None:
    async def lab(request: web.Request) -> web.Response:
        return web.json_response({"taken": True})

    floor = await floor_for("report", settings_for(tmp_path))
    async with served(floor, lambda app: app.router.add_post("/api/v1/lab/runs", lab)) as url:
        async with aiohttp.ClientSession() as client, client.post(f"{url}/api/v1/lab/runs") as answer:
            assert await answer.json() == {"taken": True}


async def test_an_address_in_use_is_said(floor_for: FloorFor, tmp_path: Path) -> None:
    floor = await floor_for("report", settings_for(tmp_path))
    async with served(floor):
        with pytest.raises(Refused, match="can't listen on"):
            await serve(floor)


async def test_an_empty_installation_has_pages(floor_for: FloorFor, tmp_path: Path) -> None:
    floor = await floor_for("report", settings_for(tmp_path))
    async with served(floor) as url, aiohttp.ClientSession(url) as client:
        for path in ("/", "/contest", "/branches", "/series", "/events", "/about", "/branches.json"):
            async with client.get(path) as answer:
                assert answer.status == 200, await answer.text()


async def test_without_rooms_to_ask_it_is_ready_while_it_can_read(floor_for: FloorFor, tmp_path: Path) -> None:
    floor = await floor_for("report", settings_for(tmp_path))
    async with served(floor) as url, aiohttp.ClientSession(url) as client, client.get("/readyz") as answer:
        assert await answer.json() == {"ready": True, "missing": []}
