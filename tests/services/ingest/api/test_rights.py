"""A token writes for its own remote and its own executors. Of another's runs it learns nothing, by any route."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.db.pool import Pool
from tests.conftest import Database, FloorFor
from tests.services.ingest.api.lab import BRANCH, Lab, a_branch, a_document, a_token, served, settings

ONE_CASE = {"cases": [{"group": "g", "test": "t", "result": "pass"}]}

# Every route that names a run, and what would be sent there.
ROUTES: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("POST", "/cases", ONE_CASE),
    ("POST", "/heartbeat", {}),
    ("POST", "/finish", {}),
    ("POST", "/abandon", {}),
    ("PUT", "/artifacts/log", None),
]


@pytest.fixture
async def owner(database: Database) -> Pool:
    return await database.pool()


@pytest.fixture
async def lab(owner: Pool, floor_for: FloorFor) -> AsyncIterator[Lab]:
    await a_branch(owner)
    token = await a_token(owner, ["results:write:cx7-*"])
    async with served(await floor_for("ingest", settings()), token) as lab:
        yield lab


async def everything(owner: Pool) -> list[Any]:
    """All that a lab could change."""
    tables = ("ledger.runs", "ledger.cases", "ledger.artifacts", "ledger.checks", "ingest.lab_runs", "floor.blobs")
    return [[tuple(r) for r in await owner.fetch(f"select * from {table} order by 1, 2")] for table in tables]


async def send(lab: Lab, run: int, route: tuple[str, str, Any]) -> tuple[int, Any]:
    method, path, body = route
    more = {"json": body} if body is not None else {"data": b"x"} if method == "PUT" else {}
    return await lab.ask(method, f"/api/v1/lab/runs/{run}{path}", **more)


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: f"{r[0]}{r[1]}")
async def test_nothing_of_another_remote(lab: Lab, owner: Pool, route: tuple[str, str, Any]) -> None:
    run = await lab.begin()
    before = await everything(owner)
    lab.token = await a_token(owner, ["results:write:*"], remote="wood")
    status, theirs = await send(lab, run, route)
    assert status == 404
    _, never = await send(lab, run + 1000, route)
    assert theirs["detail"] == never["detail"].replace(str(run + 1000), str(run))
    assert await everything(owner) == before


@pytest.mark.parametrize("route", ROUTES[1:], ids=lambda r: f"{r[0]}{r[1]}")
async def test_nothing_of_another_executor_of_the_same_remote(
    lab: Lab, owner: Pool, route: tuple[str, str, Any]
) -> None:
    run = await lab.begin()
    before = await everything(owner)
    lab.token = await a_token(owner, ["results:write:e810-*"])
    assert (await send(lab, run, route))[0] == 403
    assert await everything(owner) == before


@pytest.mark.parametrize("route", ROUTES[1:], ids=lambda r: f"{r[0]}{r[1]}")
async def test_nothing_of_a_run_that_is_ours(lab: Lab, owner: Pool, route: tuple[str, str, Any]) -> None:
    await owner.execute(
        """insert into ledger.runs (day, project, remote, executor, cut_id, lease_number)
           select current_date, 'netdev', 'metal', 'cx7-drv', id, 7 from branch.cuts"""
    )
    run = await owner.fetchval("select id from ledger.runs")
    before = await everything(owner)
    assert (await send(lab, run, route))[0] == 404
    assert await everything(owner) == before


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: f"{r[0]}{r[1]}")
async def test_nothing_without_a_token_or_its_scope(lab: Lab, owner: Pool, route: tuple[str, str, Any]) -> None:
    run = await lab.begin()
    before = await everything(owner)
    lab.token = ""
    assert (await send(lab, run, route))[0] == 401
    lab.token = await a_token(owner, ["events:read"], remote="")
    assert (await send(lab, run, route))[0] == 403
    lab.token = await a_token(owner, ["admin"], remote="")
    assert (await send(lab, run, route))[0] == 404
    assert await everything(owner) == before


@pytest.mark.parametrize("path", ["runs", "results"])
async def test_nothing_new_for_executors_that_it_may_not_write(lab: Lab, owner: Pool, path: str) -> None:
    body = a_document(executor="e810-drv") if path == "results" else {"branch": BRANCH, "executor": "e810-drv"}
    assert (await lab.post(path, body))[0] == 403
    lab.token = await a_token(owner, ["admin"], remote="")
    assert (await lab.post(path, body))[0] == 403
    assert await owner.fetchval("select count(*) from ledger.runs") == 0
    kept = await owner.fetch("select remote, executor, status from ingest.rejections order by id")
    assert [tuple(r) for r in kept] == [("metal", "e810-drv", 403), ("", "e810-drv", 403)]


async def test_the_same_executor_of_two_remotes_is_two_runs(lab: Lab, owner: Pool) -> None:
    first = await lab.begin()
    lab.token = await a_token(owner, ["results:write:*"], remote="wood")
    assert await lab.begin() != first


async def test_a_rotated_token_goes_on_with_the_run(lab: Lab, owner: Pool) -> None:
    run = await lab.begin()
    lab.token = await a_token(owner, ["results:write:cx7-*"])
    assert (await lab.post(f"runs/{run}/cases", ONE_CASE))[0] == 200
