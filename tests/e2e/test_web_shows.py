"""What the pages say while things are away, and that they say so no more when things are back."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from shared.practice.config import Tables
from shared.practice.demo.stage import Stage, staged
from shared.practice.world_series import Role
from tests.e2e.programs import free_listen

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    """With polls so close together that what is over is seen to be over."""
    async with staged(11, free_listen(), adapt=_often) as one:
        yield one


def _often(tables: Tables) -> None:
    tables["projects"]["netdev"]["patchwork"] |= {"sync_queue": "2s", "reconcile": "2s"}


async def _page(stage: Stage, path: str) -> str:
    answer = await stage.http.request("GET", path)
    assert answer.status == 200, path
    return answer.text()


async def _status(stage: Stage, wanted: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
    """The status as soon as it is as wanted."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found: dict[str, Any] = json.loads(await _page(stage, "/api/v1/status"))
        if wanted(found):
            return found
        await asyncio.sleep(0.2)
    raise AssertionError(f"the status page does not show that {what}: {found['health']}")


def _ill(found: dict[str, Any], word: str) -> bool:
    return any(not row["ok"] and word in row["name"] for row in found["health"])


OUTAGES: dict[str, dict[str, Any]] = {
    "answers 502": {"kind": "status", "status": 502},
    "sends pages for people": {"kind": "html"},
    "breaks off": {"kind": "truncated"},
    "resets": {"kind": "reset"},
}


@pytest.mark.parametrize("how", OUTAGES)
async def test_patchwork_in_trouble_is_shown_and_forgotten(stage: Stage, how: str) -> None:
    stage.patchwork.misbehave.add(**OUTAGES[how])
    found = await _status(stage, lambda now: _ill(now, "patchwork"), f"Patchwork {how}")
    why = next(row["text"] for row in found["health"] if not row["ok"])
    assert why.strip()
    assert "Traceback" not in why
    page = await _page(stage, "/")
    assert "patchwork" in page
    stage.patchwork.misbehave.clear()
    await _status(stage, lambda now: not _ill(now, "patchwork"), "Patchwork is well again")


async def test_patchwork_down_loses_nothing(stage: Stage) -> None:
    """A series that comes to Patchwork while nobody can ask it is taken in when somebody can."""
    await stage.patchwork.down()
    await _status(stage, lambda now: _ill(now, "patchwork"), "Patchwork is down")
    series = stage.world.by_role(Role.FLAKY)
    for mail in series.mails:
        stage.patchwork.submit(mail)
    await stage.patchwork.up()
    await _status(stage, lambda now: not _ill(now, "patchwork"), "Patchwork is back")
    end = time.monotonic() + 60
    while (await stage.http.request("GET", f"/api/v1/series/{series.message_ids[0]}")).status != 200:
        assert time.monotonic() < end
        await asyncio.sleep(0.2)


async def test_a_pause_is_shown_at_once(stage: Stage) -> None:
    await stage.command("pause", "post", "netdev", "--why", "the maintainers asked")
    begun = time.monotonic()
    await _status(stage, lambda now: [row["why"] for row in now["pauses"]] == ["the maintainers asked"], "it is paused")
    assert time.monotonic() - begun < 5
    assert "the maintainers asked" in await _page(stage, "/")
    await stage.command("resume", "post", "netdev", "--why", "they are content")
    await _status(stage, lambda now: not now["pauses"], "it goes on")


async def test_pages_without_what_they_are_about(stage: Stage) -> None:
    for path in ("/series/999999", "/series/no@body", "/run/999999", "/branch/none-2026-01-01--00-00", "/nothing"):
        answer = await stage.http.request("GET", path)
        assert answer.status == 404, path
        assert "Traceback" not in answer.text()
    for path in ("/series/999999999999999999999999", "/run/-1", "/run/x", "/api/v1/runs/1%00", "/series?before=x"):
        assert (await stage.http.request("GET", path)).status in (400, 404, 422), path
