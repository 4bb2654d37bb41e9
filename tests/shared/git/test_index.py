from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.git.index import IndexEntry, pack_index, unpack_index
from tests.shared.git.build import a_tree, git

BLOB = "587be6b4c3f93f93c489c0111bba5596147a26cb"

entries = st.builds(
    IndexEntry,
    path=st.binary(min_size=1, max_size=300).filter(lambda path: b"\0" not in path),
    stage=st.integers(0, 3),
    mode=st.sampled_from([0o100644, 0o100755, 0o120000, 0o160000]),
    sha=st.binary(min_size=20, max_size=20).map(bytes.hex),
)


@given(st.lists(entries, unique_by=lambda entry: (entry.path, entry.stage), max_size=20))
def test_what_is_packed_is_unpacked(rows: list[IndexEntry]) -> None:
    assert unpack_index(pack_index(rows)) == sorted(rows)


def test_git_reads_what_we_write(tmp_path: Path) -> None:
    tree = a_tree(tmp_path / "tree")
    rows = [IndexEntry(b"net/" + b"x" * length, 0, 0o100644, BLOB) for length in range(1, 120)]
    rows += [IndexEntry(b"clash", stage, 0o100755, BLOB) for stage in (1, 2, 3)]
    (tree / ".git" / "index").write_bytes(pack_index(rows))
    said = git(tree, "ls-files", "--stage").split("\n")
    assert said == [f"{e.mode:o} {e.sha} {e.stage}\t{e.path.decode()}" for e in sorted(rows)]


@pytest.mark.parametrize("flags", [(), ("--intent-to-add",)])
def test_we_read_what_git_writes(tmp_path: Path, flags: tuple[str, ...]) -> None:
    tree = a_tree(tmp_path / "tree")
    (tree / "new").write_text("x\n")
    git(tree, "add", *flags, "new")
    rows = unpack_index((tree / ".git" / "index").read_bytes())
    assert [e.path for e in rows] == [b"README", b"net/core/dev.c", b"net/ipv4/tcp.c", b"new"]
    assert git(tree, "rev-parse", ":README") == rows[0].sha


def test_other_formats_are_named() -> None:
    with pytest.raises(ValueError, match="version"):
        unpack_index(b"DIRC\0\0\0\4\0\0\0\0")
