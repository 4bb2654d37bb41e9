import io
import shutil
import tarfile
from pathlib import Path

import pytest

from shared.errors import InfraError, Missing, Refused, Transient
from shared.git.process import GitError, GitFlood, GitTimeout, SshKey, environment, run
from shared.git.store import ABSENT, Store
from shared.model.ids import Sha
from tests.shared.git.build import a_store, a_tree, commit, git, head

NOBODY = Sha("1" * 40)


async def reopened(store: Store) -> Store:
    """The next process: the one before is gone, without having tidied up."""
    store.close()
    again = Store(store.path, rr_cache=store.rr_cache)
    await again.ensure()
    return again


async def test_a_branch_is_fetched_and_fetched_again(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    store, first = await a_store(tmp_path / "store.git", tree)
    assert first == head(tree)
    second = commit(tree, "more", {"README": "x\n"})
    assert await store.fetch_branch(str(tree), "main", "refs/netci/trees/main") == second
    git(tree, "reset", "-q", "--hard", first)
    assert await store.fetch_branch(str(tree), "main", "refs/netci/trees/main") == first
    assert await store.refs("refs/netci/") == {"refs/netci/trees/main": first}


async def test_a_branch_that_is_not_there(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    store, _ = await a_store(tmp_path / "store.git", tree)
    with pytest.raises(Refused):
        await store.fetch_branch(str(tree), "nothing", "refs/netci/x")
    with pytest.raises(Transient):
        await store.fetch_branch(str(tmp_path / "nowhere"), "main", "refs/netci/x")
    with pytest.raises(Refused):
        await store.fetch_branch(str(tree), "main:refs/heads/x", "refs/netci/x")


async def test_a_commit_is_fetched_by_its_id_from_another_store(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    theirs, tip = await a_store(tmp_path / "store.git", tree)
    await theirs.delete_refs(["refs/netci/trees/main"])
    ours = Store(tmp_path / "ours.git")
    await ours.ensure()
    assert not await ours.has(tip)
    assert await ours.fetch_commit(theirs.path, tip) == tip
    assert await ours.has(tip)
    assert await ours.refs() == {}
    assert await ours.fetch_commit("/nowhere", tip) == tip, "what is here is not fetched"


async def test_a_commit_that_nobody_has(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    store, _ = await a_store(tmp_path / "store.git", tree)
    with pytest.raises(Missing):
        await store.fetch_commit(tree, NOBODY)
    with pytest.raises(Refused):
        await store.fetch_commit(tree, Sha("main"))


async def test_reading(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    base = head(tree)
    tip = commit(tree, "net: more\n\nWhy.", {"net/new.c": "x\n", "README": None})
    store, _ = await a_store(tmp_path / "store.git", tree)
    assert await store.rev_parse("refs/netci/trees/main") == tip
    assert await store.subjects(tip) == [(tip, "net: more"), (base, "base")]
    assert await store.subjects(tip, not_in=base) == [(tip, "net: more")]
    assert await store.subjects(tip, limit=1) == [(tip, "net: more")]
    assert await store.read_blob(tip, "net/new.c") == b"x\n"
    assert [entry.path for entry in await store.ls(tip)] == ["net"]
    assert [entry.path for entry in await store.ls(tip, recursive=True)] == [
        "net/core/dev.c",
        "net/ipv4/tcp.c",
        "net/new.c",
    ]
    assert [entry.path for entry in await store.ls(tip, "net/", "absent")] == ["net/core", "net/ipv4", "net/new.c"]
    assert await store.changed_paths(base, tip) == ("README", "net/new.c")
    assert await store.is_ancestor(base, tip)
    assert not await store.is_ancestor(tip, base)
    assert await store.merge_base(base, tip) == base
    assert await store.count(tip) == 2
    assert await store.count(tip, not_in=[base]) == 1
    assert await store.count(tip, limit=1) == 1
    info = await store.commit_info(tip)
    assert (info.sha, info.parents, info.subject, info.author.name) == (tip, (base,), "net: more", "Ada Kernel")
    assert info.message == "net: more\n\nWhy.\n"


async def test_what_is_not_there(tmp_path: Path) -> None:
    store, tip = await a_store(tmp_path / "store.git", a_tree(tmp_path / "tree"))
    for name in ("nothing", "--all", NOBODY, "", "HEAD^9"):
        with pytest.raises(Missing):
            await store.rev_parse(name)
    with pytest.raises(Missing):
        await store.read_blob(tip, "nothing")
    with pytest.raises(Missing):
        await store.read_blob(tip, "net")


async def test_archive_has_the_files_and_the_commit(tmp_path: Path) -> None:
    store, tip = await a_store(tmp_path / "store.git", a_tree(tmp_path / "tree"))
    with tarfile.open(fileobj=io.BytesIO(await store.archive(tip, "net/core"))) as tar:
        assert "net/core/dev.c" in tar.getnames()
        assert "net/ipv4/tcp.c" not in tar.getnames()
        assert tar.pax_headers["comment"] == tip
    with pytest.raises(GitFlood):
        await store.archive(tip, max_bytes=100)


async def test_refs_are_set_expected_and_deleted(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    old = head(tree)
    commit(tree, "more", {"README": "x\n"})
    store, new = await a_store(tmp_path / "store.git", tree)
    await store.set_ref("refs/netci/x", old, expect=ABSENT)
    with pytest.raises(Refused):
        await store.set_ref("refs/netci/x", new, expect=ABSENT)
    with pytest.raises(Refused):
        await store.set_ref("refs/netci/x", old, expect=new)
    with pytest.raises(Refused):
        await store.set_ref("refs/netci/never", old, expect=new)
    await store.set_ref("refs/netci/x", new, expect=old)
    await store.set_ref("refs/netci/x", old)
    assert (await store.refs())["refs/netci/x"] == old
    await store.delete_refs(["refs/netci/x", "refs/netci/never"])
    await store.delete_refs([])
    assert list(await store.refs()) == ["refs/netci/trees/main"]
    with pytest.raises(GitError):
        await store.set_ref("refs/netci/x", NOBODY)


async def test_a_deleted_store_is_made_anew(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    store, tip = await a_store(tmp_path / "store.git", tree)
    store.close()
    shutil.rmtree(store.path)
    store, again = await a_store(tmp_path / "store.git", tree)
    assert again == tip


@pytest.mark.parametrize("lost", ["HEAD", "config", "refs", "objects"])
async def test_a_store_that_lost_a_part_is_mended(tmp_path: Path, lost: str) -> None:
    tree = a_tree(tmp_path / "tree")
    store, tip = await a_store(tmp_path / "store.git", tree)
    path = store.path / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    store = await reopened(store)
    assert await store.fetch_branch(str(tree), "main", "refs/netci/trees/main") == tip


async def test_a_ref_whose_objects_are_gone_empties_the_store(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    store, tip = await a_store(tmp_path / "store.git", tree)
    for folder in store.path.glob("objects/??"):
        shutil.rmtree(folder)
    for pack in store.path.glob("objects/pack/*"):
        pack.unlink()
    store = await reopened(store)
    assert await store.refs() == {}
    assert await store.fetch_branch(str(tree), "main", "refs/netci/trees/main") == tip


async def test_locks_and_rubbish_of_a_killed_process_are_cleared(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    store, tip = await a_store(tmp_path / "store.git", tree)
    rubbish = [
        "packed-refs.lock",
        "refs/netci/trees/main.lock",
        "objects/pack/tmp_pack_x",
        "netci/tmpx/diff-1",
        "HEAD.lock",
    ]
    for name in rubbish:
        (store.path / name).parent.mkdir(parents=True, exist_ok=True)
        (store.path / name).touch()
    commit(tree, "more", {"README": "x\n"})
    store = await reopened(store)
    assert not [name for name in rubbish if (store.path / name).exists()]
    assert await store.fetch_branch(str(tree), "main", "refs/netci/trees/main") != tip


async def test_what_another_one_is_doing_is_left_alone(tmp_path: Path) -> None:
    store, _ = await a_store(tmp_path / "store.git", a_tree(tmp_path / "tree"))
    with store.scratch() as folder:
        (folder / "busy").touch()
        await Store(store.path).ensure()
        assert (folder / "busy").exists()


async def test_a_folder_of_somebody_else_is_never_emptied(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    with pytest.raises(InfraError, match="not a store of ours"):
        await Store(tree).ensure()
    assert (tree / "README").exists()


async def test_maintenance_loses_nothing_that_has_no_ref(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    store, tip = await a_store(tmp_path / "store.git", tree)
    await store.delete_refs(["refs/netci/trees/main"])
    for _ in range(3):
        await store.maintain()
    assert await store.has(tip)


# The process


async def test_nothing_of_the_callers_environment_leaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "touch owned")
    monkeypatch.setenv("LD_PRELOAD_OF_OURS", "x")
    env = environment(tmp_path, {}, "https", {})
    assert env["GIT_DIR"] == str(tmp_path)
    assert env["GIT_ALLOW_PROTOCOL"] == "https"
    assert not {"GIT_EXTERNAL_DIFF", "LD_PRELOAD_OF_OURS"} & set(env)


async def test_the_users_configuration_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".gitconfig").write_text("[user]\n\tname = Somebody Else\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert (await run(None, "config", "--global", "user.name", ok=(1,))).out == b""


async def test_a_failed_command_says_what_git_said(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="nothing-of-this-name") as caught:
        await run(None, "nothing-of-this-name")
    assert (caught.value.command, caught.value.rc) == (("nothing-of-this-name",), 1)


def lives(pid: int) -> bool:
    """Whether a process is more than an entry that nobody has collected yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


async def test_time_and_output_are_bounded_and_no_child_is_left(tmp_path: Path) -> None:
    store, _ = await a_store(tmp_path / "store.git", a_tree(tmp_path / "tree"))
    settings = {"alias.hang": f"!echo $$ > {tmp_path}/pid; sleep 1000", "alias.flood": "!yes"}
    with pytest.raises(GitTimeout, match="longer than"):
        await run(store.path, "hang", settings=settings, timeout=0.5)
    assert not lives(int((tmp_path / "pid").read_text()))
    with pytest.raises(GitFlood, match="more than"):
        await run(store.path, "flood", settings=settings, max_out=1000)


async def test_a_transport_must_be_allowed(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    store, _ = await a_store(tmp_path / "store.git", tree)
    with pytest.raises(GitError, match="not allowed"):
        await run(store.path, "fetch", str(tree), "main", protocols="https")


def test_a_key_is_the_only_key_and_hosts_must_be_known(tmp_path: Path) -> None:
    env = SshKey(tmp_path / "my key", tmp_path / "known").environment()
    command = env["GIT_SSH_COMMAND"]
    assert f"'{tmp_path}/my key'" in command
    for option in (
        "IdentitiesOnly=yes",
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        f"UserKnownHostsFile={tmp_path}/known",
    ):
        assert option in command
