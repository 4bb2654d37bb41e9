"""Patches that want out of the store: whatever they say, nothing is written elsewhere, and git says why."""

import base64
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.git.apply import Applied, NotApplied, apply_series
from tests.shared.git.build import CI, NOW, a_mail, a_store, a_tree, commit, snapshot

NEW = "--- /dev/null\n+++ {0}\n@@ -0,0 +1 @@\n+x\n"
GIT_NEW = "diff --git {0} {0}\nnew file mode {1}\nindex 0000000..587be6b\n--- /dev/null\n+++ {0}\n@@ -0,0 +1 @@\n+{2}\n"
LINK = GIT_NEW.format("b/{0}", 120000, "{1}") + "\\ No newline at end of file\n"
RENAME = "diff --git a/{0} b/{1}\nsimilarity index 100%\nrename from {0}\nrename to {1}\n"
MODULE = (
    "diff --git a/{0} b/{0}\nnew file mode 160000\nindex 0000000..{1}\n"
    "--- /dev/null\n+++ b/{0}\n@@ -0,0 +1 @@\n+Subproject commit {1}\n"
)


def anything(_: bytes) -> str | None:
    return None


async def attempt(tmp_path: Path, *letters: bytes) -> Applied | NotApplied:
    """Apply, and see that nothing outside the store has changed, and nothing is left in it but objects."""
    tree = tmp_path / "tree"
    if not tree.exists():
        a_tree(tree)
        (tmp_path / "outside").mkdir()
    store, base = await a_store(tmp_path / "store.git", tree)
    before = snapshot(tmp_path, store.path)
    done = await apply_series(store, base, letters, committer=CI, now=NOW, validate=anything)
    assert snapshot(tmp_path, store.path) == before
    assert list((store.path / "netci").iterdir()) == []
    assert await store.refs() == {"refs/netci/trees/main": base}
    assert not list(store.path.glob("*crash*"))
    if isinstance(done, Applied):
        for entry in await store.ls(done.head, recursive=True):
            assert not {"..", ".git", "", "."} & set(entry.path.split("/"))
    return done


@pytest.mark.parametrize(
    "path",
    [
        "b/../outside/owned", "b/net/../../outside/owned", "b/..", "b/.git/config", "b/net/.git/hooks/post-checkout",
        "b/.GIT/config", '"b/\\056\\056/outside/owned"', '"b/.\\147it/config"', "b/.",
        "b/net/", '"b/a\\000b"', "b/.git",
        "b/\x01/../../x", "a/../../outside/owned",
    ],
)  # fmt: skip
async def test_paths_that_lead_out_are_refused(tmp_path: Path, path: str) -> None:
    assert isinstance(await attempt(tmp_path, a_mail(NEW.format(path))), NotApplied)
    assert isinstance(await attempt(tmp_path, a_mail(GIT_NEW.format(path, 100644, "x"))), NotApplied)


@pytest.mark.parametrize("path", ["/tmp/owned", "b//tmp/owned", "../outside/owned", '"/tmp/owned"', "b/./x"])
async def test_paths_whose_first_part_git_takes_away_stay_inside(tmp_path: Path, path: str) -> None:
    await attempt(tmp_path, a_mail(NEW.format(path)))
    await attempt(tmp_path, a_mail(GIT_NEW.format(path, 100644, "x")))
    assert not Path("/tmp/owned").exists()


@pytest.mark.parametrize("target", ["../outside", "/tmp", ".git", "net"])
async def test_no_writing_through_a_link(tmp_path: Path, target: str) -> None:
    link = a_mail(LINK.format("link", target))
    through = a_mail(NEW.format("b/link/owned"))
    done = await attempt(tmp_path, link, through)
    assert isinstance(done, NotApplied)
    assert (done.number, "link/owned" in done.reason) == (2, True)


