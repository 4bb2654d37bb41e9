"""Seats go from commit to commit and are what git says, times included; whatever was broken off heals."""

import asyncio
import errno
import multiprocessing
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from services.executor.checking import ground
from services.executor.checking import seat as seat_module
from services.executor.checking.seat import LONG_AGO, Seat, read_note
from services.executor.checking.seats import Seats
from shared.errors import InfraError
from shared.git.process import run
from shared.model.ids import Sha
from tests.services.executor.checking.builders import Contents, Repository, listing

BASE: Contents = {
    "Makefile": b"all:\n", "net/core/dev.c": b"dev\n", "net/core/sock.c": b"sock\n", "only/here.c": b"x\n",
    "scripts/run.sh": ("100755", b"#!/bin/sh\n"), "link": ("120000", b"net/core"), "odd/a b\n\xc3\xa4.c": b"odd\n",
}  # fmt: skip


class Killed(Exception):
    """In place of a signal: nothing after it is done."""


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "store.git")


@pytest.fixture
def seats(tmp_path: Path, repository: Repository) -> Seats:
    return Seats(tmp_path / "seats", repository.store)


async def exported(repository: Repository, commit: Sha, to: Path) -> dict[str, tuple[str, bytes]]:
    """What git itself makes of the commit."""
    to.mkdir()
    env = {"GIT_WORK_TREE": str(to), "GIT_INDEX_FILE": str(to) + ".index"}
    await run(repository.path, "read-tree", "-u", "--reset", commit, env=env)
    return listing(to)


def time_of(seat: Seat, path: str) -> int:
    return os.lstat(seat.tree / path).st_mtime_ns


async def test_a_tree_is_what_git_checks_out(repository: Repository, seats: Seats, tmp_path: Path) -> None:
    base = await repository.commit(BASE)
    async with seats.take(base) as seat:
        assert listing(seat.tree) == await exported(repository, base, tmp_path / "out")


async def test_each_move_gives_what_git_checks_out(repository: Repository, seats: Seats, tmp_path: Path) -> None:
    base = await repository.commit(BASE)
    moves: list[Contents] = [
        {"net/core/dev.c": b"changed\n", "new/deep/file.c": b"n\n"},
        {"only/here.c": None, "only": b"a file where a folder was\n"},
        {"only": None, "only/again.c": b"and back\n", "link": None, "link/now/a.c": b"folder\n"},
        {"link/now/a.c": None, "link": ("120000", b"/etc/passwd"), "scripts/run.sh": ("100644", b"#!/bin/sh\n")},
        {"net/core/dev.c": ("120000", b"sock.c"), "net/core/sock.c": ("100755", b"sock\n")},
    ]
    commits = [base]
    for change in moves:
        commits.append(await repository.commit(change, commits[-1]))
    async with seats.take(base) as seat:
        for number, commit in enumerate([*commits[1:], commits[2], base, commits[5], commits[3]]):
            await seat.move(commit)
            assert seat.at == commit
            assert listing(seat.tree) == await exported(repository, commit, tmp_path / f"out{number}")
    assert not (seat.tree / "etc").exists()


async def test_of_a_base_every_file_has_the_time_of_bases(repository: Repository, seats: Seats) -> None:
    base = await repository.commit(BASE)
    async with seats.take(base) as seat:
        assert {time_of(seat, path) for path in listing(seat.tree)} == {LONG_AGO}


async def test_what_a_series_changes_is_young_and_the_rest_stays_old(repository: Repository, seats: Seats) -> None:
    base = await repository.commit(BASE)
    one = await repository.commit({"net/core/dev.c": b"one\n"}, base)
    two = await repository.commit({"net/core/sock.c": b"two\n"}, one)
    before = time.time_ns()
    async with seats.take(base) as seat:
        await seat.move(one)
        first = time_of(seat, "net/core/dev.c")
        await seat.move(two)
        assert before < first < time_of(seat, "net/core/sock.c")
        assert time_of(seat, "net/core/dev.c") == first
        assert time_of(seat, "Makefile") == LONG_AGO


