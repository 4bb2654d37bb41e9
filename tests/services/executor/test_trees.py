"""The executor's own store: commits by id alone, handed out as tar files that leave nothing behind."""

import asyncio
import io
import os
import tarfile
import time
from pathlib import Path

import pytest

from services.executor.trees import Trees, chunks
from shared.errors import InfraError
from shared.practice import tree
from shared.practice.tree import PracticeTree


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> PracticeTree:
    return tree.build(tmp_path_factory.mktemp("tree") / "tree.git")


def url(made: PracticeTree) -> str:
    return f"file://{made.path}"


async def content(file: int) -> list[str]:
    data = b"".join([piece async for piece in chunks(file)])
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [member.name for member in tar.getmembers() if member.isfile()]


async def test_a_commit_comes_by_its_id_and_only_once(made: PracticeTree, tmp_path: Path) -> None:
    trees = Trees(tmp_path, "netdev")
    assert await trees.fetch(made.heads["main"], url(made)) == made.heads["main"]
    assert await trees.fetch(made.heads["main"], "file:///nowhere") == made.heads["main"]


async def test_a_commit_that_nobody_has_is_infra(made: PracticeTree, tmp_path: Path) -> None:
    trees = Trees(tmp_path, "netdev")
    for source in (url(made), "file:///nowhere", ""):
        with pytest.raises(InfraError, match="cannot be had"):
            await trees.fetch("d" * 40, source)


async def test_several_read_one_tar_at_once_and_nothing_is_left(made: PracticeTree, tmp_path: Path) -> None:
    trees = Trees(tmp_path, "netdev")
    await trees.fetch(made.heads["main"], url(made))
    async with trees.tar(made.heads["main"], ()) as file:
        assert list((tmp_path / "executor" / "tars").iterdir()) == []
        one, two = await asyncio.gather(content(file), content(file))
        assert one == two
        assert len(one) > 10
    with pytest.raises(OSError):
        os.fstat(file)


async def test_only_the_paths_asked_for(made: PracticeTree, tmp_path: Path) -> None:
    trees, commit = Trees(tmp_path, "netdev"), made.heads["main"]
    await trees.fetch(commit, url(made))
    async with trees.tar(commit, ("tools/testing/selftests", "not/there")) as file:
        found = await content(file)
    assert found
    assert all(name.startswith("tools/testing/selftests/") for name in found)


async def test_none_of_the_paths_is_not_the_whole_tree(made: PracticeTree, tmp_path: Path) -> None:
    trees, commit = Trees(tmp_path, "netdev"), made.heads["main"]
    await trees.fetch(commit, url(made))
    with pytest.raises(InfraError, match="nothing below not/there"):
        async with trees.tar(commit, ("not/there",)):
            pass


async def test_what_a_killed_process_left_is_swept(made: PracticeTree, tmp_path: Path) -> None:
    trees, commit = Trees(tmp_path, "netdev"), made.heads["main"]
    await trees.fetch(commit, url(made))
    folder = tmp_path / "executor" / "tars"
    folder.mkdir(parents=True)
    (folder / "tree-old.tar").touch()
    (folder / "tree-new.tar").touch()
    os.utime(folder / "tree-old.tar", (0, time.time() - 7200))
    async with trees.tar(commit, ()):
        assert [file.name for file in folder.iterdir()] == ["tree-new.tar"]
