"""What outside labs send, up to what is concluded and posted: runs on branches join the fold, runs on series speak."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from shared.settings import Settings, parse
from tests.conftest import FloorFor
from tests.services.ingest.api.lab import Lab, a_document, a_token, served
from tests.services.report.builders import TOML, a_case, a_cut, a_run, a_series
from tests.services.report.conftest import World, WorldFor

LAB = """
[[remotes]]
name = "vendor"
report = true
streams = ["net-next"]
executors = ["cx7-drv"]
"""


def with_a_lab(url: str) -> Settings:
    text = TOML.format(url=url, post="on", skips="warning")
    return parse(text.replace('post = "on"', 'post = "on"\nchecks = ["vendor-build"]') + LAB)


@asynccontextmanager
async def at_work(world_for: WorldFor, floor_for: FloorFor, url: str, **more: Any) -> AsyncIterator[tuple[World, Lab]]:
    settings = with_a_lab(url)
    world = await world_for(settings)
    scopes = ["results:write:*", "checks:write:vendor-build", "checks:write:private"]
    token = await a_token(world.owner, scopes, remote="vendor", **more)
    async with served(await floor_for("ingest", settings), token) as lab, world.report():
        yield world, lab


def checks(world: World, patch: int) -> list[tuple[str, str, str | None]]:
    return [(c.context, c.state, c.description) for c in world.site.patchwork.checks_of(patch)]


async def test_a_labs_run_is_waited_for_and_counts(world_for: WorldFor, floor_for: FloorFor, site: Any) -> None:
    async with at_work(world_for, floor_for, site.url) as (world, lab):
        cut = await a_cut(world.owner, [await a_series(world.owner)])
        await a_run(world.executor, cut, [a_case("tls")])
        await world.until("select state from report.branches", "waiting")
        assert (await lab.post("results", a_document(3, 1)))[0] == 201
        await world.settled(1)
    assert checks(world, 1) == [("contest", "success", "net-next-2026-11-23--09-00 (tests: 4)")]


async def test_a_trial_counts_for_nothing(world_for: WorldFor, floor_for: FloorFor, site: Any) -> None:
    async with at_work(world_for, floor_for, site.url, sandbox=True) as (world, lab):
        cut = await a_cut(world.owner, [await a_series(world.owner)])
        failing = [{"group": "g", "test": "t", "result": "fail"}]
        assert (await lab.post("results", a_document(cases=failing)))[0] == 201
        await a_run(world.executor, cut, [a_case("tls")])
        await world.until("select tests from report.branches", 1)
        assert await world.owner.fetchval("select state from report.branches") == "waiting"
        lab.token = await a_token(world.owner, remote="vendor")
        assert (await lab.post("results", a_document(1)))[0] == 201
        await world.settled(1)
    assert checks(world, 1) == [("contest", "success", "net-next-2026-11-23--09-00 (tests: 2)")]
    assert await world.owner.fetchval("select count(*) from report.rollups") == 2


async def test_a_run_on_a_series_is_a_check_pending_first(world_for: WorldFor, floor_for: FloorFor, site: Any) -> None:
    async with at_work(world_for, floor_for, site.url) as (world, lab):
        await a_series(world.owner, patches=(1, 2))
        start = {"series": "series-1@example.org", "executor": "bot", "context": "vendor-build"}
        _, run = await lab.post("runs", start)
        await world.settled(2)
        cases = [{"group": "g", "test": "a", "result": "pass"}, {"group": "g", "test": "b", "result": "fail"}]
        await lab.post(f"runs/{run['run']}/cases", {"cases": cases})
        await lab.post(f"runs/{run['run']}/finish")
        await world.settled(4)
        for attempt, result in ((1, "pass"), (2, "fail")):
            again = a_document(series="series-1@example.org", executor="bot", attempt=attempt, cases=[], checks=[
                {"context": "vendor-build", "state": "success" if result == "pass" else "fail"}])  # fmt: skip
            del again["branch"]
            assert (await lab.post("results", again))[0] == 201
            await world.settled(4 + 2 * attempt)
    said = [("vendor-build", state) for state in ("pending", "fail", "success", "fail")]
    for patch in (1, 2):
        assert [(context, state) for context, state, _ in checks(world, patch)] == said
    assert checks(world, 1)[1] == ("vendor-build", "fail", "tests: 2, failing: 1")


async def test_what_a_lab_says_of_one_patch_is_posted_on_that_patch(
    world_for: WorldFor, floor_for: FloorFor, site: Any
) -> None:
    async with at_work(world_for, floor_for, site.url) as (world, lab):
        await a_series(world.owner, patches=(1, 2))
        start = {"series": "series-1@example.org", "executor": "bot", "context": "vendor-build"}
        _, run = await lab.post("runs", start)
        await world.settled(2)
        said = [{"context": "vendor-build", "state": "fail", "patch": 2, "description": "does not link"}]
        assert (await lab.post(f"runs/{run['run']}/finish", {"checks": said}))[0] == 200
        await world.settled(3)
    assert checks(world, 2)[1:] == [("vendor-build", "fail", "does not link")]
    assert [state for _, state, _ in checks(world, 1)] == ["pending"]


async def test_contexts_that_the_project_does_not_list_are_not_posted(
    world_for: WorldFor, floor_for: FloorFor, site: Any
) -> None:
    async with at_work(world_for, floor_for, site.url) as (world, lab):
        await a_series(world.owner)
        document = a_document(series="series-1@example.org", executor="bot", cases=[], checks=[
            {"context": "private", "state": "fail"}, {"context": "vendor-build", "state": "success"}])  # fmt: skip
        del document["branch"]
        await lab.post("results", document)
        await world.settled(1)
    assert [(context, state) for context, state, _ in checks(world, 1)] == [("vendor-build", "success")]
    assert await world.owner.fetchval("select count(*) from ledger.checks") == 2


async def test_what_no_event_told_of_is_found_all_the_same(world_for: WorldFor, floor_for: FloorFor, site: Any) -> None:
    settings = with_a_lab(site.url)
    world = await world_for(settings)
    await a_series(world.owner)
    token = await a_token(world.owner, ["results:write:*", "checks:write:vendor-build"], remote="vendor")
    document = a_document(series="series-1@example.org", executor="bot")
    del document["branch"]
    async with served(await floor_for("ingest", settings), token) as lab:
        assert (await lab.post("results", document))[0] == 201
    await world.until("select count(*) from floor.outbox", 0)
    await world.owner.execute("delete from floor.outbox")
    await world.owner.execute("delete from floor.inbox")
    async with world.report():
        await world.settled(1)
    assert [(context, state) for context, state, _ in checks(world, 1)] == [("vendor-build", "success")]
