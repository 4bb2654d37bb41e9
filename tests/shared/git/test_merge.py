import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from shared.errors import Refused
from shared.git.merge import Conflict, Merged, import_rr_cache, merge, prepare_conflict, record_resolution
from shared.git.store import Store
from shared.model.ids import Sha
from tests.shared.git.build import CI, NOW, a_store, a_tree, commit, git, head, lines


async def join(store: Store, ours: Sha, theirs: Sha) -> Merged | Conflict:
    return await merge(store, ours, theirs, "Merge theirs\n\nWhy.", committer=CI, now=NOW)


def changed(old: str, new: str) -> str:
    return lines("tcp").replace(f"line {old}\n", f"line {new}\n")


async def two_sides(
    tmp_path: Path, ours: Mapping[str, str | None], theirs: Mapping[str, str | None]
) -> tuple[Store, Sha, Sha]:
    """A store with two commits on the same base."""
    tree = a_tree(tmp_path / "tree")
    base = head(tree)
    one = commit(tree, "ours", ours)
    git(tree, "branch", "ours")
    git(tree, "reset", "-q", "--hard", base)
    other = commit(tree, "theirs", theirs)
    store, _ = await a_store(tmp_path / "store.git", tree)
    await store.fetch_branch(str(tree), "ours", "refs/netci/trees/ours")
    return store, one, other


async def a_conflict(tmp_path: Path) -> tuple[Store, Sha, Sha]:
    sides = {"net/ipv4/tcp.c": changed("10", "mine")}, {"net/ipv4/tcp.c": changed("10", "yours"), "README": "x\n"}
    return await two_sides(tmp_path, *sides)


async def test_two_sides_become_a_commit_of_two_parents(tmp_path: Path) -> None:
    store, ours, theirs = await two_sides(tmp_path, {"README": "x\n"}, {"net/core/dev.c": "y\n"})
    done = await join(store, ours, theirs)
    assert isinstance(done, Merged)
    info = await store.commit_info(done.commit)
    assert info.parents == (ours, theirs)
    assert (info.author, info.committer, info.committed) == (CI, CI, NOW)
    assert info.message == "Merge theirs\n\nWhy.\n"
    assert await store.read_blob(done.commit, "README") == b"x\n"
    assert await store.read_blob(done.commit, "net/core/dev.c") == b"y\n"


async def test_what_could_be_forwarded_is_merged_all_the_same(tmp_path: Path) -> None:
    store, ours, _ = await two_sides(tmp_path, {"README": "x\n"}, {})
    base = (await store.commit_info(ours)).parents[0]
    done = await join(store, base, ours)
    assert isinstance(done, Merged)
    assert (await store.commit_info(done.commit)).parents == (base, ours)


async def test_what_is_contained_is_not_merged_again(tmp_path: Path) -> None:
    store, ours, _ = await two_sides(tmp_path, {"README": "x\n"}, {})
    base = (await store.commit_info(ours)).parents[0]
    assert await join(store, ours, base) == Merged(ours, already=True)
    assert await join(store, ours, ours) == Merged(ours, already=True)


async def test_conflict_names_files_and_stages_and_leaves_no_trace(tmp_path: Path) -> None:
    store, ours, theirs = await a_conflict(tmp_path)
    clash = await join(store, ours, theirs)
    assert isinstance(clash, Conflict)
    assert clash.files == ("net/ipv4/tcp.c",)
    assert [stage.number for stage in clash.stages] == [1, 2, 3]
    assert "net/ipv4/tcp.c" in clash.log
    assert list(store.rr_cache.iterdir()) == []
    assert list((store.path / "netci").iterdir()) == []


async def settle(store: Store, ours: Sha, theirs: Sha, desk: Path) -> None:
    assert await prepare_conflict(store, ours, theirs, desk)
    (desk / "net/ipv4/tcp.c").write_text(changed("10", "both"))
    recorded = await record_resolution(store, desk)
    assert recorded.files == ("net/ipv4/tcp.c",)
    assert recorded.remaining == ()


async def test_a_settled_conflict_stays_settled_though_the_store_is_deleted(tmp_path: Path) -> None:
    store, ours, theirs = await a_conflict(tmp_path)
    await settle(store, ours, theirs, tmp_path / "desk")
    store.close()
    shutil.rmtree(store.path)
    store, _ = await a_store(tmp_path / "store.git", tmp_path / "tree")
    await store.fetch_commit(tmp_path / "tree", ours)
    done = await join(store, ours, theirs)
    assert isinstance(done, Merged)
    assert done.resolved == ("net/ipv4/tcp.c",)
    assert (await store.read_blob(done.commit, "net/ipv4/tcp.c")).decode() == changed("10", "both")
    assert await store.read_blob(done.commit, "README") == b"x\n"
    assert await store.read_blob(done.commit, "net/core/dev.c") == lines("dev").encode()


