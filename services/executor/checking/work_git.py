"""Makes a git work tree of a seat, for a tool that asks git: a `.git` folder that is thrown away with what was done.

Objects are borrowed from the store, read-only. The index is what costs: whoever has none reads eighty thousand files to
learn that nothing has changed. So each seat keeps one, which git brings up to date from commit to commit; files are
known by size and time alone, since in the cage they have other numbers and owners.
"""

import asyncio
import os
import shutil
from pathlib import Path

from services.executor.cage.base import Bind, Layer
from services.executor.checking.seat import Seat
from services.executor.checks.base import Subject
from shared.errors import Refused
from shared.git.names import check_ref
from shared.git.objects import Objects
from shared.model.ids import Sha

BASE = "base"
"""The branch at the base of a subject that has no name for it."""

_GIT = "/src/.git"
_BORROWED = "/borrowed"
_MOST_STORES = 16
_BY_LOOK = {"core.checkStat": "minimal", "core.trustctime": "false"}
_CONFIG = """[core]
\trepositoryformatversion = 0
\tbare = false
\tfilemode = true
\tcheckStat = minimal
\ttrustctime = false
\thooksPath = /dev/null
[user]
\tname = netci
\temail = netci@localhost
[gc]
\tauto = 0
[maintenance]
\tauto = false
[advice]
\tdetachedHead = false
"""


async def work_git(store: Objects, seat: Seat, subject: Subject, folder: Path) -> list[Bind | Layer]:
    """What makes `/src`, which the seat is shown at, a git work tree at the seat's commit. `folder` lasts as long as
    the command.
    """
    git = folder / "git"
    stores = await asyncio.to_thread(_make, git, store.path, seat.at, subject)
    async with seat.indexing:
        await _index(store, seat, git / "index")
    (git / "index").chmod(0o644)
    nothing = folder / "nothing"
    nothing.touch(0o644)
    binds: list[Bind | Layer] = [Layer(git, _GIT)]
    for number, objects in enumerate(stores):
        binds.append(Bind(objects, f"{_BORROWED}/{number}"))
        if (objects / "info" / "alternates").exists():
            # It names folders of the machine; what they are is in the list already.
            binds.append(Bind(nothing, f"{_BORROWED}/{number}/info/alternates"))
    return binds


def _make(git: Path, store: Path, head: Sha, subject: Subject) -> list[Path]:
    """The folder, but for the index. The answer is all folders of objects that it borrows."""
    stores = _stores(store / "objects")
    branch = f"{subject.base or head} refs/heads/{_branch(subject)}"
    files = {
        "HEAD": f"{head}\n",
        "config": _CONFIG,
        "packed-refs": f"# pack-refs with: peeled fully-peeled sorted \n{branch}\n",
        "objects/info/alternates": "".join(f"{_BORROWED}/{number}\n" for number in range(len(stores))),
    }
    (git / "refs" / "heads").mkdir(parents=True)
    for name, text in files.items():
        (git / name).parent.mkdir(parents=True, exist_ok=True)
        (git / name).write_text(text)
    if (store / "shallow").is_file():
        shutil.copyfile(store / "shallow", git / "shallow")
    for place, _, names in os.walk(git):
        Path(place).chmod(0o755)
        for name in names:
            Path(place, name).chmod(0o644)
    return stores


def _branch(subject: Subject) -> str:
    try:
        check_ref(f"refs/heads/{subject.branch}")
    except Refused:
        return BASE
    return subject.branch


def _stores(objects: Path) -> list[Path]:
    """This folder of objects and all that it borrows from, however indirectly."""
    found = [objects.resolve()]
    for one in found:
        if len(found) > _MOST_STORES:
            break
        listed = one / "info" / "alternates"
        lines = listed.read_text("utf-8", "surrogateescape").splitlines() if listed.is_file() else []
        others = [(one / line).resolve() for line in lines if line and not line.startswith("#")]
        found += [other for other in others if other not in found and other.is_dir()]
    return found


async def _index(store: Objects, seat: Seat, index: Path) -> None:
    """The index of the seat's commit at `index`, every file known to be as it is there."""
    kept = seat.folder / "index"
    if kept.exists():
        await asyncio.to_thread(shutil.copyfile, kept, index)
    env = {"GIT_INDEX_FILE": str(index), "GIT_WORK_TREE": str(seat.tree)}
    settings = {**_BY_LOOK, "core.bare": "false"}
    await store.git("read-tree", "--reset", seat.at, env=env, settings=settings, timeout=300)
    await store.git("update-index", "-q", "--refresh", env=env, settings=settings, timeout=600, ok=(0, 1))
    fresh = seat.folder / "index.new"
    await asyncio.to_thread(shutil.copyfile, index, fresh)
    fresh.rename(kept)
