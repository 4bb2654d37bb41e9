"""What a sandbox token sends is checked and stored like anything else, and is nobody's business but its lab's."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from services.ingest.api.desk import LabDesk
from services.ingest.api.reaper import AT_ONCE, Reaper
from shared.db.pool import Pool
from shared.floor import Floor
from tests.conftest import Database, FloorFor
from tests.services.ingest.api.lab import BRANCH, Lab, a_branch, a_document, a_series, a_token, served, settings


@pytest.fixture
async def owner(database: Database) -> Pool:
    return await database.pool()


@pytest.fixture
async def floor(floor_for: FloorFor) -> Floor:
    return await floor_for("ingest", settings())


@pytest.fixture
async def lab(owner: Pool, floor: Floor) -> AsyncIterator[Lab]:
    await a_branch(owner)
    token = await a_token(owner, ["results:write:cx7-*", "checks:write:vendor-build"], sandbox=True)
    async with served(floor, token) as lab:
        yield lab


@pytest.mark.parametrize("branch", [BRANCH, "sandbox", "sandbox-20261125"])
async def test_a_trial_is_stored_and_told_to_its_own_lab(lab: Lab, owner: Pool, branch: str) -> None:
    status, told = await lab.post("results", a_document(branch=branch))
    assert (status, told["sandbox"], told["url"]) == (201, True, "")
    row = await owner.fetchrow("select visibility, trial, state from ledger.runs")
    assert row is not None
    assert tuple(row) == ("operator", True, "done")
    assert await owner.fetchval("select count(*) from ledger.cases") == 4
    seen = "select body->>'visibility' from floor.outbox union select visibility from floor.events"
    assert [r[0] for r in await owner.fetch(seen)] == ["operator"]
    assert (await lab.ask("GET", f"/api/v1/lab/runs/{told['run']}"))[1]["cases"] == 4


async def test_a_trial_is_no_obstacle_to_the_real_run(lab: Lab, owner: Pool) -> None:
    _, trial = await lab.post("results", a_document())
    lab.token = await a_token(owner)
    status, real = await lab.post("results", a_document())
    assert (status, real["sandbox"]) == (201, False)
    assert real["run"] != trial["run"]
    assert (await lab.post(f"runs/{trial['run']}/abandon"))[0] == 404


async def test_a_trial_takes_no_key_from_the_real_run(lab: Lab, owner: Pool) -> None:
    """A lab that has tried sends the same once more in earnest, under the key that it makes of it."""
    key = {"Idempotency-Key": "of-this-run"}
    _, trial = await lab.post("results", a_document(), headers=key)
    lab.token = await a_token(owner)
    status, real = await lab.post("results", a_document(), headers=key)
    assert (status, real["sandbox"]) == (201, False)
    assert (await lab.post("results", a_document(), headers=key))[1]["run"] == real["run"] != trial["run"]


async def test_only_its_own_remote_sees_it(lab: Lab, owner: Pool) -> None:
    _, told = await lab.post("results", a_document())
    lab.token = await a_token(owner, remote="wood", sandbox=True)
    assert (await lab.ask("GET", f"/api/v1/lab/runs/{told['run']}"))[0] == 404


async def test_a_trial_says_nothing_of_a_series(lab: Lab, owner: Pool) -> None:
    await a_series(owner)
    document = a_document(series="series-1@example.org")
    del document["branch"]
    assert (await lab.post("results", document))[0] == 201
    status, run = await lab.post("runs", {"series": "series-1@example.org", "executor": "cx7-b"})
    assert status == 201
    assert (await lab.post(f"runs/{run['run']}/finish", {"checks": [{"context": "vendor-build", "state": "fail"}]}))[
        0
    ] == 200
    assert await owner.fetchval("select count(*) from ledger.checks") == 0


async def test_a_file_that_was_tried_is_public_once_it_is_posted(lab: Lab, owner: Pool) -> None:
    seen = []
    for token in (lab.token, await a_token(owner)):
        lab.token = token
        run = await lab.begin()
        assert (await lab.ask("PUT", f"/api/v1/lab/runs/{run}/artifacts/a", data=b"same"))[0] == 201
        seen.append(await owner.fetchval("select visibility from floor.blobs"))
    assert seen == ["operator", "public"]


async def test_a_trial_is_gone_after_a_day(lab: Lab, owner: Pool, floor: Floor) -> None:
    _, told = await lab.post("results", a_document())
    run = await lab.begin(executor="cx7-young")
    await lab.post(f"runs/{run}/finish")
    await owner.execute("update ledger.runs set closed = now() - interval '25 hours' where id = $1", told["run"])
    await Reaper(LabDesk(floor), timedelta(0)).once()
    assert (await lab.ask("GET", f"/api/v1/lab/runs/{told['run']}"))[0] == 404
    assert (await lab.ask("GET", f"/api/v1/lab/runs/{run}"))[0] == 200
    assert await owner.fetchval("select count(*) from ledger.cases") == 0


async def test_many_trials_are_forgotten_at_once(lab: Lab, owner: Pool, floor: Floor) -> None:
    await owner.execute(
        "insert into ledger.runs (day, project, remote, executor, branch, state, trial, visibility, closed) "
        "select '2026-08-20', 'netdev', 'metal', 'e' || n, 'sandbox', 'done', true, 'operator', now() - interval '2d' "
        "from generate_series(1, $1) n",
        2 * AT_ONCE + 1,
    )
    await Reaper(LabDesk(floor)).once()
    assert await owner.fetchval("select count(*) from ledger.runs") == 0