async def test_a_person_gets_the_markers_and_a_diff(tmp_path: Path) -> None:
    store, ours, theirs = await a_conflict(tmp_path)
    desk = tmp_path / "desk"
    clash = await prepare_conflict(store, ours, theirs, desk)
    assert clash
    assert clash.files == ("net/ipv4/tcp.c",)
    assert {path.name for path in desk.iterdir()} == {".git", "net"}
    assert "<<<<<<<" in (desk / "net/ipv4/tcp.c").read_text()
    assert "tcp line yours" in git(desk, "diff")


async def test_unsettled_files_remain(tmp_path: Path) -> None:
    store, ours, theirs = await a_conflict(tmp_path)
    desk = tmp_path / "desk"
    await prepare_conflict(store, ours, theirs, desk)
    recorded = await record_resolution(store, desk)
    assert (recorded.files, recorded.remaining) == ((), ("net/ipv4/tcp.c",))
    assert isinstance(await join(store, ours, theirs), Conflict)


async def test_nothing_to_prepare(tmp_path: Path) -> None:
    store, ours, theirs = await a_conflict(tmp_path)
    assert await prepare_conflict(store, ours, ours, tmp_path / "a") is None
    await settle(store, ours, theirs, tmp_path / "b")
    assert await prepare_conflict(store, ours, theirs, tmp_path / "c") is None
    assert not (tmp_path / "c").exists()


async def test_resolutions_of_a_developer_are_imported(tmp_path: Path) -> None:
    store, ours, theirs = await a_conflict(tmp_path)
    tree = tmp_path / "tree"
    git(tree, "config", "rerere.enabled", "true")
    git(tree, "checkout", "-q", ours)
    git(tree, "merge", "-q", theirs, ok=False)
    commit(tree, "settled", {"net/ipv4/tcp.c": changed("10", "as a developer did")})
    assert import_rr_cache(store, tree / ".git/rr-cache") == 1
    assert import_rr_cache(store, tree / ".git/rr-cache") == 0
    done = await join(store, ours, theirs)
    assert isinstance(done, Merged)
    assert (await store.read_blob(done.commit, "net/ipv4/tcp.c")).decode() == changed("10", "as a developer did")


async def test_an_import_takes_neither_links_nor_strange_names(tmp_path: Path) -> None:
    store, _, _ = await a_conflict(tmp_path)
    cache = tmp_path / "cache"
    for name in ("a" * 40, "..x", "b" * 40):
        (cache / name).mkdir(parents=True)
        (cache / name / "postimage").write_text("x")
    (cache / ("b" * 40) / "postimage").unlink()
    (cache / ("b" * 40) / "postimage").symlink_to("/etc/passwd")
    (cache / ("c" * 40)).symlink_to(cache / ("a" * 40))
    assert import_rr_cache(store, cache) == 1
    assert [path.name for path in store.rr_cache.iterdir()] == ["a" * 40]


async def test_deleted_on_one_side_is_a_conflict_that_nobody_can_settle_here(tmp_path: Path) -> None:
    store, ours, theirs = await two_sides(tmp_path, {"net/ipv4/tcp.c": changed("10", "mine")}, {"net/ipv4/tcp.c": None})
    clash = await join(store, ours, theirs)
    assert isinstance(clash, Conflict)
    assert clash.files == ("net/ipv4/tcp.c",)
    with pytest.raises(Refused, match=r"tcp\.c"):
        await prepare_conflict(store, ours, theirs, tmp_path / "desk")


async def test_links_in_conflict_are_not_written_through(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    base = head(tree)
    outside = tmp_path / "outside"
    outside.mkdir()
    (tree / "link").symlink_to(outside)
    ours = commit(tree, "a link", {})
    git(tree, "branch", "ours")
    git(tree, "reset", "-q", "--hard", base)
    theirs = commit(tree, "a folder", {"link/file": "x\n"})
    store, _ = await a_store(tmp_path / "store.git", tree)
    await store.fetch_branch(str(tree), "ours", "refs/netci/trees/ours")
    assert isinstance(await join(store, ours, theirs), Conflict)
    with pytest.raises(Refused):
        await prepare_conflict(store, ours, theirs, tmp_path / "desk")
    assert list(outside.iterdir()) == []


async def test_a_used_folder_is_refused(tmp_path: Path) -> None:
    store, ours, theirs = await a_conflict(tmp_path)
    with pytest.raises(Refused, match="not empty"):
        await prepare_conflict(store, ours, theirs, tmp_path / "tree")
    with pytest.raises(Refused, match="not made by this store"):
        await record_resolution(store, tmp_path / "tree")
