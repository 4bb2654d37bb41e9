"""The commands, as a person calls them."""

import argparse
import json

import pytest

from services.report import cli, doctor
from shared.errors import Refused
from shared.settings import Settings
from tests.services.report.builders import (
    a_case,
    a_cut,
    a_run,
    a_series,
    an_outcome,
    check_run,
    say,
    some_settings,
)
from tests.services.report.conftest import World, WorldFor


async def call(world: World, *words: str) -> int:
    parser = argparse.ArgumentParser()
    cli.add(parser.add_subparsers())
    args = parser.parse_args(words)
    code: int = await args.run(args, with_database(world))
    return code


def with_database(world: World) -> Settings:
    settings = world.floor.settings
    return settings.model_copy(update={"database": settings.database.model_copy(update={"url": world.floor.dsn})})


async def test_pause_is_shown_and_audited_and_resume_undoes_it(world_for: WorldFor) -> None:
    world = await world_for()
    assert await call(world, "pause", "post", "netdev", "--why", "patchwork moves") == 0
    assert await world.owner.fetchval("select why from floor.pauses") == "patchwork moves"
    assert await call(world, "resume", "post", "netdev", "--why", "moved") == 0
    assert await call(world, "resume", "post", "netdev", "--why", "moved") == 1
    assert await world.owner.fetchval("select count(*) from floor.audit") == 3


@pytest.mark.parametrize("kind", ["post", "stream", "source", "executor"])
def test_a_slip_of_the_pen_is_refused_with_what_there_is(kind: str) -> None:
    with pytest.raises(Refused, match=r"there is: .*net"):
        cli.check_name(kind, "net-nxet", some_settings())


async def test_a_verdict_by_hand(world_for: WorldFor, capsys: pytest.CaptureFixture[str]) -> None:
    world = await world_for()
    await a_series(world.owner)
    assert await call(world, "verdict", "set", "<patch-1@example.org>", "contest", "warning", "--why", "slow lab") == 0
    assert "contest is warning" in capsys.readouterr().out
    assert await world.owner.fetchval("select state from report.posts") == "warning"
    assert await world.owner.fetchval("select subject from floor.audit") == "series/1"
    with pytest.raises(Refused, match="no series"):
        await call(world, "verdict", "set", "nobody@x", "contest", "fail", "--why", "w")
    with pytest.raises(Refused, match="there is: apply, contest, tree_selection"):
        await call(world, "verdict", "set", "patch-1@example.org", "contst", "fail", "--why", "w")


async def test_a_verdict_by_hand_on_one_patch_and_on_all(
    world_for: WorldFor, capsys: pytest.CaptureFixture[str]
) -> None:
    world = await world_for()
    series = await a_series(world.owner, patches=(1, 2, 3))
    run = await check_run(world.executor, series)
    async with world.report():
        await say(world.executor, run, series, ("kdoc", 1, "fail", "a"), ("kdoc", 2, "fail", "b"))
        await world.settled(2)
    told = ("verdict", "set", "series-1@example.org", "kdoc", "warning")
    assert await call(world, *told, "--patch", "2", "--why", "wrong") == 0
    assert "series 1, patch 2: kdoc is warning" in capsys.readouterr().out
    with pytest.raises(Refused, match="no patch 4; it has 3"):
        await call(world, *told, "--patch", "4", "--why", "wrong")
    assert await call(world, "verdict", "set", "series-1@example.org", "kdoc", "success", "--why", "all is well") == 0
    async with world.report():
        await world.settled(5)
        await say(world.executor, run, series, ("kdoc", 3, "fail", "late"))
        await world.heard("check.done", 3)
    assert world.posted() == {
        (1, "kdoc", "fail"): 1, (2, "kdoc", "fail"): 1,
        (1, "kdoc", "success"): 1, (2, "kdoc", "success"): 1, (3, "kdoc", "success"): 1,
    }  # fmt: skip


async def test_posts_are_listed_for_people_and_programs(
    world_for: WorldFor, capsys: pytest.CaptureFixture[str]
) -> None:
    world = await world_for()
    cut = await a_cut(world.owner, [await a_series(world.owner)])
    async with world.report():
        await a_run(world.executor, cut, [a_case()])
        await world.settled(1)
    capsys.readouterr()
    await call(world, "posts")
    assert capsys.readouterr().out.startswith(
        "posted    patch 1 contest success: net-next-2026-11-23--09-00 (tests: 1)"
    )
    await call(world, "posts", "--json", "series-1@example.org")
    assert json.loads(capsys.readouterr().out)[0]["status"] == "posted"
    await call(world, "posts", "--json", "other@example.org")
    assert json.loads(capsys.readouterr().out) == []


async def test_refused_posts_are_tried_again_when_asked(world_for: WorldFor, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await world_for()
    await an_outcome(world.owner, await a_series(world.owner))
    with monkeypatch.context() as patch:
        patch.setenv("TEST_PATCHWORK_TOKEN", "wrong")
        async with world.report():
            await world.settled(2)
    assert await world.owner.fetchval("select count(*) from report.posts where status = 'refused'") == 2
    assert await world.owner.fetchval("select ok from floor.health where name = 'netdev/patchwork'") is False
    await call(world, "posts", "--retry-refused")
    async with world.report():
        await world.until("select count(*) from report.posts where status = 'posted'", 2)


async def test_dead_letters_are_listed_and_replayed(world_for: WorldFor, capsys: pytest.CaptureFixture[str]) -> None:
    world = await world_for()
    await call(world, "dead")
    assert "nothing is dead" in capsys.readouterr().out
    await world.owner.execute(
        "insert into floor.work (room, kind, key, state, error) values ('report', 'fold', '1', 'dead', 'no luck')"
    )
    await call(world, "dead")
    assert "work report fold 1: no luck" in capsys.readouterr().out
    await call(world, "dead", "--replay")
    assert "0 events and 1 pieces of work" in capsys.readouterr().out
    assert await world.owner.fetchval("select state from floor.work") == "ready"


async def test_the_doctor_tries_the_token(world_for: WorldFor, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await world_for()
    assert [f.ok for f in await doctor.examine(with_database(world))] == [True] * 4
    monkeypatch.setenv("TEST_PATCHWORK_TOKEN", "0" * 40)
    posting = (await doctor.examine(with_database(world)))[0]
    assert not posting.ok
    assert "not taken" in posting.detail
    monkeypatch.delenv("TEST_PATCHWORK_TOKEN")
    posting = (await doctor.examine(with_database(world)))[0]
    assert not posting.ok
    assert posting.mend
    await world.site.down()
    monkeypatch.setenv("TEST_PATCHWORK_TOKEN", "0" * 40)
    assert "network" in (await doctor.examine(with_database(world)))[0].mend
