"""Folders for one question are gone afterwards, and after a kill at the next start."""

import multiprocessing
import os
from pathlib import Path

from services.executor.checking.scratch import Scratch


def test_a_folder_goes_with_all_that_hostile_code_left_in_it(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o700)
    scratch = Scratch(tmp_path / "scratch")
    with scratch.make() as folder:
        (folder / "results" / "deep").mkdir(parents=True)
        (folder / "results" / "deep" / "file").write_bytes(b"x")
        (folder / "results" / "link").symlink_to(outside)
        (folder / "results" / "deep").chmod(0)
    assert not folder.exists()
    assert outside.stat().st_mode & 0o777 == 0o700
    scratch.close()
    assert list((tmp_path / "scratch").iterdir()) == []


def _die(folder: Path) -> None:
    with Scratch(folder).make() as made:
        (made / "file").write_bytes(b"x")
        os._exit(1)


def test_what_a_dead_process_left_is_swept_and_what_a_living_one_has_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    other = multiprocessing.get_context("spawn").Process(target=_die, args=(folder,))
    other.start()
    other.join()
    assert len(list(folder.iterdir())) == 1
    scratch = Scratch(folder)
    with scratch.make() as mine:
        Scratch(folder).sweep()
        assert [one.name for one in folder.iterdir()] == [mine.parent.name]
        assert mine.exists()
