"""A room as it runs, with a tree, series on it, and a check that is a script and lasts."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from services.executor.checks_app import ChecksRoom
from shared.blobs.record import keep
from shared.db.outbox import stage as tell
from shared.db.pool import Pool
from shared.events import SeriesApplied, SeriesArrived, SeriesChanged
from shared.events.base import Event
from shared.floor import Floor
from tests.services.executor.check_queue.world import a_series, applied, becomes
from tests.shared.git.build import a_tree, commit, git, head
from tests.support.processes import running as running_with

TOML = """
data = "{data}"
[disk]
free = 0
[projects.netdev.checking]
use = ["series_format", "verify_signedoff", "lasting"]
[projects.netdev.checking.check.lasting]
folder = "{data}/tests/patch/lasting"
[projects.netdev.trees.net-next]
git = "https://git.example.org/net-next.git"
tags = ["net-next"]
"""
SECONDS = "86423"
"""Whoever sleeps so long is ours."""


def scripts(folder: Path, body: str) -> None:
    """A folder with a check as NIPA has them."""
    place = folder / "tests/patch/lasting"
    place.mkdir(parents=True)
    (place / "info.json").write_text(json.dumps({"run": ["lasting.sh"]}))
    (place / "lasting.sh").write_text("#!/bin/sh\n" + body)
    (place / "lasting.sh").chmod(0o755)


@dataclass
class Stage:
    """A room on a floor, a tree, and series on it."""

    floor: Floor
    owner: Pool
    tree: Path
    count: int = field(default=0)

    async def send(self, *events: Event) -> None:
        async with self.floor.pool.acquire() as conn, conn.transaction():
            await tell(conn, "ingest", *events)

    async def series(self, name: str, patches: int = 2) -> int:
        """A series as mailed and applied: it is heard of before this returns."""
        base = head(self.tree)
        for number in range(1, patches + 1):
            text = f"{name} {number}\n\nSigned-off-by: Ada Kernel <ada@example.com>"
            commit(self.tree, text, {"net/core/dev.c": f"{name} {number}\n"})
        mbox = git(self.tree, "format-patch", "--stdout", "--full-index", f"{base}..HEAD")
        commits = git(self.tree, "rev-list", "--reverse", f"{base}..HEAD").split()
        near = self.floor.settings.data / "git/netdev.git"
        if not near.is_dir():
            git(self.tree, "clone", "-q", "--bare", str(self.tree), str(near))
        git(self.tree, "push", "-q", str(near), f"HEAD:refs/heads/series-{self.count}")
        git(self.tree, "reset", "-q", "--hard", base)
        self.count += 1
        blob = await keep(self.floor, mbox.encode())
        id_ = await a_series(self.owner, name, patches, mbox=blob, external_id=self.count, title=name)
        await applied(self.owner, id_, head=commits[-1], base=base, commits=commits)
        common = {"project": "netdev", "series": id_, "revision": 1, "message_id": f"{name}@x"}
        await self.send(
            SeriesArrived(**common, title=name, author="Ada", patches=patches, trees=("net-next",)),
            SeriesApplied(**common, tree="net-next", base=base, head=commits[-1], ref="refs/series/x"),
        )
        return id_

    async def supersede(self, series: int) -> None:
        await becomes(self.owner, series, "superseded", "Superseded by v2")
        await self.send(SeriesChanged(
            project="netdev", series=series, revision=1, message_id="x", state="superseded", reason="Superseded by v2"
        ))  # fmt: skip

    async def said(self, series: int) -> dict[str, str]:
        rows = await self.owner.fetch("select * from ledger.checks where series_id = $1", series)
        return {f"{r['context']} {r['patch']}": f"{r['state']}: {r['text']}" for r in rows}

    async def states(self, series: int) -> set[str]:
        rows = await self.owner.fetch("select state from executor.check_plans where series_id = $1", series)
        return {row["state"] for row in rows}


def sleepers() -> list[int]:
    """Processes of the script, wherever they are."""
    return list(running_with(f"sleep {SECONDS}"))


@asynccontextmanager
async def running(stage: Stage) -> AsyncIterator[None]:
    room = ChecksRoom(stage.floor)
    ready = asyncio.Event()
    task = asyncio.ensure_future(room.run(ready.set))
    try:
        await asyncio.wait_for(ready.wait(), 30)
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def staged(floor: Floor, owner: Pool, folder: Path) -> Stage:
    return Stage(floor, owner, a_tree(folder / "tree"))


SCRIPT = f"""\
case "$(git log -1 --format=%s)" in
slow*) echo "still at it" >&$DESC_FD; sleep {SECONDS} & sleep {SECONDS};;
*) echo "looked at $(git log -1 --format=%s)" >&$DESC_FD; exit 0;;
esac
"""


def open_to_all(folder: Path) -> None:
    """Whoever is in a cage is nobody, and must be able to come here."""
    for one in (folder, *folder.parents):
        if one.stat().st_mode & 0o001 == 0:
            one.chmod(one.stat().st_mode | 0o011)


async def state_is(stage: Stage, series: int, *states: str) -> bool:
    return await stage.states(series) == set(states)


async def true(value: bool) -> bool:
    return value
