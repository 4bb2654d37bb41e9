"""`netci recheck` as a person types it."""

import argparse
import json

import pytest

from services.executor.check_queue import cli
from services.executor.check_queue.handlers import Rechecking
from shared import recheck
from shared.db.work import claim
from shared.errors import Missing, Refused
from tests.services.executor.check_queue.world import World, a_series, applied, becomes


async def netci(world: World, *words: str) -> int:
    """Run it as `netci` would, on the world's database."""
    parser = argparse.ArgumentParser()
    cli.add(parser.add_subparsers(required=True))
    args = parser.parse_args(["recheck", *words])
    database = world.floor.settings.database.model_copy(update={"url": world.floor.dsn})
    return int(await args.run(args, world.floor.settings.model_copy(update={"database": database})))


async def test_any_mail_of_the_series_will_do(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    series = await a_series(world.owner)
    await applied(world.owner, series)
    await world.look(series)
    await world.do("tree")
    capsys.readouterr()
    assert await netci(world, "<s1-2@x>", "--check", "checkpatch", "--why", "a flaky tool", "--json") == 0
    asked = json.loads(capsys.readouterr().out)
    assert (asked["series"], asked["checks"], asked["applied"]) == (series, ["checkpatch"], True)
    work = await claim(world.floor.pool, "checks", [recheck.KIND], world.floor.holder)
    assert work is not None
    await Rechecking(world.floor, world.planner).do(work)
    assert ("tree", 1, "planned") in await world.plans(series)


async def test_what_is_applied_nowhere_is_asked_when_it_is(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    series = await a_series(world.owner)
    await applied(world.owner, series)
    await world.look(series)
    await world.do("tree")
    await world.do("build")
    await applied(world.owner, series, outcome="refused", reason="its base is gone")
    capsys.readouterr()
    assert await netci(world, "s1@x", "--check", "checkpatch", "--why", "a flaky tool") == 0
    assert capsys.readouterr().out.endswith("are asked again; what needs its tree, once it is applied\n")
    work = await claim(world.floor.pool, "checks", [recheck.KIND], world.floor.holder)
    assert work is not None
    await Rechecking(world.floor, world.planner).do(work)
    assert (await world.plans(series))[3:] == [("tree", 1, "unasked")]
    assert await world.why(series, "checkpatch") == "the series is not applied: its base is gone"
    await applied(world.owner, series)
    await world.look(series)
    assert (await world.plans(series))[3:] == [("tree", 1, "planned")]


async def test_what_cannot_be_is_said_in_words(world: World) -> None:
    with pytest.raises(Missing, match="no series has a mail"):
        await netci(world, "lost@x", "--why", "so")
    await a_series(world.owner, "foreign", project="bpf")
    with pytest.raises(Refused, match="none of its projects has checks"):
        await netci(world, "foreign@x", "--why", "so")
    await becomes(world.owner, await a_series(world.owner), "superseded", "Superseded by v2")
    with pytest.raises(Refused, match="nobody waits"):
        await netci(world, "s1@x", "--why", "so")


async def test_a_slip_of_the_pen_is_noticed_at_once(world: World) -> None:
    await a_series(world.owner)
    with pytest.raises(Refused, match="netdev has no check chekpatch"):
        await netci(world, "s1@x", "--check", "chekpatch", "--why", "so")


async def test_a_wish_that_cannot_be_met_is_given_up_at_once(world: World) -> None:
    series = await a_series(world.owner)
    async with world.floor.pool.acquire() as conn, conn.transaction():
        await recheck.ask(conn, series, ["chekpatch"], "", "ann")
    work = await claim(world.floor.pool, "checks", [recheck.KIND], world.floor.holder)
    assert work is not None
    await Rechecking(world.floor, world.planner).do(work)
    assert await world.owner.fetchval("select state from floor.work where id = $1", work.id) == "done"
    assert await world.plans(series) == []