async def test_a_file_that_a_later_patch_brings_back_is_young_all_the_same(
    repository: Repository, seats: Seats
) -> None:
    """An object may have been built of what was there between."""
    base = await repository.commit(BASE)
    one = await repository.commit({"net/core/dev.c": b"one\n"}, base)
    back = await repository.commit({"net/core/dev.c": b"dev\n"}, one)
    async with seats.take(base) as seat:
        await seat.move(one)
        between = time.time_ns()
        await seat.move(back)
        assert time_of(seat, "net/core/dev.c") > between
        await seat.settle(base)
        assert time_of(seat, "net/core/dev.c") == LONG_AGO


async def test_the_next_series_on_the_base_finds_it_old_again(repository: Repository, seats: Seats) -> None:
    base = await repository.commit(BASE)
    one = await repository.commit({"net/core/dev.c": b"one\n", "new.c": b"n\n"}, base)
    async with seats.take(base) as seat:
        await seat.move(one)
    async with seats.take(base) as again:
        assert again.folder == seat.folder
        assert {time_of(again, path) for path in listing(again.tree)} == {LONG_AGO}
        assert "new.c" not in listing(again.tree)


async def test_another_base_is_old_as_well(repository: Repository, seats: Seats, tmp_path: Path) -> None:
    base = await repository.commit(BASE)
    one = await repository.commit({"net/core/dev.c": b"one\n"}, base)
    other = await repository.commit({"net/core/dev.c": b"one\n", "Makefile": b"new:\n"}, base)
    async with seats.take(base) as seat:
        await seat.move(one)
    async with seats.take(other) as seat:
        assert {time_of(seat, path) for path in listing(seat.tree)} == {LONG_AGO}
        assert listing(seat.tree) == await exported(repository, other, tmp_path / "out")


async def test_two_never_have_the_same_seat(repository: Repository, seats: Seats) -> None:
    base = await repository.commit(BASE)
    async with seats.take(base) as one, seats.take(base) as other:
        assert one.folder != other.folder
    async with seats.take(base) as again:
        assert again.folder in (one.folder, other.folder)


async def test_one_that_is_on_the_base_is_taken_first(repository: Repository, seats: Seats) -> None:
    base, other = await repository.commit(BASE), await repository.commit({"other": b"o\n"})
    async with seats.take(base) as one, seats.take(other) as two:
        pass
    async with seats.take(base) as seat:
        assert seat.folder == one.folder
    async with seats.take(other) as seat:
        assert seat.folder == two.folder


