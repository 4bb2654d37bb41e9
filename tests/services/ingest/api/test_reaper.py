"""A lab that vanishes: its run is closed as infra once it has been silent too long, once, whoever looks."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from services.ingest.api.desk import LabDesk
from services.ingest.api.patience import deadline
from services.ingest.api.reaper import Reaper
from shared.clock import wall
from shared.db.pool import Pool
from shared.floor import Floor
from tests.conftest import Database, FloorFor
from tests.services.ingest.api.lab import Lab, a_branch, a_token, served, settings


@pytest.fixture
async def owner(database: Database) -> Pool:
    return await database.pool()


@pytest.fixture
async def floor(floor_for: FloorFor) -> Floor:
    return await floor_for("ingest", settings())


@pytest.fixture
async def lab(owner: Pool, floor: Floor) -> AsyncIterator[Lab]:
    await a_branch(owner)
    async with served(floor, await a_token(owner)) as lab:
        yield lab


async def silent(owner: Pool, run: int, since: timedelta) -> None:
    """As if the lab had not been heard of for so long, and its deadline was just now."""
    await owner.execute(
        "update ingest.lab_runs set beat = now() - $2::interval, deadline = now() - interval '1 second' "
        "where run_id = $1",
        run, since,
    )  # fmt: skip


async def done(owner: Pool) -> int:
    return int(await owner.fetchval(
        "select count(*) from (select type from floor.outbox union all select type from floor.events) e "
        "where type = 'dev.netci.run.done.v1'"
    ))  # fmt: skip


async def test_a_silent_run_is_closed_as_infra_once(lab: Lab, owner: Pool, floor: Floor) -> None:
    run, alive = await lab.begin(), await lab.begin(executor="alive")
    await silent(owner, run, timedelta(hours=1))
    reapers = [Reaper(LabDesk(floor)) for _ in range(3)]
    assert sum(await asyncio.gather(*(reaper.once() for reaper in reapers))) == 1
    _, told = await lab.ask("GET", f"/api/v1/lab/runs/{run}")
    assert (told["state"], told["cause"]) == ("abandoned", "infra")
    assert told["reason"].startswith("not heard of since 20")
    assert (await lab.ask("GET", f"/api/v1/lab/runs/{alive}"))[1]["state"] == "open"
    assert await done(owner) == 1


async def test_a_heartbeat_keeps_it_open(lab: Lab, owner: Pool, floor: Floor) -> None:
    run = await lab.begin()
    await silent(owner, run, timedelta(hours=1))
    assert (await lab.post(f"runs/{run}/heartbeat"))[0] == 200
    assert await Reaper(LabDesk(floor)).once() == 0


async def test_what_is_kept_of_requests_goes_in_time(lab: Lab, owner: Pool, floor: Floor) -> None:
    await lab.post("runs", {"branch": "x", "executor": "e"}, headers={"Idempotency-Key": "1"})
    await lab.begin()
    await owner.execute("insert into ingest.answers values ('metal', 'old', '', 200, '{}', now() - interval '3 days')")
    await owner.execute("insert into ingest.answers values ('metal', 'new', '', 200, '{}', now())")
    await owner.execute("update ingest.rejections set at = now() - interval '31 days'")
    await Reaper(LabDesk(floor)).once()
    assert [r["key"] for r in await owner.fetch("select key from ingest.answers")] == ["new"]
    assert await owner.fetchval("select count(*) from ingest.rejections") == 0


def test_until_when_a_lab_must_be_heard_of() -> None:
    labs, began = settings().labs, wall()

    def hours(heard: float, end: float | None) -> float:
        expected: datetime | None = began + timedelta(hours=end) if end is not None else None
        return (deadline(began, began + timedelta(hours=heard), expected, labs) - began) / timedelta(hours=1)

    assert hours(0, None) == 0.5
    assert hours(0, 3) == 3
    assert hours(4, 3) == 4.5
    assert hours(23.9, 23.9) == 24


async def test_a_run_that_cannot_be_closed_holds_up_no_other(lab: Lab, owner: Pool, floor: Floor) -> None:
    reaper = Reaper(LabDesk(floor), timedelta(seconds=0.05))
    first, second = [await lab.begin(executor=name) for name in ("one", "two")]
    for run in (first, second):
        await silent(owner, run, timedelta(hours=1))
    await owner.execute(
        "create function refuse() returns trigger language plpgsql as $$ begin "
        f"if old.id = {first} then raise exception 'no'; end if; return new; end $$;"
        "create trigger refuse before update on ledger.runs for each row execute function refuse()"
    )
    assert await reaper.once() == 1
    states = await owner.fetch("select state from ledger.runs order by id")
    assert [row["state"] for row in states] == ["open", "abandoned"]
    task = asyncio.ensure_future(reaper.run(1))
    await owner.execute("drop trigger refuse on ledger.runs")
    async with asyncio.timeout(30):
        while await owner.fetchval("select count(*) from ledger.runs where state = 'open'"):
            await asyncio.sleep(0.05)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
