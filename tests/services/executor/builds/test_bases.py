"""Object folders of bases: made once and whole, held while used, within a budget."""

import asyncio
import fcntl
import os
from dataclasses import replace
from pathlib import Path

import pytest

from services.executor.builds.bases import Bases, Built
from services.executor.builds.compare import Standing
from services.executor.builds.diagnostics import Diagnostic
from services.executor.builds.record import About, Record
from services.executor.checking.seats import claim
from shared.errors import InfraError

ABOUT = About("c" * 40, "recipe", "tools")
SAID = Diagnostic("x", "net/a.c", 3, 1, "warning", ("  3 | x",))
RECORD = Record(Standing({"net/a": (SAID,), "net/b": ()}, False, {"net/a": (SAID,)}, frozenset({"y"})), ("NET=y",))


class Maker:
    def __init__(self, size: int = 10) -> None:
        self.times, self.size = 0, size
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, objects: Path) -> Built:
        self.times += 1
        (objects / "a.o").write_bytes(b"x" * self.size)
        await self.go.wait()
        return Built(RECORD, "the log", 1.0)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_dir()}


async def test_a_base_is_made_once_and_read_as_it_was_written(tmp_path: Path) -> None:
    bases, make = Bases(tmp_path, 1 << 30), Maker()
    first = await bases.get("tree", ABOUT, make)
    second = await bases.get("tree", ABOUT, make)
    assert make.times == 1
    assert first.folder == second.folder
    assert second.record == RECORD
    assert second.log == "the log"
    assert (second.objects / "a.o").read_bytes() == b"x" * 10
    assert second.about.bytes > 0
    first.close()
    second.close()


async def test_tree_recipe_and_tools_tell_bases_apart(tmp_path: Path) -> None:
    bases, make = Bases(tmp_path, 1 << 30), Maker()
    for tree, about in (
        ("tree", ABOUT), ("other", ABOUT), ("tree", replace(ABOUT, recipe="r")), ("tree", replace(ABOUT, tools="t")),
        ("tree", replace(ABOUT, commit="d" * 40)),
    ):  # fmt: skip
        (await bases.get(tree, about, make)).close()
    assert make.times == 4


async def test_two_that_want_the_same_wait_for_one(tmp_path: Path) -> None:
    make = Maker()
    make.go.clear()
    both = [asyncio.create_task(Bases(tmp_path, 1 << 30).get("tree", ABOUT, make)) for _ in range(2)]
    await asyncio.sleep(0.5)
    make.go.set()
    for base in await asyncio.gather(*both):
        base.close()
    assert make.times == 1


async def test_what_was_not_made_whole_is_nowhere(tmp_path: Path) -> None:
    async def fails(objects: Path) -> Built:
        (objects / "half.o").touch()
        raise InfraError("no")

    bases = Bases(tmp_path, 1 << 30)
    with pytest.raises(InfraError):
        await bases.get("tree", ABOUT, fails)
    assert names(tmp_path) == set()
    make = Maker()
    make.go.clear()
    cut = asyncio.create_task(bases.get("tree", ABOUT, make))
    await asyncio.sleep(0.2)
    cut.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cut
    assert names(tmp_path) == set()


async def test_what_was_used_longest_ago_goes_unless_it_is_held(tmp_path: Path) -> None:
    bases, make = Bases(tmp_path, 1 << 30), Maker(1 << 20)
    held = await bases.get("one", ABOUT, make)
    (await bases.get("two", ABOUT, make)).close()
    for lock, when in ((held.folder.name, 1_000_000_000),):
        os.utime(tmp_path / f"{lock}.lock", (when, when))
    bases.budget = (1 << 20) + (1 << 19)
    (await bases.get("three", ABOUT, make)).close()
    assert held.folder.name in names(tmp_path)
    assert len(names(tmp_path)) == 2
    held.close()
    bases.shrink()
    assert held.folder.name not in names(tmp_path)
    assert len(names(tmp_path)) == 1


async def test_what_cannot_be_read_is_made_anew(tmp_path: Path) -> None:
    bases, make = Bases(tmp_path, 1 << 30), Maker()
    base = await bases.get("tree", ABOUT, make)
    base.close()
    (base.folder / "record.json").write_text("{")
    (await bases.get("tree", ABOUT, make)).close()
    assert make.times == 2


async def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / "new-00aa" / "obj").mkdir(parents=True)
    (tmp_path / "new-00bb" / "obj").mkdir(parents=True)
    lock = claim(tmp_path / "new-00bb.lock", fcntl.LOCK_EX)
    assert lock is not None
    (tmp_path / "gone-00cc").mkdir()
    os.utime(tmp_path / "gone-00cc", (0, 0))
    Bases(tmp_path, 1 << 30).sweep()
    assert names(tmp_path) == {"new-00bb"}
    os.close(lock)
    Bases(tmp_path, 1 << 30).sweep()
    assert names(tmp_path) == set()


async def test_near_bases_are_those_of_the_same_recipe_and_tools_used_last_first(tmp_path: Path) -> None:
    bases, make = Bases(tmp_path, 1 << 30), Maker()
    for number, tree in enumerate(("one", "two")):
        base = await bases.get(tree, replace(ABOUT, commit=str(number) * 40), make)
        os.utime(tmp_path / f"{base.folder.name}.lock", (1e9 + number, 1e9 + number))
        base.close()
    (await bases.get("three", replace(ABOUT, recipe="other"), make)).close()
    found = list(bases.near(ABOUT))
    assert [base.about.commit[0] for base in found] == ["1", "0"]
    for base in found:
        base.close()