@pytest.mark.parametrize("writes", [0, 1, 2])
async def test_a_move_that_was_broken_off_is_made_good(
    repository: Repository, seats: Seats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    """Killed after some portions were written: the next one finds the note, and makes the tree whole."""
    base = await repository.commit(BASE)
    changes = {f"net/{n}.c": b"%d\n" % n for n in range(4)}
    one = await repository.commit({**changes, "only/here.c": None}, base)
    other = await repository.commit({"net/2.c": b"other\n"}, base)
    monkeypatch.setattr("services.executor.checking.contents._PORTION", 1)
    left = writes

    def dying(*args: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed
        write(*args)

    write = ground.write
    async with seats.take(base) as seat:
        monkeypatch.setattr(ground, "write", dying)
        with pytest.raises(Killed):
            await seat.move(one)
        assert seat.at == ""
    monkeypatch.setattr(ground, "write", write)
    async with seats.take(other) as seat:
        assert listing(seat.tree) == await exported(repository, other, tmp_path / "out")
        assert {time_of(seat, path) for path in listing(seat.tree)} == {LONG_AGO}


async def test_after_the_machine_was_started_anew_no_tree_is_believed(
    repository: Repository, seats: Seats, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = await repository.commit(BASE)
    async with seats.take(base) as seat:
        # What a crash may leave of a file that was not on the disk yet.
        (seat.tree / "Makefile").write_bytes(b"")
    monkeypatch.setattr(seat_module, "boot", lambda: "another boot")
    async with seats.take(base) as seat:
        assert (seat.tree / "Makefile").read_bytes() == BASE["Makefile"]
        assert not list(seat.folder.glob("gone-*"))


async def test_a_store_made_anew_has_the_seat_made_anew(repository: Repository, seats: Seats, tmp_path: Path) -> None:
    base = await repository.commit(BASE)
    async with seats.take(base):
        pass
    repository.store.close()
    shutil.rmtree(repository.path)
    fresh = Repository(repository.path)
    other = await fresh.commit({"another": b"history\n"})
    async with Seats(seats.folder, fresh.store).take(other) as seat:
        assert list(listing(seat.tree)) == ["another"]


async def test_cancelled_it_gives_the_seat_back_only_when_nothing_writes(
    repository: Repository, seats: Seats, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    base = await repository.commit(BASE)
    one = await repository.commit({"net/core/dev.c": b"one\n"}, base)
    write, began, over = ground.write, asyncio.Event(), []
    loop = asyncio.get_running_loop()

    def slow(*args: Any) -> None:
        loop.call_soon_threadsafe(began.set)
        time.sleep(0.3)
        write(*args)
        over.append(True)

    async def work() -> None:
        async with seats.take(base) as seat:
            monkeypatch.setattr(ground, "write", slow)
            await seat.move(one)

    task = asyncio.ensure_future(work())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert over == [True]
    monkeypatch.setattr(ground, "write", write)
    async with seats.take(base) as seat:
        assert listing(seat.tree) == await exported(repository, base, tmp_path / "out")


def _hold(folder: Path, path: Path, base: Sha, ready: "multiprocessing.Queue[str]") -> None:
    async def hold() -> None:
        async with Seats(folder, Repository(path).store).take(base) as seat:
            ready.put(str(seat.folder))
            await asyncio.sleep(60)

    asyncio.run(hold())


async def test_a_killed_process_gives_its_seat_back(repository: Repository, seats: Seats) -> None:
    base = await repository.commit(BASE)
    context = multiprocessing.get_context("spawn")
    ready: multiprocessing.Queue[str] = context.Queue()
    other = context.Process(target=_hold, args=(seats.folder, repository.path, base, ready))
    other.start()
    taken = await asyncio.to_thread(ready.get, True, 60)
    async with seats.take(base) as seat:
        assert str(seat.folder) != taken
        other.kill()
        await asyncio.to_thread(other.join)
        async with seats.take(base) as second:
            assert str(second.folder) == taken


async def test_what_nobody_used_for_long_is_removed_but_what_is_taken_is_not(
    repository: Repository, seats: Seats
) -> None:
    base = await repository.commit(BASE)
    async with seats.take(base) as one:
        async with seats.take(base) as other:
            (other.folder / "gone-abcd").mkdir()
        seats.sweep(unused=3600)
        assert other.folder.exists()
        assert not (other.folder / "gone-abcd").exists()
        seats.sweep(unused=-1)
        assert one.folder.exists()
        assert not other.folder.exists()


async def test_what_is_no_commit_here_is_the_machines_fault(repository: Repository, seats: Seats) -> None:
    base = await repository.commit(BASE)
    with pytest.raises(InfraError):
        async with seats.take(Sha("d" * 40)):
            pass
    async with seats.take(base) as seat:
        assert seat.at == base


async def test_a_note_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    (tmp_path / "note").write_text('{"at": "x", "strange": 1}')
    assert read_note(tmp_path).at == ""


async def test_others_can_read_it_whatever_the_umask(repository: Repository, tmp_path: Path) -> None:
    base = await repository.commit(BASE)
    old = os.umask(0o077)
    try:
        async with Seats(tmp_path / "new" / "seats", repository.store).take(base) as seat:
            modes = {p.stat().st_mode & 0o005 for p in seat.tree.rglob("*") if not p.is_symlink() and p.is_dir()}
            assert modes == {0o005}
            assert (seat.tree / "Makefile").stat().st_mode & 0o777 == 0o644
            assert (seat.tree / "scripts/run.sh").stat().st_mode & 0o777 == 0o755
            assert (tmp_path / "new").stat().st_mode & 0o005 == 0o005
    finally:
        os.umask(old)


@pytest.mark.parametrize(
    "contents",
    [
        {"n" * 300: b"y\n"}, {"x/" + "b" * 256 + "/y": b"y\n"}, {"d/" * 2000 + "f": b"y\n"},
        {"good": b"y\n", "link": ("120000", b"t" * 5000)}, {"good": b"y\n", "link": ("120000", b"a\0b")},
        {"good": b"y\n", "link": ("120000", b"")},
    ],
)  # fmt: skip
async def test_a_commit_that_no_folder_can_hold_is_at_fault_and_poisons_no_seat(
    repository: Repository, seats: Seats, contents: Contents, tmp_path: Path
) -> None:
    base = await repository.commit(BASE)
    bad, good = await repository.commit(contents, base), await repository.commit({"Makefile": b"new:\n"}, base)
    async with seats.take(base) as seat:
        with pytest.raises(ground.NoTree, match=r"file that cannot be written|longer than file systems take"):
            await seat.move(bad)
        await seat.move(good)
        assert listing(seat.tree) == await exported(repository, good, tmp_path / "out")
    async with seats.take(good) as seat:
        assert listing(seat.tree) == await exported(repository, good, tmp_path / "again")


async def test_a_move_that_can_never_be_finished_costs_the_seat_its_files_only(
    repository: Repository, seats: Seats, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    base = await repository.commit(BASE)
    other, write = await repository.commit({"Makefile": b"new:\n"}, base), ground.write

    def broken(root: Path, files: list[ground.File], stamp: int) -> None:
        if any(file.data == b"new:\n" for file in files):
            raise OSError(errno.EIO, "the disk")
        write(root, files, stamp)

    monkeypatch.setattr(ground, "write", broken)
    async with seats.take(base) as seat:
        with pytest.raises(OSError, match="the disk"):
            await seat.move(other)
    async with seats.take(base) as seat:
        assert listing(seat.tree) == await exported(repository, base, tmp_path / "out")


async def test_what_is_too_large_to_be_written_is_the_commits_fault(
    repository: Repository, seats: Seats, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = await repository.commit(BASE)
    large = await repository.commit({"large": b"x" * 5000}, base)
    monkeypatch.setattr("services.executor.checking.contents._MOST", 4000)
    async with seats.take(base) as seat:
        with pytest.raises(ground.NoTree, match="larger than is written"):
            await seat.move(large)


async def test_a_base_that_no_folder_can_hold_is_the_machines_trouble(repository: Repository, seats: Seats) -> None:
    with pytest.raises(InfraError, match="longer than file systems take"):
        async with seats.take(await repository.commit({"n" * 300: b""})):
            pass


async def test_who_writes_a_whole_tree_says_so_and_says_nothing_of_a_move(repository: Repository, seats: Seats) -> None:
    told: list[str] = []
    seats.tell = told.append
    base = await repository.commit(BASE)
    other = await repository.commit({**BASE, "new": b"new"}, base)
    async with seats.take(base) as first:
        assert told == [f"a whole copy of the tree is written to {first.tree}, which takes a while"]
        await first.move(other)
        async with seats.take(base) as second:
            assert told[1:] == [f"a whole copy of the tree is written to {second.tree}, which takes a while"]
    async with seats.take(other) as again:
        assert len(told) == 2
        again.forget()
    # The one that somebody may have written to is not taken for what its note said.
    async with seats.take(other):
        assert len(told) == 3
