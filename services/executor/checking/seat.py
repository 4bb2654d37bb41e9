"""A seat: a work tree that goes from commit to commit at the cost of what differs between them.

Nobody looks at the eighty thousand files: what two commits differ in git tells from their trees alone, and only that
is written. For this the tree must be what the seat's note says it is, so nobody else may write there; commands see
it read-only or under a layer. The note is written before a move and after it: a move that was broken off is
finished by the next one, and after a crash of the machine, when files may be empty, the tree is made anew.

**Times of files.** Builds go by them. `settle` takes the seat to a base, and there every file has one fixed time long
ago: objects that were built from just this base are younger than all of it, whichever seat they were built in and
whenever. What a `move` writes after that gets the present time, also where it brings back what the base had, for
an object may have been built from what was there between. So an object folder that was built from a base is fresh,
but for what a series changes, for every series on that base (and on no other base); and a layer over it, used
along one series, sees every change of every move. A layer must not outlive the `settle` that it was begun after.
"""

import asyncio
import json
import os
import secrets
import shutil
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ParamSpec, TypeVar

from services.executor.checking import ground
from services.executor.checking.contents import Row, difference, everything, portions
from shared.errors import NetciError
from shared.git.objects import Objects
from shared.git.process import GitFlood
from shared.model.ids import Sha

LONG_AGO = 946_684_800 * 10**9
"""The time of every file of a base, nanoseconds since 1970: the first day of 2000."""

_NOWHERE = Sha("")
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Note:
    """Where the tree is: at commit `at`, or between it and `to`. `young` are the files that have not the time of the
    base; `boot` is the machine's boot that wrote it.
    """

    at: Sha = _NOWHERE
    to: Sha = _NOWHERE
    base: Sha = _NOWHERE
    young: tuple[str, ...] = ()
    boot: str = ""


Tell = Callable[[str], None]


def silent(text: str) -> None:
    """Of somebody who need not know what takes long."""


class Seat:
    """The work tree `folder`/tree, of commits of `store`. Whoever has it holds its lock, see `Seats`."""

    def __init__(self, folder: Path, store: Objects, tell: Tell = silent) -> None:
        self.folder, self.store, self._tell = folder, store, tell
        self.tree = folder / "tree"
        self.indexing = asyncio.Lock()
        """Held by whoever brings the seat's git index up to date."""
        note = read_note(folder)
        self._note = note if note.boot == boot() else Note()

    @property
    def at(self) -> Sha:
        """The commit that the tree is at, "" if it is none."""
        return _NOWHERE if self._note.to else self._note.at

    async def settle(self, base: Sha) -> None:
        """Go to `base`, every file with the time of a base."""
        await self._go(base, LONG_AGO, base)
        young = [os.fsencode(path) for path in self._note.young]
        if young:
            await _whole(ground.touch, self.tree, young, LONG_AGO)
            self._write(replace(self._note, young=()))

    async def move(self, commit: Sha) -> None:
        """Go to `commit`. What is written gets the present time. Raises NoTree if no folder can hold its files; the
        seat goes on to the next all the same.
        """
        await self._go(commit, time.time_ns(), self._note.base)

    def forget(self) -> None:
        """Somebody else may have written there: whoever takes the seat next makes the tree anew."""
        self._write(Note(boot=boot()))

    async def _go(self, commit: Sha, stamp: int, base: Sha) -> None:
        if self.at == commit and self._note.base == base:
            return
        await self._heal()
        try:
            rows = await self._rows(commit)
        except NetciError:
            # What it is at may be gone from the store, which may be deleted at any time.
            await self._empty()
            rows = await self._rows(commit)
        if not self._note.at:
            self._tell(f"a whole copy of the tree is written to {self.tree}, which takes a while")
        for path, *_ in rows:
            ground.check_path(path)
        await self._make(rows, commit, stamp, base)

    async def _heal(self) -> None:
        """Finish a move that was broken off; of a tree that cannot be believed, or finished, keep nothing."""
        note = self._note
        if note.boot != boot() or not self.tree.is_dir():
            await self._empty()
        elif note.to and note.at:
            try:
                rows = await difference(self.store, note.at, note.to)
                await self._make(rows, note.to, time.time_ns(), note.base)
            except (NetciError, OSError):
                await self._empty()
        elif not note.at and any(self.tree.iterdir()):
            await self._empty()

    async def _rows(self, commit: Sha) -> list[Row]:
        if not self._note.at:
            return await everything(self.store, commit)
        return await difference(self.store, self._note.at, commit)

    async def _make(self, rows: Sequence[Row], commit: Sha, stamp: int, base: Sha) -> None:
        paths = [os.fsdecode(path) for path, mode, _ in rows if mode != ground.GONE]
        young = _young(self._note.young, paths, stamp)
        self._write(replace(self._note, to=commit, young=young))
        try:
            async for files in portions(self.store, rows):
                await _whole(ground.write, self.tree, files, stamp)
        except GitFlood as exc:
            raise ground.NoTree(f"the files of {commit[:12]} are larger than is written") from exc
        self._write(Note(commit, _NOWHERE, base, young, boot()))

    async def _empty(self) -> None:
        """Begin anew. What was there goes aside first, which is quick and whole."""
        self._write(Note(boot=boot()))
        if self.tree.exists():
            aside = self.folder / f"gone-{secrets.token_hex(4)}"
            self.tree.rename(aside)
            await _whole(shutil.rmtree, aside, True)
        self.tree.mkdir(mode=0o755)
        self.tree.chmod(0o755)

    def _write(self, note: Note) -> None:
        fresh = self.folder / "note.new"
        fresh.write_text(json.dumps(asdict(note)))
        fresh.rename(self.folder / "note")
        self._note = note


def _young(before: Collection[str], written: Sequence[str], stamp: int) -> tuple[str, ...]:
    """The files that have not the time of a base, after some were written with `stamp`."""
    if stamp == LONG_AGO:
        return tuple(sorted(set(before) - set(written)))
    return tuple(sorted({*before, *written}))


def read_note(folder: Path) -> Note:
    """The note of a seat, which whoever does not hold the seat takes for a hint only. An empty one if there is none."""
    try:
        facts = json.loads((folder / "note").read_text())
        return Note(**{**facts, "young": tuple(facts["young"])})
    except (OSError, ValueError, TypeError, KeyError):
        return Note()


def boot() -> str:
    """What names this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


async def _whole(act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do it in a thread. Cancelled, it is awaited all the same: the lock must not be given back under its feet."""
    task: Awaitable[T] = asyncio.ensure_future(asyncio.to_thread(act, *args, **kwargs))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([asyncio.ensure_future(task)])
        raise
