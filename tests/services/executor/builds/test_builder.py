"""Builds of series over bases, with real make, gcc, cages and layers, on a tree with a kernel's targets in small."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from services.executor.builds.builder import KernelBuilder
from services.executor.builds.compare import Comparison
from services.executor.builds.recipe import Kconfig, Recipe, Step
from services.executor.cage.at_hand import isolation_for
from services.executor.checking.place import Machine, Place
from services.executor.checks.base import Subject
from shared.errors import InfraError
from shared.model.ids import Sha
from shared.settings import Checks
from tests.services.executor.checking.builders import Contents, Repository, applied_series

pytestmark = pytest.mark.timeout(600)

MAKEFILE = b"""\
objects := $(patsubst %.c,$(O)/%.o,$(wildcard *.c))
all: $(objects)
\t@echo "  LD      whole.o"
\t@ld -r -o $(O)/whole.o $(objects)
$(O)/%.o: %.c x.h
\t@echo "  CC      $*.o"
\t@gcc -Wall -c $(CURDIR)/$< -o $@
tinyconfig: Kconfig
\t@cp $(CURDIR)/Kconfig $(O)/.config
olddefconfig:
\t@test -s $(O)/.config
available:
\t@test -e $(CURDIR)/tool
"""
TREE: Contents = {
    "Makefile": MAKEFILE, "Kconfig": b"CONFIG_A=y\n", "x.h": b"", "a.c": b"int a;\n", "b.c": b"int b;\n",
    "c.c": b"int c;\n",
}  # fmt: skip
WARNS = b"static int a;\n"
WARNING = "'a' defined but not used [-Wunused-variable]"
RECIPE = Recipe("small", Kconfig("tinyconfig", ("B=m",)), steps=(Step(("all",)),), seconds=120, base_seconds=120)


@dataclass
class World:
    place: Place
    repository: Repository
    base: Sha
    cache: Path
    said: list[str] = field(default_factory=list)

    async def series(self, *changes: Contents) -> Subject:
        return await applied_series(self.repository, self.base, *changes)

    async def build(self, subject: Subject, *numbers: int, recipe: Recipe = RECIPE) -> list[Comparison]:
        """The patches of these numbers, by one builder."""
        async with KernelBuilder(self.place, self.cache) as builder:
            return [
                await builder.compare(replace(subject, patch=subject.patches[n - 1]), recipe, self.said.append)
                for n in numbers
            ]

    @property
    def bases_built(self) -> int:
        return sum("base" in text for text in self.said)

    def kept(self) -> dict[str, str]:
        """Of every file that is kept, a digest of its content and its time."""
        return {
            str(path): f"{path.stat().st_mtime_ns} {hashlib.sha256(path.read_bytes()).hexdigest()}"
            for path in self.cache.rglob("*")
            if path.is_file() and path.suffix != ".lock"
        }


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    repository = Repository(tmp_path / "store.git")
    base = await repository.commit(TREE)
    settings = Checks(hands=2, output=1 << 20)
    isolation = isolation_for(settings, tmp_path / "cages")
    place = Machine.of(isolation, settings).place(repository.store, tmp_path / "place")
    yield World(place, repository, base, tmp_path / "cache")
    place.close()
    isolation.close()
    repository.store.close()


def new(found: Comparison) -> list[str]:
    return [one.diagnostic.text for one in found.new]


def built(found: Comparison) -> list[str]:
    return [line.split()[1] for line in found.log.splitlines() if line.startswith("  CC")]


async def test_a_series_builds_what_each_patch_changes_and_nothing_else(world: World) -> None:
    subject = await world.series({"a.c": WARNS}, {"b.c": b"int b2;\n"}, {"a.c": b"int a3;\n"})
    first, second, third = await world.build(subject, 1, 2, 3)
    assert [built(one) for one in (first, second, third)] == [["a.o"], ["b.o"], ["a.o"]]
    assert (first.before, first.after, new(first)) == (0, 1, [WARNING])
    assert (second.before, second.after, new(second)) == (0, 0, [])
    assert (third.before, third.after, new(third)) == (1, 0, [])
    assert world.bases_built == 1


async def test_the_next_series_finds_the_base_built_and_as_it_was(world: World) -> None:
    await world.build(await world.series({"a.c": WARNS}), 1)
    kept = world.kept()
    (found,) = await world.build(await world.series({"b.c": b"int b2;\n"}), 1)
    assert built(found) == ["b.o"]
    assert (found.before, found.after) == (0, 0)
    assert world.bases_built == 1
    assert world.kept() == kept


async def test_a_patch_that_goes_back_to_the_base_is_built_again(world: World) -> None:
    _, found = await world.build(await world.series({"a.c": WARNS}, {"a.c": b"int a;\n"}), 1, 2)
    assert built(found) == ["a.o"]
    assert (found.before, found.after) == (1, 0)


async def test_whoever_begins_in_the_middle_builds_the_patch_before_first(world: World) -> None:
    subject = await world.series({"a.c": WARNS}, {"a.c": WARNS + b"static int z;\n"})
    (found,) = await world.build(subject, 2)
    assert (found.before, found.after, new(found)) == (1, 2, ["'z' defined but not used [-Wunused-variable]"])


async def test_a_header_has_all_built_again_and_counts_once(world: World) -> None:
    (found,) = await world.build(await world.series({"x.h": b"\n", "Makefile": MAKEFILE + b"# x\n"}), 1)
    assert sorted(built(found)) == ["a.o", "b.o", "c.o"]


async def test_a_tree_that_breaks_is_told_and_mended(world: World) -> None:
    subject = await world.series({"a.c": b"int a\n"}, {"b.c": b"int b2;\n"}, {"a.c": b"int a;\n"})
    first, second, third = await world.build(subject, 1, 2, 3)
    assert (first.breaks, first.parent_built) == (True, True)
    assert (second.breaks, second.parent_built, second.new) == (True, False, ())
    assert (third.breaks, third.built, third.new) == (False, True, ())


async def test_a_broken_base_is_kept_as_one(world: World) -> None:
    world.base = await world.repository.commit({**TREE, "c.c": b"int c\n"})
    subject = await world.series({"a.c": WARNS})
    (found,) = await world.build(subject, 1)
    assert (found.base_built, found.built, found.breaks, new(found)) == (False, False, False, [WARNING])
    await world.build(subject, 1)
    assert world.bases_built == 1


async def test_a_build_that_is_cut_off_is_told_and_the_next_compared_with_what_was_before(world: World) -> None:
    floods = MAKEFILE.replace(b"all: ", b"$(info $(shell head -c 2000000 /dev/zero | tr '\\0' x))\nall: ")
    subject = await world.series({"a.c": WARNS, "Makefile": floods}, {"Makefile": MAKEFILE}, {"b.c": b"int b2;\n"})
    first, second, third = await world.build(subject, 1, 2, 3)
    assert first.said == "printed more than it may"
    assert (second.said, new(second), len(second.notes)) == ("", [WARNING], 1)
    assert (third.said, new(third), third.notes) == ("", [], ())


async def test_a_base_that_differs_in_little_begins_with_the_objects_of_the_last(world: World) -> None:
    await world.build(await world.series({"a.c": WARNS}), 1)
    world.base = await world.repository.commit({**TREE, "b.c": b"static int b;\n"})
    (found,) = await world.build(await world.series({"c.c": b"int c2;\n"}), 1)
    assert (built(found), found.before, found.after) == (["c.o"], 0, 0)
    logs = sorted((log.read_text() for log in world.cache.glob("bases/*/log")), key=len)
    assert [sorted(line.split()[1] for line in log.splitlines() if line.startswith("  CC")) for log in logs] == [
        ["b.o"],
        ["a.o", "b.o", "c.o"],
    ]
    (found,) = await world.build(await world.series({"b.c": b"\nstatic int b;\n"}), 1)
    assert (found.before, found.after, new(found)) == (1, 1, [])


async def test_a_configuration_is_made_anew_only_where_one_changes(world: World) -> None:
    subject = await world.series({"a.c": b"int a2;\n"}, {"Kconfig": b""})
    first, second = await world.build(subject, 1, 2)
    assert first.built
    assert (second.built, second.breaks) == (True, False)
    refusing = await world.series({"Kconfig": b"", "Makefile": MAKEFILE.replace(b"@test -s", b"@false")})
    (third,) = await world.build(refusing, 1)
    assert third.breaks


async def test_two_recipes_at_one_time_do_not_disturb_each_other(world: World) -> None:
    other = replace(RECIPE, variables=(("W", "1"),))
    subject = await world.series({"a.c": WARNS}, {"b.c": b"int b2;\n"})
    async with KernelBuilder(world.place, world.cache) as builder:
        for number, expected in ((1, [WARNING]), (2, [])):
            one = replace(subject, patch=subject.patches[number - 1])
            both = await asyncio.gather(*(builder.compare(one, r, world.said.append) for r in (RECIPE, other)))
            assert [new(found) for found in both] == [expected, expected]
    assert world.bases_built == 2


async def test_what_a_makefile_plants_goes_with_its_series(world: World) -> None:
    plants = (
        b"$(shell rm -f $(O)/b.o; echo wrong >$(O)/b.o; touch -d 2100-01-01 $(O)/b.o; rm -f /ccache/*)\n" + MAKEFILE
    )
    await world.build(await world.series({"a.c": b"int a2;\n"}), 1)
    kept = world.kept()
    (hurt,) = await world.build(await world.series({"Makefile": plants}), 1)
    assert not hurt.built
    assert world.kept() == kept
    (found,) = await world.build(await world.series({"a.c": b"int a2;\n"}), 1)
    assert (found.built, built(found), found.before, found.after) == (True, ["a.o"], 0, 0)


async def test_without_what_a_recipe_needs_nothing_is_said_of_the_patch(world: World) -> None:
    subject = await world.series({"a.c": WARNS})
    with pytest.raises(InfraError, match="make available does not work"):
        await world.build(subject, 1, recipe=replace(RECIPE, before=("available",)))
    form = Kconfig("tinyconfig", (), ("RUST=y",))
    with pytest.raises(InfraError, match="RUST=y"):
        await world.build(subject, 1, recipe=replace(RECIPE, kconfig=form))


async def test_symbols_that_do_not_come_to_stand_are_told(world: World) -> None:
    form = Kconfig("tinyconfig", ("A=n",))
    (found,) = await world.build(await world.series({"a.c": b"int a2;\n"}), 1, recipe=replace(RECIPE, kconfig=form))
    assert found.lacking == ("A=n",)


async def test_cancelled_a_build_leaves_no_folder_of_its_own(world: World) -> None:
    sleeps = MAKEFILE.replace(b"all: ", b"$(shell sleep 1000)\nall: ")
    subject = await world.series({"Makefile": sleeps})
    await world.build(await world.series({"a.c": b"int a2;\n"}), 1)
    kept = world.kept()
    task = asyncio.create_task(world.build(subject, 1))
    for _ in range(600):
        if task.done() or world.said.count("Building") == 2:
            break
        await asyncio.sleep(0.1)
    assert not task.done()
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.kept() == kept
    scratch = world.place.scratch.folder
    assert [one for own in scratch.iterdir() for one in own.iterdir() if one.name != "lock"] == []
