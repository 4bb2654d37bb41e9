"""What a person may ask on the command line, and what the doctor finds."""

import argparse
import json
from pathlib import Path

import pytest

from services.branch import cli, resolve
from services.branch.doctor import examine
from shared.settings import Settings
from tests.services.branch.test_cutter import a_cutter, applied, cuts, request
from tests.services.branch.world import World
from tests.shared.git.build import commit, head


async def netci(world: World, *words: str) -> int:
    """Run a command as `netci` would, on the world's database."""
    parser = argparse.ArgumentParser()
    cli.add(parser.add_subparsers(required=True))
    args = parser.parse_args(words)
    database = world.settings.database.model_copy(update={"url": world.floor.dsn})
    settings: Settings = world.settings.model_copy(update={"database": database})
    return int(await args.run(args, settings))


async def test_cut_asks_for_a_branch_of_named_series(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    await applied(world, world.change("README", 2, "one"), name="one")
    assert await netci(world, "cut", "next", "--series", "<one-1@example.org>", "--why", "try", "--json") == 0
    asked = json.loads(capsys.readouterr().out)
    row = await world.owner.fetchrow("select * from branch.requests where id = $1", asked["request"])
    assert row is not None
    assert (row["message_ids"], row["why"]) == (["one@example.org"], "try")
    assert await world.owner.fetchval("select what from floor.audit") == "cut"


async def test_cut_waits_until_the_branch_is_out(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    await request(world)
    await a_cutter(world).round()
    assert await netci(world, "cut", "next", "--wait", "0.3") == 3
    assert "the request stands" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("cut", "nothing"), "no stream 'nothing' (there is: next)"),
        (("cut", "next", "--series", "lost@example.org"), "no series has a mail"),
        (("series", "hold", "lost@example.org", "--why", "so"), "no series has a mail"),
        (("series", "hold", "one@example.org", "--why", " "), "say why"),
        (("series", "release", "one@example.org"), "nothing was ordered"),
        (("resolve", "next"), "no merge was in conflict"),
        (("resolve", "next", "--continue"), "no conflict is laid out"),
        (("resolve", "next", "--import", "/nowhere"), "is no folder"),
    ],
)
async def test_what_cannot_be_is_refused_in_words(
    world: World, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    await world.series([], name="one")
    assert await netci(world, *words) == 2
    assert said in capsys.readouterr().err


async def test_hold_and_release_are_recorded_and_listed(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    await applied(world, world.change("README", 2, "one"), name="one")
    assert await netci(world, "series", "hold", "one-1@example.org", "--why", "broken") == 0
    assert await netci(world, "series", "list", "--json") == 0
    listed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [(one["message_id"], one["outcome"], one["verb"]) for one in listed] == [
        ("one@example.org", "applied", "hold")
    ]
    assert await netci(world, "series", "release", "one@example.org") == 0
    assert await world.owner.fetchval("select count(*) from branch.orders") == 0
    assert await netci(world, "series", "list") == 0
    assert "one@example.org" in capsys.readouterr().out


async def test_a_conflict_is_settled_once_and_for_all(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    commit(world.net, "net's way", {"net/core/dev.c": "net's\n"})
    commit(world.next, "next's way", {"net/core/dev.c": "next's\n"})
    await request(world)
    await a_cutter(world).round()
    capsys.readouterr()
    assert await netci(world, "resolve", "next", "--json") == 0
    laid = json.loads(capsys.readouterr().out)
    assert laid["files"] == ["net/core/dev.c"]
    assert await netci(world, "resolve", "next", "--continue") == 1, "the markers are still there"
    (Path(laid["folder"]) / "net/core/dev.c").write_text("both\n")
    assert await netci(world, "resolve", "next", "--continue") == 0
    assert not resolve.folder_of(world.settings, "next", "net").exists()
    world.clock.forward(minutes=1)
    await request(world)
    await a_cutter(world).round()
    cut = (await cuts(world))[1]
    assert [(m["state"], m["files"]) for m in cut["merges"]] == [("resolved", ["net/core/dev.c"])]
    assert await (await world.store()).read_blob(cut["commit"], "net/core/dev.c") == b"both\n"
    assert await world.owner.fetchval("select count(*) from branch.conflicts") == 0


async def test_the_doctor_finds_what_is_there_and_what_is_not(world: World) -> None:
    assert all(finding.ok for finding in await examine(world.settings))
    assert world.branches() == {}
    world.remote.rename(world.folder / "away.git")
    world.net.rename(world.folder / "net-away")
    bad = [finding for finding in await examine(world.settings) if not finding.ok]
    assert [finding.what for finding in bad] == ["tree netdev/net", f"push {world.remote}"]
    assert all(finding.mend for finding in bad)
    assert head(world.next)
