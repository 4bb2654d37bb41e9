"""Requests to take in 200 pending series of 3 patches: ours, and the way of a client that asks one by one.

The peer repeats what NIPA does for a series (pw_poller.py and pw_brancher.py): the events page by page, the series,
the cover letter's mbox, each patch's mbox, each patch's checks. Its mboxes are asked for at their final address, so
the redirects that NIPA also pays for are not counted. Both run against the same practice Patchwork.
"""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from shared.blobs.disk import DiskBlobs
from shared.clock import wall
from shared.db.bells import Bells
from shared.db.embedded import Embedded, running
from shared.db.migrate import migrate
from shared.db.pool import open_pool
from shared.db.sequencer import sequence
from shared.floor import Floor, make_bus
from shared.http import Http
from shared.practice.patchwork import Served, served
from tests.services.ingest.build import a_series, arrived, at_work, some_settings

SERIES = 200
PATCHES = 3


def fill(site: Served, cover: bool) -> None:
    for n in range(SERIES):
        for mail in a_series(f"tcp: number {n}", patches=PATCHES, cover=cover):
            site.submit(mail)


async def peer(site: Served) -> int:
    """Take everything in one by one; returns the requests it took."""
    site.counters.reset()
    async with Http("peer", site.url) as http:

        async def get(path: str) -> object:
            answer = await http.request("GET", path)
            assert answer.status == 200, path
            return json.loads(answer.body) if answer.kind == "application/json" else answer.body

        page = 1
        events: list[Any] = []
        while len(events) < SERIES:
            path = f"/api/1.2/events/?project=netdevbpf&category=series-completed&order=date&page={page}"
            found = await get(path)
            assert isinstance(found, list)
            events += found
            page += 1
        for event in events:
            series = await get(f"/api/1.2/series/{event['payload']['series']['id']}/")
            assert isinstance(series, dict)
            for mail in [series["cover_letter"], *series["patches"]]:
                if mail:
                    await get(mail["mbox"].removeprefix(site.url))
            for patch in series["patches"]:
                await get(f"/api/1.2/patches/{patch['id']}/checks/")
    return site.counters.total


async def ours(site: Served, dsn: str, folder: Path) -> int:
    """A fresh start of the room; returns the requests it took until all had arrived."""
    site.counters.reset()
    async with a_floor(site, dsn, folder) as floor:
        async with at_work(floor):
            await arrived(floor, SERIES)
    return site.counters.total


@asynccontextmanager
async def a_floor(site: Served, dsn: str, folder: Path) -> AsyncIterator[Floor]:
    settings = some_settings(site.url, poll="60s", reconcile="10m", sync_queue="1h")
    bells = Bells()
    tasks = [asyncio.ensure_future(bells.listen(dsn)), asyncio.ensure_future(sequence(dsn, "", bells))]
    try:
        async with open_pool(dsn, "ingest", 8) as pool:
            bus = make_bus(settings, pool, bells, dsn, "ingest")
            yield Floor(settings, "ingest", dsn, pool, bus, bells, DiskBlobs(folder), wall, "bench")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def compare(cover: bool) -> tuple[int, int]:
    """Requests of ours and of the peer."""
    with tempfile.TemporaryDirectory(prefix="netci-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o711)
        async with running(Embedded(folder / "db", fsync=False)) as dsn, served() as site:
            await migrate(dsn)
            fill(site, cover)
            return await ours(site, dsn, folder / "blobs"), await peer(site)


def main() -> None:
    """Print both comparisons, and as the last line the one without covers as JSON."""
    without = asyncio.run(compare(cover=False))
    with_covers = asyncio.run(compare(cover=True))
    for name, (mine, theirs) in (("without covers", without), ("with covers", with_covers)):
        print(
            f"{SERIES} series of {PATCHES} patches {name}: {mine} requests against {theirs}, {theirs / mine:.2f} times"
        )
    print(
        json.dumps(
            {
                "bench": "sync",
                "ours": without[0],
                "peer": without[1],
                "ratio": round(without[1] / without[0], 2),
                "unit": "requests",
                "with_covers": round(with_covers[1] / with_covers[0], 2),
            }
        )
    )


if __name__ == "__main__":
    main()