async def test_no_writing_through_a_link_of_the_base(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "linked", {"README": "x\n"})
    (tree / "link").symlink_to("/tmp")
    commit(tree, "link", {})
    store, base = await a_store(tmp_path / "store.git", tree)
    mail = a_mail(NEW.format("b/link/deep/owned"))
    done = await apply_series(store, base, [mail], committer=CI, now=NOW, validate=anything)
    assert isinstance(done, NotApplied)
    assert "link" in done.reason


async def test_link_and_file_through_it_in_one_patch(tmp_path: Path) -> None:
    both = LINK.format("link", "../outside") + NEW.format("b/link/owned")
    assert isinstance(await attempt(tmp_path, a_mail(both)), NotApplied)


@pytest.mark.parametrize(
    ("old", "new"),
    [("README", "../outside/README"), ("README", "/tmp/owned"), ("README", ".git/config"), ("../outside/x", "x"),
     ("/etc/passwd", "x")],
)  # fmt: skip
async def test_renames_out_of_the_tree(tmp_path: Path, old: str, new: str) -> None:
    assert isinstance(await attempt(tmp_path, a_mail(RENAME.format(old, new))), NotApplied)


@pytest.mark.parametrize(
    ("old", "new"), [("README", "net"), ("README", "net/core/dev.c"), ("README", "README/x"), ("net/core/dev.c", "net")]
)
async def test_renames_onto_something(tmp_path: Path, old: str, new: str) -> None:
    done = await attempt(tmp_path, a_mail(RENAME.format(old, new)))
    assert isinstance(done, NotApplied) or new == "README/x"


async def test_a_submodule_is_an_entry_and_nothing_is_fetched(tmp_path: Path) -> None:
    done = await attempt(tmp_path, a_mail(MODULE.format("sub", "a" * 40)))
    assert isinstance(done, Applied)


async def test_gitmodules_and_gitattributes_have_no_say(tmp_path: Path) -> None:
    modules = '[submodule "x"]\n+\tpath = sub\n+\turl = --upload-pack=touch owned\n+\tupdate = !touch owned'
    diff = NEW.format("b/.gitmodules").replace("+1 @@\n+x", f"+1,4 @@\n+{modules}")
    attributes = NEW.format("b/.gitattributes").replace("+x", "+* filter=owned merge=owned diff=owned")
    done = await attempt(tmp_path, a_mail(diff), a_mail(attributes), a_mail(NEW.format("b/last")))
    assert isinstance(done, Applied)
    assert not list(tmp_path.rglob("owned"))


@pytest.mark.parametrize(
    "diff",
    [
        b"--- a/README\n+++ b/README\n@@ -1 +1 @@\n-readme line 1\n+\0\0\0\n",
        b"--- a/READ\0ME\n+++ b/READ\0ME\n@@ -1 +1 @@\n-readme line 1\n+x\n",
        b"diff --git a/x b/x\nnew file mode 100644\nGIT binary patch\nliteral 999999999\nzcmZ\n\n",
        b"--- a/README\n+++ b/README\n@@ -1,999999999 +1,999999999 @@\n x\n",
        b"--- a/README\n+++ b/README\n@@ -18446744073709551615 +18446744073709551615 @@\n-x\n+y\n",
        b"--- a/README\n+++ b/README\n1,2d\n!touch owned\n",
        b"diff --git " + b"a/x " * 200_000 + b"\nnew file mode 100644\n",
        b"--- a/" + b"x/" * 100_000 + b"\n+++ b/" + b"x/" * 100_000 + b"\n@@ -1 +1 @@\n-x\n+y\n",
        b"\xff\xfe" * 1000,
        b"diff --git a/x b/x\nnew file mode 999999\n",
        b"diff --git a/README b/README\nold mode 100644\nnew mode 120000\n",
    ],
)
async def test_broken_diffs_are_refused(tmp_path: Path, diff: bytes) -> None:
    done = await attempt(tmp_path, a_mail(diff))
    assert isinstance(done, NotApplied) or diff.endswith(b"120000\n")
    assert not list(tmp_path.rglob("owned"))


