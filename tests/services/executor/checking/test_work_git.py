"""A seat is a git work tree of the commit that it is at, wherever its objects come from."""

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from services.executor.cage.base import Bind, Layer
from services.executor.checking.seat import Seat
from services.executor.checking.work_git import work_git
from shared.git.store import Store
from shared.model.ids import Sha
from tests.services.executor.checking.builders import Contents, Repository, series

TREE: Contents = {
    "net/a.c": b"int a;\n",
    "odd\nname": b"x\n",
    "link": ("120000", b"net/a.c"),
    "run": ("100755", b"#!/bin/sh\n"),
}


def status(tree: Path, binds: Sequence[Bind | Layer], *words: str) -> str:
    """What git says of the tree, outside of a cage: borrowed objects are where they are bound from."""
    git, *stores = binds
    assert isinstance(git, Layer)
    assert git.target == "/src/.git"
    objects = [str(one.source) for one in stores if isinstance(one, Bind) and one.source.is_dir()]
    (git.lower / "objects/info/alternates").write_text("".join(f"{one}\n" for one in objects))
    command = ["git", f"--git-dir={git.lower}", f"--work-tree={tree}", *words]
    return subprocess.run(command, capture_output=True, check=True, cwd=tree).stdout.decode()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "store.git")


async def test_it_is_clean_at_every_commit_that_it_moves_to(repository: Repository, tmp_path: Path) -> None:
    base = await repository.commit(TREE)
    near = await repository.commit({"net/a.c": b"int b;\n", "run": None}, base)
    (tmp_path / "seat").mkdir()
    seat = Seat(tmp_path / "seat", repository.store)
    subject = replace(series("net/a.c"), base=base, branch="net-next/main")
    await seat.settle(base)
    for number, commit in enumerate((base, near, base, near)):
        await seat.move(commit)
        (tmp_path / str(number)).mkdir()
        binds = await work_git(repository.store, seat, subject, tmp_path / str(number))
        assert status(seat.tree, binds, "status", "--porcelain") == ""
        assert status(seat.tree, binds, "rev-parse", "HEAD", "net-next/main").split() == [commit, base]


async def test_a_file_that_differs_is_seen(repository: Repository, tmp_path: Path) -> None:
    base = await repository.commit(TREE)
    (tmp_path / "seat").mkdir()
    seat = Seat(tmp_path / "seat", repository.store)
    await seat.settle(base)
    binds = await work_git(repository.store, seat, series("net/a.c"), _new(tmp_path / "git"))
    (seat.tree / "net/a.c").write_text("int z;\n")
    assert status(seat.tree, binds, "status", "--porcelain") == " M net/a.c\n"


async def test_objects_are_borrowed_from_all_that_the_store_borrows_from(tmp_path: Path) -> None:
    far = Repository(tmp_path / "far.git")
    base = await far.commit(TREE)
    near = Store(tmp_path / "near.git")
    await near.ensure()
    (near.path / "objects/info/alternates").write_text(f"{far.path / 'objects'}\n")
    seat = Seat(_new(tmp_path / "seat"), near)
    await seat.settle(base)
    binds = await work_git(near, seat, series("net/a.c"), _new(tmp_path / "git"))
    assert [one.target for one in binds] == [
        "/src/.git", "/borrowed/0", "/borrowed/0/info/alternates", "/borrowed/1",
    ]  # fmt: skip
    assert status(seat.tree, binds, "log", "-1", "--format=%s") == "a commit\n"


@pytest.mark.parametrize("branch", ["", "../evil", "a b", "x\ny"])
async def test_a_branch_that_git_would_not_have_is_called_base(
    branch: str, repository: Repository, tmp_path: Path
) -> None:
    base = await repository.commit(TREE)
    seat = Seat(_new(tmp_path / "seat"), repository.store)
    await seat.settle(base)
    subject = replace(series("net/a.c"), base=base, branch=branch)
    binds = await work_git(repository.store, seat, subject, _new(tmp_path / "git"))
    assert Sha(status(seat.tree, binds, "rev-parse", "refs/heads/base").strip()) == base


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder
