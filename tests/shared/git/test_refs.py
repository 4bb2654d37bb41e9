import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Refused, Transient
from shared.git.names import check_ref
from shared.git.refs import SERIES, delete_remote, ls_remote, message_id_of, push, series_ref
from shared.git.store import Store
from shared.model.ids import Sha
from tests.shared.git.build import a_store, a_tree, commit, git

NASTY = st.text(alphabet=st.sampled_from("aA0.-_@{}~^:?*[]\\/% \t\n\x00\x7f\u00e4lock"), min_size=1, max_size=300)
IDS = st.one_of(NASTY, st.text(min_size=1, max_size=300))


def accepted(ref: str) -> bool:
    return subprocess.run(["git", "check-ref-format", ref], check=False).returncode == 0


@given(IDS)
def test_every_id_has_a_ref_that_git_accepts(message_id: str) -> None:
    ref = series_ref(message_id)
    assert accepted(ref)
    assert check_ref(ref) == ref
    assert len(ref.removeprefix(SERIES)) <= 200
    assert "/" not in ref.removeprefix(SERIES)


@given(IDS)
def test_a_ref_gives_its_id_back_or_says_that_it_is_a_hash(message_id: str) -> None:
    ref = series_ref(message_id)
    assert message_id_of(ref) == (None if "%h" in ref else message_id)


@given(IDS, IDS)
def test_different_ids_have_different_refs(one: str, other: str) -> None:
    assert (series_ref(one) == series_ref(other)) == (one == other)


@given(st.integers(1, 300))
def test_long_ids_that_begin_alike_have_different_refs(extra: int) -> None:
    assert series_ref("x" * 250 + "a" * extra) != series_ref("x" * 250 + "b" * extra)


def test_an_ordinary_id_reads_as_itself() -> None:
    assert series_ref("20261123.1-x@kernel.org") == "refs/tags/netci/20261123.1-x@kernel.org"
    assert series_ref("a..b.lock") == "refs/tags/netci/a%2E%2Eb%2Elock"


def test_other_refs_have_no_id() -> None:
    assert message_id_of("refs/heads/main") is None


def test_no_id_no_ref() -> None:
    with pytest.raises(Refused):
        series_ref("")


@given(st.text(max_size=20))
def test_our_check_is_no_milder_than_gits(text: str) -> None:
    try:
        checked = check_ref(f"refs/heads/{text}")
    except Refused:
        return
    assert accepted(checked)


def a_remote(tmp_path: Path) -> Path:
    remote = tmp_path / "remote.git"
    git(tmp_path, "init", "-q", "--bare", str(remote))
    return remote


async def two_commits(tmp_path: Path) -> tuple[Store, Sha, Sha]:
    tree = a_tree(tmp_path / "tree")
    commit(tree, "two", {"README": "x\n"})
    store, new = await a_store(tmp_path / "store.git", tree)
    return store, (await store.commit_info(new)).parents[0], new


async def test_push_to_absent_refs_in_batches_and_again(tmp_path: Path) -> None:
    store, old, new = await two_commits(tmp_path)
    remote = a_remote(tmp_path)
    refs = {series_ref(f"{number}/x@example.org"): (old, new)[number % 2] for number in range(450)}
    await push(store, str(remote), refs, absent=True)
    assert await ls_remote(store, str(remote), f"{SERIES}*") == refs
    await push(store, str(remote), refs, absent=True)
    assert await ls_remote(store, str(remote)) == refs


async def test_push_to_a_ref_that_is_something_else(tmp_path: Path) -> None:
    store, old, new = await two_commits(tmp_path)
    remote = a_remote(tmp_path)
    await push(store, str(remote), {"refs/heads/x": old}, absent=True)
    with pytest.raises(Refused, match="another commit") as caught:
        await push(store, str(remote), {"refs/heads/x": new, "refs/heads/y": new}, absent=True)
    assert caught.value.hints == {"ref": "refs/heads/x", "found": old}
    assert (await ls_remote(store, str(remote), "refs/heads/x")) == {"refs/heads/x": old}
    await push(store, str(remote), {"refs/heads/x": new}, absent=False)
    await push(store, str(remote), {"refs/heads/x": old}, absent=False)
    assert (await ls_remote(store, str(remote), "refs/heads/x")) == {"refs/heads/x": old}


async def test_a_push_that_was_taken_though_it_failed_is_not_repeated(tmp_path: Path) -> None:
    store, _, new = await two_commits(tmp_path)
    remote = a_remote(tmp_path)
    # The remote takes the ref, then the connection is cut before it can say so.
    hook = remote / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\necho x >> {tmp_path}/pushes\nkill -9 $PPID\n")
    hook.chmod(0o755)
    await push(store, str(remote), {"refs/heads/x": new}, absent=True)
    assert (tmp_path / "pushes").read_text() == "x\n"
    assert await ls_remote(store, str(remote)) == {"refs/heads/x": new}


async def test_a_remote_that_refuses_is_asked_once_more_and_given_up(tmp_path: Path) -> None:
    store, _, new = await two_commits(tmp_path)
    remote = a_remote(tmp_path)
    hook = remote / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\necho x >> {tmp_path}/pushes\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(Transient, match="refs/heads/x"):
        await push(store, str(remote), {"refs/heads/x": new}, absent=True)
    assert (tmp_path / "pushes").read_text() == "x\nx\n"


async def test_a_remote_that_is_away(tmp_path: Path) -> None:
    store, _, new = await two_commits(tmp_path)
    with pytest.raises(Transient):
        await push(store, str(tmp_path / "nowhere"), {"refs/heads/x": new}, absent=True)


async def test_delete_at_the_remote(tmp_path: Path) -> None:
    store, _, new = await two_commits(tmp_path)
    remote = a_remote(tmp_path)
    await push(store, str(remote), {"refs/heads/x": new, "refs/heads/y": new}, absent=True)
    await delete_remote(store, str(remote), ["refs/heads/x", "refs/heads/never"])
    await delete_remote(store, str(remote), ["refs/heads/x"])
    assert await ls_remote(store, str(remote)) == {"refs/heads/y": new}


@pytest.mark.parametrize("url", ["--upload-pack=touch owned", "-x", "ext::sh -c touch% owned"])
async def test_addresses_are_never_options_or_commands(tmp_path: Path, url: str) -> None:
    store, _, new = await two_commits(tmp_path)
    with pytest.raises(Transient):
        await ls_remote(store, url)
    with pytest.raises(Transient):
        await push(store, url, {"refs/heads/x": new}, absent=True)
    with pytest.raises(Transient):
        await store.fetch_branch(url, "main", "refs/netci/x")
    assert not list(tmp_path.rglob("owned"))