async def test_a_git_that_breaks_down_over_a_patch_blames_the_patch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """git 2.39 dies of SIGSEGV over this header; we know better than to hand it over, unless we are made to."""
    monkeypatch.setattr("shared.git.apply.has_endless_name", lambda _: False)
    done = await attempt(tmp_path, a_mail("diff --git " + "a/x " * 200_000 + "\nnew file mode 100644\n"))
    assert isinstance(done, NotApplied)


async def test_a_patch_cannot_pretend_that_the_disk_is_full(tmp_path: Path) -> None:
    lie = "x: No space left on device"
    for diff in (NEW.format(f"b/../{lie}"), f"--- a/{lie}\n+++ b/{lie}\n@@ -1 +1 @@\n-x\n+y\n"):
        assert isinstance(await attempt(tmp_path, a_mail(diff)), NotApplied)


async def test_a_binary_patch_that_claims_to_be_endless(tmp_path: Path) -> None:
    data = zlib.compress(b"x" * 10)
    line = chr(ord("A") + len(data) - 1) + base64.b85encode(data, pad=True).decode()
    header = "diff --git a/x b/x\nnew file mode 100644\nindex 0000000..1111111\n"
    diff = f"{header}GIT binary patch\nliteral 8000000000\n{line}\n\n"
    done = await attempt(tmp_path, a_mail(diff))
    assert isinstance(done, NotApplied)
    assert "memory" in done.reason


async def test_a_path_that_we_did_not_find_in_the_diff_is_not_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could be there in the base, unseen: README is."""
    monkeypatch.setattr("shared.git.apply.touched", lambda _: frozenset())
    done = await attempt(tmp_path, a_mail(NEW.format("b/README")))
    assert isinstance(done, NotApplied)
    assert "not understood" in done.reason


async def test_paths_deeper_than_any_tree(tmp_path: Path) -> None:
    done = await attempt(tmp_path, a_mail(NEW.format("b/" + "x/" * 1000 + "y")))
    assert isinstance(done, NotApplied)
    assert "deeper" in done.reason


async def test_a_line_of_ten_megabytes(tmp_path: Path) -> None:
    done = await attempt(tmp_path, a_mail(NEW.format("b/long").replace("+x", "+" + "x" * (10 << 20))))
    assert isinstance(done, Applied)


async def test_reasons_carry_no_control_characters(tmp_path: Path) -> None:
    done = await attempt(tmp_path, a_mail(b"--- a/\x1b[31mx\x07\n+++ b/\x1b[31mx\x07\n@@ -1 +1 @@\n-x\n+y\n"))
    assert isinstance(done, NotApplied)
    assert "\x1b" not in done.reason + done.log
    assert "\x07" not in done.reason + done.log


PIECES = [
    "diff --git a/README b/README\n", "--- a/README\n", "+++ b/README\n", "--- /dev/null\n", "+++ b/../x\n",
    "+++ b/.git/x\n", "@@ -1,2 +1,2 @@\n", "@@ -0,0 +1 @@\n", "-readme line 1\n", "+x\n", " readme line 2\n",
    "new file mode 120000\n", "rename from README\n", "rename to /tmp/x\n", "copy from net\n",
    "deleted file mode 100644\n", "index 1..2\n", "\\ No newline\n", "GIT binary patch\n", "delta 10\n", "zcmZ\n", "\n",
]  # fmt: skip

# The folder is shared by all examples: the store may well know what the last one left.
FEW = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FEW
@given(data=st.binary(max_size=2000))
async def test_any_bytes_are_answered(tmp_path: Path, data: bytes) -> None:
    assert isinstance(await attempt(tmp_path, data), NotApplied)


@FEW
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=12))
async def test_any_pieces_of_a_diff_are_answered(tmp_path: Path, pieces: list[str]) -> None:
    await attempt(tmp_path, a_mail("".join(pieces)))
