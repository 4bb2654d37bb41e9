"""A merge in conflict, given to a person as a folder, and their answer remembered for every later branch.

It works on the store of this machine: whoever resolves must be able to write to netci's data folder.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from services.branch.repos import store_at
from services.branch.store import SQL
from shared.db.pool import Connection
from shared.errors import Missing, Refused
from shared.git.merge import Recorded, import_rr_cache, prepare_conflict, record_resolution
from shared.git.store import Store
from shared.settings import Settings


def folder_of(settings: Settings, stream: str, merge: str) -> Path:
    """Where a stream's conflict with a tree is laid out."""
    return settings.data / "resolve" / f"{stream}-{merge}"


async def _store(settings: Settings, project: str) -> Store:
    """The room's own store, opened beside it. Missing where the room never ran."""
    store = store_at(settings, project)
    if not store.path.is_dir():
        raise Missing(f"{store.path} is not there: resolve on the machine where the branch room runs")
    return store


async def prepare(conn: Connection, settings: Settings, stream: str, merge: str = "") -> tuple[Path, Sequence[str]]:
    """Lay out the stream's conflict in a new folder; returns it and the files to settle.

    Missing when there is no conflict, or it is settled by what is remembered by now; Refused when there are
    several and `merge` names none of them, or a folder is there already.
    """
    project, _, _ = settings.project_of(stream)
    rows = await conn.fetch(SQL["conflicts"], project, stream)
    found = [row for row in rows if merge in ("", row["merge"])]
    if not found:
        raise Missing(f"{stream}: no merge was in conflict at its last branch")
    if len(found) > 1:
        raise Refused(f"{stream}: several merges are in conflict; name one: {', '.join(r['merge'] for r in found)}")
    row = found[0]
    folder = folder_of(settings, stream, row["merge"])
    if folder.exists() and any(folder.iterdir()):
        raise Refused(f"{folder} is there already: settle it with --continue, or delete it to begin anew")
    folder.parent.mkdir(parents=True, exist_ok=True)
    conflict = await prepare_conflict(await _store(settings, project), row["ours"], row["theirs"], folder)
    if conflict is None:
        raise Missing(f"{stream}: the conflict with {row['merge']} is settled; the next branch will have the merge")
    return folder, conflict.files


async def remember(settings: Settings, stream: str, merge: str = "") -> Recorded:
    """Remember how the files were settled, and delete the folder once none is left."""
    project, _, table = settings.project_of(stream)
    names = [name for name in table.merge if merge in ("", name) and folder_of(settings, stream, name).is_dir()]
    if len(names) != 1:
        raise Missing(f"{stream}: no conflict is laid out; begin with: netci resolve {stream}")
    folder = folder_of(settings, stream, names[0])
    done = await record_resolution(await _store(settings, project), folder)
    if not done.remaining:
        shutil.rmtree(folder)
    return done


def take_over(settings: Settings, stream: str, path: Path) -> int:
    """Import an existing ``rr-cache`` folder; returns how many resolutions were new."""
    project, _, _ = settings.project_of(stream)
    if not path.is_dir():
        raise Refused(f"{path} is no folder; it is usually .git/rr-cache of the tree where conflicts were settled")
    store = store_at(settings, project)
    store.rr_cache.mkdir(parents=True, exist_ok=True)
    return import_rr_cache(store, path)
