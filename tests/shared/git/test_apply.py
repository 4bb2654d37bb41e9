from pathlib import Path

import pytest

from shared.git.apply import Applied, NotApplied, apply_series
from shared.git.store import Store
from shared.model.ids import Sha
from tests.shared.git.build import CI, NOW, a_mail, a_store, a_tree, am, commit, git, head, lines, mails


def anything(_: bytes) -> str | None:
    return None


async def put(store: Store, base: Sha, letters: list[bytes], *, skip_applied: bool = False) -> Applied | NotApplied:
    return await apply_series(store, base, letters, committer=CI, now=NOW, validate=anything, skip_applied=skip_applied)


async def applied(store: Store, base: Sha, letters: list[bytes]) -> Applied:
    done = await put(store, base, letters)
    assert isinstance(done, Applied), done
    return done


async def refused(store: Store, base: Sha, letters: list[bytes]) -> NotApplied:
    done = await put(store, base, letters)
    assert isinstance(done, NotApplied), done
    return done


async def same_as_am(tmp_path: Path, tree: Path, base: Sha, letters: list[bytes]) -> Applied:
    """Apply, and see that the commits are the very commits of `git am`, ids and all."""
    store, _ = await a_store(tmp_path / "store.git", tree)
    await store.fetch_commit(tree, base)
    done = await applied(store, base, letters)
    assert list(done.commits) == am(tree, base, letters)
    return done


