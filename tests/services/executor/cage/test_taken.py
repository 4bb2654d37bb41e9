"""Results are taken back as plain files of decent names, within limits, whatever lies there."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.cage.taken import TakeLimits, Taken, clean, take


def test_plain_files_are_taken_by_their_path(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "log").write_bytes(b"\0deep")
    (tmp_path / "summary").write_text("fine")
    taken = take(tmp_path)
    assert (dict(taken), taken.left) == ({"sub/log": b"\0deep", "summary": b"fine"}, [])


def test_nothing_but_plain_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "folder").symlink_to("/etc")
    assert take(tmp_path) == {}
    assert take(tmp_path).left == [f"{name}: not a plain file" for name in ("fifo", "folder", "link")]


def test_a_folder_that_is_a_link_is_not_gone_into(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(OSError):
        take(tmp_path / "link")


def test_sizes_are_limited(tmp_path: Path) -> None:
    for name, size in (("a", 3), ("b", 11), ("c", 4), ("d", 2)):
        (tmp_path / name).write_bytes(b"x" * size)
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    taken = take(tmp_path, TakeLimits(each=10, total=8))
    assert {name: len(data) for name, data in taken.items()} == {"a": 3, "c": 4}
    assert taken.left == [
        "b: 11 bytes are more than may be taken", "d: 2 bytes are more than may be taken",
        f"sparse: {1 << 40} bytes are more than may be taken",
    ]  # fmt: skip


def test_how_many_is_limited(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / str(number)).write_text("x")
    taken = take(tmp_path, TakeLimits(files=2))
    assert (list(taken), taken.left) == (["0", "1"], ["2: there are more than may be taken"])


def test_what_is_not_taken_is_limited_too(tmp_path: Path) -> None:
    for number in range(500):
        os.mkfifo(tmp_path / str(number))
    assert len(take(tmp_path).left) == Taken.MOST_LEFT
    assert len(take(tmp_path, TakeLimits(seen=10)).left) == 11


def test_folders_without_files_are_limited(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / str(number)).mkdir()
    (left,) = take(tmp_path, TakeLimits(seen=10)).left
    assert left.endswith(": there are more than may be taken")


def test_depth_is_limited(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 40)
    deep.mkdir(parents=True)
    (deep / "file").write_text("x")
    taken = take(tmp_path)
    assert (dict(taken), [line.rpartition(": ")[2] for line in taken.left]) == ({}, ["too deep"])


def test_names_that_become_the_same_do_not_hide_one_another(tmp_path: Path) -> None:
    (tmp_path / "a\n").write_text("one")
    (tmp_path / "a\t").write_text("other")
    taken = take(tmp_path)
    assert (dict(taken), taken.left) == ({"a_": b"other"}, ["a_: there is one of that name"])


@given(st.text(min_size=1))
def test_a_clean_name_is_harmless(name: str) -> None:
    found = clean(name)
    assert found
    assert len(found) <= 200
    assert found.isprintable()
    assert "/" not in found
    assert found not in (".", "..")
