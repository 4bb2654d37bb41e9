"""What a check can ask for, in a real cage: tools on the tree and over it, files given and taken, git."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from services.executor.cage.base import MIB, Limits
from services.executor.checking.desk import CageDesk, Room
from services.executor.checking.watch import Watch
from services.executor.checks.base import Subject
from shared.errors import InfraError, Refused
from tests.services.executor.checking.builders import Contents, Told, listing
from tests.services.executor.checking.conftest import TREE, World

pytestmark = pytest.mark.slow


class Sat:
    """A desk at the head of a series, for as long as the block lasts."""

    def __init__(self, world: World, *changes: Contents) -> None:
        self.world, self.changes = world, changes
        self.said: list[str] = []

    async def __aenter__(self) -> CageDesk:
        self.subject: Subject = await self.world.series(*self.changes)
        self.stack = AsyncExitStack()
        place = self.world.place
        judge = await self.stack.enter_async_context(place.judges.of(self.world.base))
        self.seat = await self.stack.enter_async_context(place.seats.take(self.world.base))
        await self.seat.move(self.subject.head)
        folder = self.stack.enter_context(place.scratch.make())
        return CageDesk(Room(place, self.seat, judge), Told("one"), self.subject, folder, self.said.append, Watch(60))

    async def __aexit__(self, *_: object) -> None:
        await self.stack.aclose()


async def test_the_tree_is_there_and_cannot_be_written(world: World) -> None:
    async with Sat(world, {"net/core/dev.c": b"new\n"}) as desk:
        ran = await desk.run("sh", "-c", "pwd; cat net/core/dev.c; echo x >> net/core/dev.c; echo x > new")
        assert ran.stdout == b"/src\nnew\n"
        assert not ran.ok


async def test_what_is_shown_over_the_tree_is_gone_afterwards(world: World) -> None:
    sat = Sat(world, {"net/core/dev.c": b"new\n"})
    async with sat as desk:
        over = {"net/core/dev.c": b"old\n", "net/new/file.c": b"made\n"}
        ran = await desk.run("sh", "-c", "cat net/core/dev.c net/new/file.c", over=over)
        assert ran.stdout == b"old\nmade\n"
        ran = await desk.run("sh", "-c", "cat net/core/dev.c; ls net", cwd="/src")
        assert ran.stdout == b"new\ncore\n"


async def test_what_is_written_in_the_tree_lasts_for_one_command(world: World) -> None:
    sat = Sat(world, {"net/core/dev.c": b"new\n"})
    async with sat as desk:
        before = listing(sat.seat.tree)
        ran = await desk.run("sh", "-c", "echo more >> net/core/dev.c; rm Makefile; cat net/core/dev.c", writable=True)
        assert ran.stdout == b"new\nmore\n"
        ran = await desk.run("sh", "-c", "cat net/core/dev.c; ls Makefile", writable=True)
        assert ran.stdout == b"new\nMakefile\n"
        assert listing(sat.seat.tree) == before


async def test_files_are_given_and_results_are_taken(world: World) -> None:
    async with Sat(world, {"a": b"a"}) as desk:
        files = {"mail": b"From: x\n", "deep/er/file": b"deep\n"}
        ran = await desk.run(
            "sh", "-c", "cat /in/mail /in/deep/er/file > /results/both; ln -s /etc/passwd /results/link; cat",
            files=files, results=True, stdin=b"typed",
        )  # fmt: skip
        assert ran.stdout == b"typed"
        assert dict(desk.took) == {"both": b"From: x\ndeep\n"}
        assert [one.partition(":")[0] for one in desk.left] == ["link"]


@pytest.mark.parametrize("name", ["../out", "/etc/x", "a/../../b", ".git/config", ""])
async def test_a_name_that_leads_out_is_refused(world: World, name: str) -> None:
    async with Sat(world, {"a": b"a"}) as desk:
        for more in ({"files": {name: b""}}, {"over": {name: b""}}):
            with pytest.raises(Refused):
                await desk.run("true", **more)  # type: ignore[arg-type]


async def test_limits_can_only_be_made_narrower(world: World) -> None:
    async with Sat(world, {"a": b"a"}) as desk:
        ran = await desk.run("sh", "-c", "echo x; sleep 60", limits=Limits(seconds=0.5))
        assert (ran.ended, ran.stdout) == ("time", b"x\n")
        wide = Limits(seconds=1e9, memory=1 << 60, processes=10**6, output=1 << 60, disk=1 << 60)
        settings = world.place.settings
        assert desk._limits(wide) == Limits(
            desk._left, settings.memory, settings.processes, settings.output, settings.disk
        )
        ran = await desk.run("head", "-c", "4M", "/dev/zero", limits=Limits(output=1 * MIB))
        assert ran.ended == "output"


async def test_files_of_commits_are_read_by_name(world: World) -> None:
    sat = Sat(world, {"net/core/dev.c": b"new\n", "link": ("120000", b"Makefile"), "big": b"x"})
    async with sat as desk:
        assert await desk.read(sat.subject.head, "net/core/dev.c") == b"new\n"
        assert await desk.read(world.base, "net/core/dev.c") == TREE["net/core/dev.c"]
        for none in ("no/such", "net/core", "link", "../x", "", "/Makefile"):
            assert await desk.read(sat.subject.head, none) is None
        assert await desk.paths(sat.subject.head, "net") == ("net/core/dev.c",)
        assert len(await desk.paths(world.base)) == len(TREE)


async def test_git_answers_questions_and_says_why_it_cannot(world: World) -> None:
    sat = Sat(world, {"a": b"a"})
    async with sat as desk:
        assert await desk.ask_git("log", "-1", "--format=%s", sat.subject.head) == "net: patch 1"
        with pytest.raises(Refused, match="is not asked with"):
            await desk.ask_git("log", "-1", "--output=/tmp/x-netci", "--end-of-options", "no-such")
        with pytest.raises(Refused):
            await desk.ask_git("log", "-1", "no-such-commit")
        assert not Path("/tmp/x-netci").exists()


async def test_without_a_builder_builds_are_the_machines_lack(world: World) -> None:
    async with Sat(world, {"a": b"a"}) as desk:
        with pytest.raises(InfraError, match="builds are not available"):
            _ = desk.builder


async def test_tools_are_looked_for_where_the_cage_has_them(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Sat(world, {"a": b"a"}) as desk:
        monkeypatch.setenv("PATH", "/nowhere")
        assert desk.has("sh")
        assert not desk.has("no-such-tool")
