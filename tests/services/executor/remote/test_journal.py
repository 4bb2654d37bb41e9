"""A journal holds what it promised, whatever became of the file's end, or of a line in its middle."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.remote.journal import Journal, replace


def written(path: Path, *texts: str) -> Journal:
    journal = Journal(path)
    for text in texts:
        journal.append({"kind": "word", "text": text})
    return journal


def words(journal: Journal) -> list[str]:
    return [record["text"] for record in journal.of("word")]


def test_what_was_appended_is_there_when_it_is_read_again(tmp_path: Path) -> None:
    written(tmp_path / "j", "a", "\n", "ä\0")
    again = Journal(tmp_path / "j")
    assert words(again) == ["a", "\n", "ä\0"]
    assert again.append({"kind": "word", "text": "d"}) == 3


@given(st.lists(st.text(max_size=20), max_size=5), st.data())
def test_cut_off_anywhere_it_has_the_lines_that_were_whole(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("j") / "j"
    written(path, *texts)
    whole = path.read_bytes() if path.exists() else b""
    at = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:at])
    again = Journal(path)
    assert words(again) == texts[: whole[:at].count(b"\n")]
    again.append({"kind": "word", "text": "new"})
    assert words(Journal(path)) == [*words(again)]


def test_a_damaged_line_is_put_aside_and_the_others_stand(tmp_path: Path) -> None:
    path = tmp_path / "j"
    written(path, "a", "b", "c")
    path.write_bytes(path.read_bytes().replace(b'"b"', b'"x"'))
    for _ in range(2):
        again = Journal(path)
        assert words(again) == ["a", "c"]
    assert (tmp_path / "j.damaged").read_bytes().count(b"\n") == 1
    assert again.append({"kind": "word", "text": "d"}) == 3


def test_who_only_looks_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "j"
    written(path, "a")
    with path.open("ab") as file:
        file.write(b"0000 half")
    before = path.read_bytes()
    assert words(Journal(path, mend=False)) == ["a"]
    assert path.read_bytes() == before


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    for text in (b"one", b"two"):
        replace(tmp_path / "deep" / "file", text)
        assert (tmp_path / "deep" / "file").read_bytes() == text
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["file"]
