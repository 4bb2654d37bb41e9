from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.git.touched import has_endless_name, is_plain, touched
from tests.shared.git.build import a_tree, git

names = st.text(alphabet=st.sampled_from('ab. -/\t"\\\u00e4+~\x01'), min_size=1, max_size=12).filter(
    lambda name: is_plain(name.encode()) and len(name.encode()) < 200
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(old=names, new=names)
def test_every_path_that_git_writes_into_a_diff_is_found(tmp_path: Path, old: str, new: str) -> None:
    tree = tmp_path / "tree"
    if not tree.exists():
        a_tree(tree)
    blob = git(tree, "rev-parse", "HEAD:README")
    for name in (old, new):
        git(tree, "update-index", "--force-remove", "--", "README", old, new)
        git(tree, "update-index", "-z", "--index-info", stdin=f"100644 {blob} 0\t{name}\0".encode())
        diff = git(tree, "diff", "--cached", "-M", "HEAD").encode("utf-8", "surrogateescape")
        assert touched(diff) >= {b"README", name.encode()}
        flat = git(tree, "diff", "--cached", "--no-renames", "HEAD").encode("utf-8", "surrogateescape")
        assert name.encode() in touched(flat)


@pytest.mark.parametrize(
    ("diff", "paths"),
    [
        (b"--- a/net/x.c\n+++ b/net/x.c\n", {b"net/x.c"}),
        (b"--- net/x.c\n+++ net/x.c\n", {b"x.c"}),
        (b"--- x.c\n+++ x.c\n", {b"x.c"}),
        (b"--- a/x\t2026-11-23 08:00:00 +0100\n+++ b/x 2026-11-23 08:00:00 +0100\n", {b"x"}),
        (b"diff --git a/x b/x\nold mode 100644\nnew mode 100755\n", {b"x"}),
        (b"diff --git a/a b/c b/a b/c\n", {b"a b/c"}),
        (b"rename from a/x\nrename to b/y\ncopy from z\n", {b"a/x", b"b/y", b"z"}),
        (b"--- a/x\r\n+++ b/y\r\n", {b"x", b"y"}),
        (b"--- /dev/null\n+++ b/../x\n", set()),
        (b"+++ b/.git/config\n+++ b/.GIT/x\n+++ b//\n", set()),
    ],
)
def test_examples(diff: bytes, paths: set[bytes]) -> None:
    assert touched(diff) - {b"dev/null", b"null"} >= paths
    assert all(is_plain(path) for path in touched(diff))


@given(st.binary(max_size=3000))
def test_any_bytes(diff: bytes) -> None:
    assert all(is_plain(path) for path in touched(diff))


def test_endless_names() -> None:
    assert has_endless_name(b"diff --git " + b"a/x " * 5000)
    assert not has_endless_name(b"+" + b"x" * 100_000 + b"\n--- a/x\n")
