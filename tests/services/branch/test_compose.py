"""What becomes of series on a branch: in the way of each other, of the base, or there already."""

from pathlib import Path
from typing import Any

import pytest

from services.branch.compose import Composed, LeftOut, Piece, Plan, TreeHead, compose, local_patches
from shared.errors import Refused
from shared.git.store import Store
from shared.model.ids import SeriesId, Sha
from tests.shared.git.build import CI, NOW, a_store, a_tree, commit, git, head, mails


class Desk:
    """A developer's tree, and the store that has fetched it."""

    def __init__(self, tree: Path, store: Store, base: Sha) -> None:
        self.tree, self.store, self.base = tree, store, base

    def piece(self, ident: int, path: str, text: str, *, on: Sha | None = None) -> Piece:
        """A series of one patch that makes `path` this text, written on `on` (the base)."""
        git(self.tree, "checkout", "-q", "--detach", on or self.base)
        commit(self.tree, f"series {ident}", {path: text})
        (letter,) = mails(self.tree, "HEAD~1")
        return Piece(SeriesId(ident), f"{ident}@example.org", f"series {ident}", (letter,), files=frozenset({path}))

    async def compose(self, *pieces: Piece, **more: Any) -> Composed:
        tree = TreeHead("next", "https://git.example/next", "main", self.base)
        options: dict[str, Any] = {"merges": (), "patches": (), "committer": CI, "now": NOW} | more
        return await compose(self.store, Plan(tree=tree, pieces=pieces, **options))


@pytest.fixture
async def desk(tmp_path: Path) -> Desk:
    tree = a_tree(tmp_path / "tree")
    store, base = await a_store(tmp_path / "store.git", tree)
    return Desk(tree, store, base)


def lines(*changed: int, word: str = "changed") -> str:
    return "".join(f"{word} {n}\n" if n in changed else f"dev line {n}\n" for n in range(1, 31))


async def test_the_rival_is_the_first_after_which_it_does_not_go_on(desk: Desk) -> None:
    harmless = desk.piece(1, "net/core/dev.c", lines(25))
    first = desk.piece(2, "net/core/dev.c", lines(5))
    upon_first = desk.piece(3, "net/core/dev.c", lines(5, word="again"), on=head(desk.tree))
    loser = desk.piece(4, "net/core/dev.c", lines(5, 6, word="mine"))
    done = await desk.compose(harmless, first, upon_first, loser)
    assert list(done.merged) == [1, 2, 3]
    assert done.left[SeriesId(4)].rival == 2


async def test_a_rival_that_needs_another_series_is_found(desk: Desk) -> None:
    first = desk.piece(1, "net/core/dev.c", lines(5))
    upon_first = desk.piece(2, "net/core/dev.c", lines(5, 20), on=head(desk.tree))
    loser = desk.piece(3, "net/core/dev.c", lines(20, word="mine"))
    done = await desk.compose(first, upon_first, loser)
    assert done.left[SeriesId(3)].rival == 2


async def test_a_conflict_with_the_base_has_no_rival(desk: Desk) -> None:
    late = desk.piece(1, "README", "other\n")
    git(desk.tree, "checkout", "-q", "main")
    commit(desk.tree, "in the way", {"README": "mine\n"})
    desk.base = await desk.store.fetch_branch(str(desk.tree), "main", "refs/netci/trees/main")
    done = await desk.compose(desk.piece(2, "net/core/dev.c", lines(3)), late)
    left = done.left[SeriesId(1)]
    assert (left.rule, left.rival, left.files) == ("conflict", None, ("README",))
    assert "with next itself" in left.reason


async def test_a_series_that_another_one_contains_is_on_the_branch_already(desk: Desk) -> None:
    one = desk.piece(1, "README", "new\n")
    same = Piece(SeriesId(2), "2@example.org", "the same", one.mails, files=one.files)
    done = await desk.compose(one, same)
    assert done.left[SeriesId(2)].rival == 1
    assert "on the branch already" in done.left[SeriesId(2)].reason


async def test_what_the_base_has_is_said_to_be_there(desk: Desk) -> None:
    one = desk.piece(1, "README", "new\n")
    desk.base = await desk.store.fetch_commit(desk.tree, head(desk.tree))
    done = await desk.compose(one)
    assert (done.left[SeriesId(1)].rule, done.commit) == ("already", desk.base)


async def test_a_series_whose_mails_cannot_be_read_is_left_with_that_reason(desk: Desk) -> None:
    done = await desk.compose(Piece(SeriesId(1), "1@example.org", "t", fault="no patch in it"))
    assert done.left == {SeriesId(1): LeftOut("mails", "no patch in it")}


async def test_the_same_plan_gives_the_same_commit(desk: Desk) -> None:
    pieces = (desk.piece(1, "README", "new\n"), desk.piece(2, "net/core/dev.c", lines(3)))
    assert (await desk.compose(*pieces)).commit == (await desk.compose(*pieces)).commit


def test_local_patches_are_files_and_folders_in_order(tmp_path: Path) -> None:
    for name in ("b.patch", "a.patch", "note.txt"):
        (tmp_path / name).write_text("x")
    found = local_patches((tmp_path / "note.txt", tmp_path))
    assert [path.name for path in found] == ["note.txt", "a.patch", "b.patch"]
    with pytest.raises(Refused):
        local_patches((tmp_path / "lost",))
