"""What judges comes from the base: its scripts and its rules, in a folder of their own, never from the patched tree.

A series that changes any of it is judged by the base's all the same, and told so.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from services.executor.checking import ground
from services.executor.checking.contents import everything, portions
from services.executor.checking.seat import LONG_AGO
from services.executor.checking.seats import claim, make_folder
from services.executor.checks.base import Subject
from shared.errors import InfraError
from shared.git.objects import Objects
from shared.model.ids import Sha

RULES = (
    ".checkpatch.conf", ".clang-format", ".get_maintainer.conf", ".get_maintainer.ignore", ".mailmap", ".pylintrc",
    ".shellcheckrc", ".yamllint", "ruff.toml",
)  # fmt: skip
"""Files at the root of a tree that tools which judge go by."""

SCRIPTS = (
    "scripts", "tools/net/ynl", "tools/net/sunrpc/xdrgen", "Documentation/sphinx", "tools/docs", "tools/lib/python",
)  # fmt: skip
"""Folders with scripts that judge, and what these load. Newer trees have kernel-doc in the last two."""

KEPT = 12
"""Folders of judges that are kept; each is some ten megabytes, and most bases share theirs."""


@dataclass(frozen=True, slots=True)
class Judge:
    """`folder` has the base's `scripts/` and so on. `rules` are those of `RULES` that the base has."""

    folder: Path
    rules: tuple[str, ...]


def changed_judges(subject: Subject, used: Collection[str] = (*SCRIPTS, *RULES)) -> tuple[str, ...]:
    """What of the judges, or those of them that were `used`, a subject changes."""
    folders = tuple(f"{folder}/" for folder in SCRIPTS if folder in used)
    return tuple(path for path in subject.paths if (path in RULES and path in used) or path.startswith(folders))


def judged_note(subject: Subject, used: Collection[str]) -> tuple[str, ...]:
    """What a series that changes the judges that were `used` on it is told; no note for another."""
    changed = changed_judges(subject, used)
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    shown = ", ".join(changed[:3])
    return (f"judged by the base's scripts: this series changes {shown}{more}",) if changed else ()


class Judges:
    """Folders of judges below `folder`, which may be deleted at any time while none is used."""

    def __init__(self, folder: Path, store: Objects) -> None:
        self.folder, self.store = folder, store
        self._making = asyncio.Lock()

    @asynccontextmanager
    async def of(self, base: Sha) -> AsyncIterator[Judge]:
        """The judges of a base; they are not removed while they are used."""
        rows = await everything(self.store, base, *SCRIPTS, *RULES)
        key = hashlib.sha256(repr(rows).encode()).hexdigest()[:24]
        rules = tuple(name for path, *_ in rows if (name := os.fsdecode(path)) in RULES)
        make_folder(self.folder)
        lock = await self._hold(key)
        try:
            judge = Judge(self.folder / key, rules)
            async with self._making:
                if not judge.folder.is_dir():
                    await self._make(rows, judge.folder)
            os.utime(self.folder / f"{key}.lock")
            yield judge
        finally:
            os.close(lock)

    async def _hold(self, key: str) -> int:
        """Whoever removes it has the lock for itself, for a moment."""
        while True:
            lock = claim(self.folder / f"{key}.lock", fcntl.LOCK_SH)
            if lock is not None:
                return lock
            await asyncio.sleep(0.05)

    async def _make(self, rows: Sequence[tuple[bytes, int, str]], folder: Path) -> None:
        """Written aside and put there whole."""
        aside = self.folder / f"new-{secrets.token_hex(4)}"
        make_folder(aside)
        try:
            async for files in portions(self.store, rows):
                await asyncio.to_thread(ground.write, aside, files, LONG_AGO)
        except ground.NoTree as exc:
            # The base is a tree's, not the series'.
            raise InfraError(str(exc)) from exc
        else:
            # Another process may have made the same meanwhile.
            with contextlib.suppress(OSError):
                aside.rename(folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def sweep(self, kept: int = KEPT) -> None:
        """Remove what was used longest ago, but for `kept`, and what dead processes left."""
        if not self.folder.is_dir():
            return
        for rubbish in self.folder.glob("new-*"):
            if rubbish.stat().st_mtime < time.time() - 3600:
                shutil.rmtree(rubbish, ignore_errors=True)
        locks = sorted(self.folder.glob("*.lock"), key=lambda one: one.stat().st_mtime, reverse=True)
        for path in locks[kept:]:
            lock = claim(path)
            if lock is not None:
                shutil.rmtree(path.with_suffix(""), ignore_errors=True)
                path.unlink()
                os.close(lock)