async def test_series_of_three_is_what_git_am_makes(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    base = head(tree)
    commit(tree, "tcp: first\n\nWhy.  \n\n\n\nSigned-off-by: A <a@b.c>", {"net/ipv4/tcp.c": lines("tcp") + "more\n"})
    commit(tree, "net: second", {"net/core/new.c": "new\n", "net/ipv4/tcp.c": "changed\n" + lines("tcp")})
    commit(tree, "net: third", {"net/core/new.c": None, "README": "short\n"})
    done = await same_as_am(tmp_path, tree, base, mails(tree, base))
    assert len(done.commits) == 3
    assert done.head == done.commits[-1]
    assert not done.three_way


async def test_base_is_not_the_branch(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    base = head(tree)
    commit(tree, "x", {"net/ipv4/tcp.c": "x\n" + lines("tcp")})
    letters = mails(tree, base)
    git(tree, "reset", "-q", "--hard", base)
    commit(tree, "y", {"README": "y\n"})
    await same_as_am(tmp_path, tree, base, letters)


async def test_renames_modes_deletions_links_and_binaries(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    base = head(tree)
    git(tree, "mv", "net/core/dev.c", "net/core/device.c")
    commit(tree, "rename", {"net/core/device.c": lines("dev") + "x\n"})
    (tree / "net/ipv4/tcp.c").chmod(0o755)
    (tree / "link").symlink_to("README")
    (tree / "logo").write_bytes(bytes(range(256)))
    commit(tree, "mode, link and binary", {"empty": ""})
    git(tree, "rm", "-q", "-r", "net/core")
    commit(tree, "a file in place of a folder", {"net/core": "a file\n", "with space/ü": "x\n"})
    await same_as_am(tmp_path, tree, base, mails(tree, base, "-M", "--binary"))


async def test_a_file_in_a_folder_that_is_new(tmp_path: Path) -> None:
    """Its parents are looked up, and what lies beside it in them must be neither lost nor taken for more."""
    tree = a_tree(tmp_path / "tree")
    base = head(tree)
    commit(tree, "net: a driver", {"net/vendor/fast/main.c": "new\n", "new/deep/er": "new\n"})
    done = await same_as_am(tmp_path, tree, base, mails(tree, base))
    assert len(done.commits) == 1


async def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    base = head(tree)
    (tree / "README").unlink()
    commit(tree, "a folder", {"README/one": "x\n", "README/two": "y\n"})
    done = await same_as_am(tmp_path, tree, base, mails(tree, base, "--no-renames"))
    assert git(tree, "ls-tree", "--name-only", f"{done.head}:README") == "one\ntwo"


async def test_mail_with_crlf_charset_in_body_author_and_scissors(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    base = head(tree)
    diff = "--- a/README\n+++ b/README\n@@ -1,2 +1,2 @@\n-readme line 1\n+gr\u00fc\u00df\n readme line 2\n"
    text = (
        "From: =?utf-8?q?J=C3=BCrgen?= <j@example.com>\nDate: Tue, 24 Nov 2026 01:02:03 -0500 (EST)\n"
        "Subject: Re: [PATCH net,v2 1/3] [net] tcp:\n  two lines\nContent-Type: text/plain; charset=iso-8859-1\n"
        "Content-Transfer-Encoding: 8bit\n\n"
        "From: Gr\u00fc\u00df Gott <g@example.com>\n\nBody   \n\n\n -- >8 --\n\nLast\n---\nnote\n\n"
    )
    letter = (text + diff + "-- \n2.39\n").encode("iso-8859-1").replace(b"\n", b"\r\n")
    done = await same_as_am(tmp_path, tree, base, [letter])
    info = git(tree, "log", "-1", "--format=%an|%ae|%aI|%s", done.head)
    assert info == "Gr\u00fc\u00df Gott|g@example.com|2026-11-24T01:02:03-05:00|tcp: two lines"


async def test_mail_without_date_is_dated_now(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    store, base = await a_store(tmp_path / "store.git", tree)
    letter = b"From: A <a@b.c>\nSubject: x\n\n---\n--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+x\n"
    done = await applied(store, base, [letter])
    info = await store.commit_info(done.head)
    assert info.authored == info.committed == NOW


async def test_drifted_context_is_merged_three_way(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    old = head(tree)
    commit(tree, "the patch", {"net/ipv4/tcp.c": lines("tcp").replace("line 10\n", "line ten\n")})
    letters = mails(tree, old)
    git(tree, "reset", "-q", "--hard", old)
    base = commit(tree, "drift", {"net/ipv4/tcp.c": lines("tcp").replace("line 8\n", "line eight\n")})
    store, _ = await a_store(tmp_path / "store.git", tree)
    done = await applied(store, base, letters)
    assert done.three_way
    assert list(done.commits) == am(tree, base, letters, "-3")


async def test_versions_that_we_never_saw_are_no_help(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    old = head(tree)
    commit(tree, "unseen", {"net/ipv4/tcp.c": lines("tcp").replace("line 9\n", "unseen\n")})
    middle = head(tree)
    commit(tree, "the patch", {"net/ipv4/tcp.c": lines("tcp").replace("line 9\n", "unseen\nmore\n")})
    letters = mails(tree, middle)
    git(tree, "reset", "-q", "--hard", old)
    store, base = await a_store(tmp_path / "store.git", tree)
    no = await refused(store, base, letters)
    assert (no.files, no.already) == (("net/ipv4/tcp.c",), False)


async def test_all_or_nothing_and_again(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    base = head(tree)
    commit(tree, "x", {"README": "x\n"})
    letters = mails(tree, base)
    store, _ = await a_store(tmp_path / "store.git", tree)
    assert await applied(store, base, letters) == await applied(store, base, letters)


async def test_conflict_names_patch_and_files(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    old = head(tree)
    commit(tree, "fine", {"README": "x\n"})
    commit(tree, "net: clash", {"net/ipv4/tcp.c": lines("tcp").replace("line 10\n", "mine\n"), "net/core/dev.c": "x\n"})
    letters = mails(tree, old)
    git(tree, "reset", "-q", "--hard", old)
    base = commit(tree, "rival", {"net/ipv4/tcp.c": lines("tcp").replace("line 10\n", "theirs\n")})
    store, _ = await a_store(tmp_path / "store.git", tree)
    no = await refused(store, base, letters)
    assert (no.number, no.subject, no.files, no.already) == (2, "net: clash", ("net/ipv4/tcp.c",), False)
    assert "net/ipv4/tcp.c" in no.reason
    assert "Applying: fine" in no.log
    assert await store.refs() == {"refs/netci/trees/main": base}


async def test_accepted_change_is_recognised(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    old = head(tree)
    base = commit(tree, "tcp: accepted", {"net/ipv4/tcp.c": lines("tcp").replace("line 10\n", "mine\n")})
    store, _ = await a_store(tmp_path / "store.git", tree)
    assert (await refused(store, base, mails(tree, old))).already


async def test_accepted_subject_is_recognised(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    old = head(tree)
    commit(tree, "tcp: accepted", {"net/ipv4/tcp.c": lines("tcp").replace("line 10\n", "mine\n")})
    letters = mails(tree, old, "--no-renames")
    git(tree, "reset", "-q", "--hard", old)
    base = commit(tree, "tcp: accepted", {"net/ipv4/tcp.c": lines("tcp").replace("line 10\n", "as merged\n")})
    store, _ = await a_store(tmp_path / "store.git", tree)
    assert (await refused(store, base, letters)).already


async def test_accepted_part_can_be_skipped(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    old = head(tree)
    base = commit(tree, "one", {"README": "x\n"})
    commit(tree, "two", {"net/core/dev.c": "x\n"})
    letters = mails(tree, old)
    store, _ = await a_store(tmp_path / "store.git", tree)
    done = await put(store, base, letters, skip_applied=True)
    assert isinstance(done, Applied)
    assert (len(done.commits), done.skipped) == (1, (1,))
    all_there = await put(store, head(tree), letters, skip_applied=True)
    assert isinstance(all_there, NotApplied)
    assert all_there.already


async def test_validator_speaks_before_git_does(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    store, base = await a_store(tmp_path / "store.git", tree)
    seen: list[bytes] = []

    def never(diff: bytes) -> str | None:
        seen.append(diff)
        return "no binaries here"

    letter = a_mail("--- a/README\n+++ b/README\n@@ -1 +1 @@\n-readme line 1\n+x\n")
    no = await apply_series(store, base, [letter], committer=CI, now=NOW, validate=never)
    assert isinstance(no, NotApplied)
    assert (no.number, no.reason) == (1, "no binaries here")
    assert b"\n--- a/README\n" in seen[0]


@pytest.mark.parametrize(
    ("letter", "word"),
    [
        (b"From: A <a@b.c>\nSubject: x\n\njust words\n", "no diff"),
        (a_mail("--- a/README\n+++ b/README\n@@ -1 +1 @@\n-no such line\n+x\n"), "README"),
        (a_mail("--- a/README\n+++ b/README\n@@ -1 +1,9 @@\n-readme line 1\n+x\n"), "corrupt"),
        (a_mail("--- a/nothing\n+++ b/nothing\n@@ -1 +1 @@\n-x\n+x\n"), "nothing"),
        (a_mail("--- /dev/null\n+++ b/README\n@@ -0,0 +1 @@\n+x\n"), "already exists"),
        (a_mail("--- /dev/null\n+++ b/README/x\n@@ -0,0 +1 @@\n+x\n"), "README/x"),
        (a_mail("--- /dev/null\n+++ b/net\n@@ -0,0 +1 @@\n+x\n"), "net"),
        (a_mail("--- a/README\n+++ b/README\n@@ -1,2 +1,2 @@\n-readme line 1\n+x\n readme line 2\n")
         .replace(b"Mon, 23 Nov 2026 08:00:00 +0100", b"the day after"), "date"),
        (a_mail("--- a/README\n+++ b/README\n@@ -1,2 +1,2 @@\n-readme line 1\n+x\n readme line 2\n")
         .replace(b"Why.", b"W\0hy."), "NUL"),
    ],
)  # fmt: skip
async def test_what_git_am_refuses_is_refused_with_a_reason(tmp_path: Path, letter: bytes, word: str) -> None:
    tree = a_tree(tmp_path / "tree")
    store, base = await a_store(tmp_path / "store.git", tree)
    no = await refused(store, base, [letter])
    assert word in no.reason
    assert no.number == 1
    with pytest.raises(AssertionError):
        am(tree, base, [letter])


async def test_nothing_is_no_mail(tmp_path: Path) -> None:
    store, base = await a_store(tmp_path / "store.git", a_tree(tmp_path / "tree"))
    assert "empty" in (await refused(store, base, [b""])).reason


async def test_no_mails(tmp_path: Path) -> None:
    store, base = await a_store(tmp_path / "store.git", a_tree(tmp_path / "tree"))
    assert "no patches" in (await refused(store, base, [])).reason
