"""Object folders of bases: built once, kept, shared by every series on that base, written by nobody after that.

A folder is made aside and renamed when it is whole, so a kill leaves either all of it or nothing that counts. Who
makes one has its lock alone; who looks through one holds the same lock with others, and what is held is not removed.
The sum of sizes is bounded: what was used longest ago goes. All of it may be deleted at any time while nobody builds.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from services.executor.builds.record import FORM, About, Record, dump, load
from services.executor.checking.scratch import remove
from services.executor.checking.seats import claim, make_folder
from shared.errors import InfraError

_PAUSE = 0.2


@dataclass(frozen=True, slots=True)
class Base:
    """What was built of a base: the `objects`, and what the build said. Held until it is closed."""

    folder: Path
    about: About
    record: Record
    lock: int

    @property
    def objects(self) -> Path:
        return self.folder / "obj"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    def close(self) -> None:
        os.close(self.lock)


@dataclass(frozen=True, slots=True)
class Built:
    """What a maker leaves: the record and the log of what it did into the folder that it was given."""

    record: Record
    log: str
    seconds: float = 0.0


Maker = Callable[[Path], Awaitable[Built]]


class Bases:
    """Below `folder`; all together at most `budget` bytes, but for what is held."""

    def __init__(self, folder: Path, budget: int) -> None:
        self.folder, self.budget = folder, budget

    async def get(self, tree: str, about: About, make: Maker) -> Base:
        """The base whose tree, recipe and tools these are, held; made by `make` if it is not there, by one at a time.

        `make` writes into the folder it is given. What it raises, this raises, and nothing is kept.
        """
        key = hashlib.sha256(repr((FORM, tree, about.recipe, about.tools)).encode()).hexdigest()[:32]
        make_folder(self.folder)
        while True:
            if (base := await self._held(key)) is not None:
                return base
            lock = claim(self._lock(key))
            if lock is None:
                await asyncio.sleep(_PAUSE)
                continue
            try:
                if not (self.folder / key).is_dir():
                    await self._make(key, about, make)
            finally:
                os.close(lock)
            await asyncio.to_thread(self.shrink, key)

    def _lock(self, key: str) -> Path:
        return self.folder / f"{key}.lock"

    async def _held(self, key: str) -> Base | None:
        """The base if it is there; what is there and cannot be read goes."""
        if not (self.folder / key).is_dir():
            return None
        if (lock := claim(self._lock(key), fcntl.LOCK_SH)) is None:
            return None
        try:
            base = await asyncio.to_thread(_read, self.folder / key, lock)
        except (OSError, ValueError, TypeError):
            os.close(lock)
            self._drop(key)
            return None
        os.utime(self._lock(key))
        return base

    async def _make(self, key: str, about: About, make: Maker) -> None:
        aside = self.folder / f"new-{secrets.token_hex(8)}"
        # Locked, so that whoever sweeps knows a folder that is being made from one that was left.
        aside_lock = claim(self.folder / f"{aside.name}.lock")
        try:
            make_folder(aside / "obj")
            built = await make(aside / "obj")
            await asyncio.to_thread(_seal, aside, about, built)
            aside.rename(self.folder / key)
        except OSError as exc:
            raise InfraError(f"a base's object folder cannot be kept: {exc}") from exc
        finally:
            await asyncio.to_thread(remove, aside)
            (self.folder / f"{aside.name}.lock").unlink(missing_ok=True)
            if aside_lock is not None:
                os.close(aside_lock)

    def near(self, about: About) -> Iterator[Base]:
        """Bases of the same recipe and tools, held, those used last first. Who takes one closes it."""
        for key in self._keys():
            with contextlib.suppress(OSError, ValueError, TypeError):
                there = _about(self.folder / key)
                if (there.recipe, there.tools, there.form) != (about.recipe, about.tools, about.form):
                    continue
                if (lock := claim(self._lock(key), fcntl.LOCK_SH)) is None:
                    continue
                try:
                    yield _read(self.folder / key, os.dup(lock))
                finally:
                    os.close(lock)

    def _keys(self) -> list[str]:
        """Used last first."""
        used = [(_used(self._lock(one.name)), one.name) for one in self.folder.iterdir() if _is_key(one)]
        return [name for _, name in sorted(used, reverse=True)]

    def shrink(self, spared: str = "") -> None:
        """Remove what was used longest ago until the rest is within the budget."""
        room = self.budget
        for key in self._keys():
            with contextlib.suppress(OSError, ValueError, TypeError):
                room -= _about(self.folder / key).bytes
                if room >= 0 or key == spared:
                    continue
            self._drop(key)

    def _drop(self, key: str) -> None:
        """Unless somebody uses it."""
        if (lock := claim(self._lock(key))) is not None:
            aside = self.folder / f"gone-{secrets.token_hex(8)}"
            with contextlib.suppress(OSError):
                (self.folder / key).rename(aside)
            self._lock(key).unlink(missing_ok=True)
            os.close(lock)
            remove(aside)

    def sweep(self) -> None:
        """Remove what dead processes left half made or half removed."""
        if not self.folder.is_dir():
            return
        for one in self.folder.glob("new-*[0-9a-f]"):
            if one.is_dir() and (lock := claim(self.folder / f"{one.name}.lock")) is not None:
                remove(one)
                (self.folder / f"{one.name}.lock").unlink(missing_ok=True)
                os.close(lock)
        for one in self.folder.glob("gone-*"):
            if one.stat().st_mtime < time.time() - 3600:
                remove(one)


def _is_key(path: Path) -> bool:
    return path.is_dir() and "-" not in path.name


def _used(lock: Path) -> float:
    try:
        return lock.stat().st_mtime
    except OSError:
        return 0.0


def _about(folder: Path) -> About:
    return About(**json.loads((folder / "about.json").read_text()))


def _read(folder: Path, lock: int) -> Base:
    return Base(folder, _about(folder), load((folder / "record.json").read_text()), lock)


def _seal(aside: Path, about: About, built: Built) -> None:
    """Write what is known of it."""
    size = size_of(aside / "obj")
    (aside / "record.json").write_text(dump(built.record))
    (aside / "log").write_text(built.log, "utf-8", "replace")
    whole = replace(about, bytes=size, seconds=built.seconds)
    (aside / "about.json").write_text(json.dumps(asdict(whole)))


def size_of(folder: Path) -> int:
    """What is below takes on disk, bytes."""
    places = (os.path.join(place, name) for place, folders, files in os.walk(folder) for name in (*folders, *files))
    return sum(os.lstat(path).st_blocks * 512 for path in places)
