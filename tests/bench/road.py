"""How long the two ends of the road take, against the limit of one second that we set ourselves.

Out: from the moment an executor closes the last run of a branch to each check stored on Patchwork, for branches of
sixty series of three patches. In: from a mail visible on Patchwork, polled every second, to `SeriesArrived` in the
log, less the poll's second. The peer is the limit: NIPA polls each link of the same road every one to two minutes.
"""

import asyncio
import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from services.ingest.app import IngestRoom
from services.report.app import ReportRoom
from services.report.channels.patchwork import PatchworkChannel
from services.report.dispatch import Poster
from shared.blobs.disk import DiskBlobs
from shared.clock import wall
from shared.db.bells import Bells
from shared.db.embedded import Embedded, running
from shared.db.migrate import migrate
from shared.db.pool import Pool, open_pool
from shared.db.sequencer import sequence
from shared.floor import Floor, make_bus
from shared.practice.patchwork import Patchwork, Served, served, standard
from shared.practice.patchwork.records import Check
from shared.settings import Settings
from tests.services.report.builders import a_case, a_cut, a_series, end, some_settings, start

SERIES, PATCHES, BRANCHES, TESTS = 60, 3, 8, 40
MAILS, POLL = 40, 1.0
LIMIT = 1.0
TOKEN = "TEST_PATCHWORK_TOKEN"

MAIL = """From: Ann <ann@example.org>
Date: {date:%a, %d %b %Y %H:%M:%S} +0000
List-Id: <netdev.vger.kernel.org>
Message-Id: <patch-{n}@example.org>
Subject: [PATCH net-next] tcp: part {n}

Text.
---
 net/ipv4/tcp{n}.c | 1 +

diff --git a/net/ipv4/tcp{n}.c b/net/ipv4/tcp{n}.c
index 1111111..2222222 100644
--- a/net/ipv4/tcp{n}.c
+++ b/net/ipv4/tcp{n}.c
@@ -1 +1,2 @@
 one
+two
--
2.43.0
"""


class Timed(Patchwork):
    """A practice Patchwork that notes when each check was stored."""

    stored: list[float]

    def add_check(self, check: Check) -> None:
        super().add_check(check)
        self.stored.append(time.monotonic())


def a_patchwork() -> Timed:
    pw = Timed()
    pw.__dict__.update(standard().__dict__)
    pw.stored = []
    return pw


def a_mail(n: int) -> bytes:
    return MAIL.format(n=n, date=datetime.now(UTC)).encode()


def p99(samples: Sequence[float]) -> float:
    return sorted(samples)[max(0, -(-99 * len(samples) // 100) - 1)]


@asynccontextmanager
async def at_work(*tasks: asyncio.Future[Any]) -> AsyncIterator[None]:
    """Background tasks for the length of a block; what broke one of them is raised at its end."""
    try:
        yield
    finally:
        broken = [task.exception() for task in tasks if task.done() and task.exception()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for error in broken:
            raise error or AssertionError


# Out


async def measure_out(owner: Pool, executor: Pool, pw: Timed) -> list[float]:
    """Seconds from the end of the last run to each stored check."""
    samples: list[float] = []
    for n in range(BRANCHES):
        first = n * SERIES * PATCHES
        series = [
            await a_series(
                owner, f"series {n}.{k}", [first + k * PATCHES + i + 1 for i in range(PATCHES)], message_id=f"{n}.{k}@x"
            )
            for k in range(SERIES)
        ]
        cut = await a_cut(owner, series, name=f"net-next-2026-11-23--{n:02d}-00")
        run = await start(executor, cut)
        pw.stored.clear()
        begin = time.monotonic()
        await end(executor, run, [a_case(f"test{i}") for i in range(TESTS)])
        await all_stored(pw)
        samples += [at - begin for at in pw.stored]
        await nothing_open(owner)
    return samples


async def all_stored(pw: Timed) -> None:
    async with asyncio.timeout(60):
        while True:
            if len(pw.stored) >= SERIES * PATCHES:
                return
            await asyncio.sleep(0.005)


async def nothing_open(owner: Pool) -> None:
    async with asyncio.timeout(60):
        while True:
            if not await owner.fetchval("select count(*) from report.posts where status = 'intent'"):
                return
            await asyncio.sleep(0.05)


# In


async def measure_in(owner: Pool, site: Served) -> list[float]:
    """Seconds from a mail's arrival on Patchwork to its event in the log, at moments that do not follow the poll."""
    visible: dict[str, datetime] = {}
    chance = random.Random(1)
    for n in range(MAILS):
        site.submit(a_mail(100_000 + n))
        visible[f"patch-{100_000 + n}@example.org"] = datetime.now(UTC)
        await asyncio.sleep(chance.uniform(0.1, 0.6))
    query = "select body->'data'->>'message_id' as id, logged from floor.events where type like '%series.arrived%'"
    async with asyncio.timeout(60):
        while True:
            logged = {r["id"]: r["logged"] for r in await owner.fetch(query)}
            if visible.keys() <= logged.keys():
                return [(logged[id_] - at).total_seconds() for id_, at in visible.items()]
            await asyncio.sleep(0.1)


# Both


@asynccontextmanager
async def laid_out(folder: Path, settings: Settings) -> AsyncIterator[tuple[Floor, Floor, Pool, Pool]]:
    """Floors of report and ingest, and the pools of the owner and the executor, on a database of their own."""
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(running(Embedded(folder / "data")))
        await migrate(dsn)
        bells = Bells()
        background = (asyncio.ensure_future(bells.listen(dsn)), asyncio.ensure_future(sequence(dsn, "", bells)))
        await stack.enter_async_context(at_work(*background))
        floors = []
        for room in ("report", "ingest"):
            pool = await stack.enter_async_context(open_pool(dsn, room))
            bus = make_bus(settings, pool, bells, dsn, room)
            blobs = DiskBlobs(folder / "blobs")
            floors.append(Floor(settings, room, dsn, pool, bus, bells, blobs, wall, f"bench:{room}"))
        owner = await stack.enter_async_context(open_pool(dsn, ""))
        executor = await stack.enter_async_context(open_pool(dsn, "executor"))
        yield floors[0], floors[1], owner, executor


def with_poll(settings: Settings) -> Settings:
    """The same, polling every second."""
    project = settings.projects["netdev"]
    assert project.patchwork is not None
    patchwork = project.patchwork.model_copy(update={"poll": timedelta(seconds=POLL)})
    triage = project.triage.model_copy(update={"ours": ("net/",)})
    made = project.model_copy(update={"patchwork": patchwork, "triage": triage})
    return settings.model_copy(update={"projects": {"netdev": made}})


async def run_report(floor: Floor, stack: AsyncExitStack) -> None:
    project = floor.settings.projects["netdev"]
    channel = await stack.enter_async_context(PatchworkChannel.opened(project, floor.settings.public_url))
    poster = Poster(floor, "netdev", "on", channel)
    async with asyncio.TaskGroup() as group:
        ReportRoom(floor).start(group, [poster])


async def bench(folder: Path) -> tuple[list[float], list[float]]:
    """Each way with a Patchwork of its own, so that neither waits for the other's series."""
    pw = a_patchwork()
    async with AsyncExitStack() as stack:
        outward = await stack.enter_async_context(served(pw))
        inward = await stack.enter_async_context(served())
        os.environ[TOKEN] = outward.token("nipa-bot")
        for n in range(BRANCHES * SERIES * PATCHES):
            outward.submit(a_mail(n))
        settings = with_poll(some_settings(url=outward.url, post="on"))
        report, ingest, owner, executor = await stack.enter_async_context(laid_out(folder, settings))
        async with at_work(asyncio.ensure_future(run_report(report, stack))):
            out = await measure_out(owner, executor, pw)
        await owner.execute("truncate ingest.series, ingest.patches cascade")  # Their numbers come again.
        polling = IngestRoom(replace(ingest, settings=with_poll(some_settings(url=inward.url))))
        async with at_work(asyncio.ensure_future(polling.run(lambda: None))):
            await asyncio.sleep(3 * POLL)  # Its first look around is not what is measured.
            return out, await measure_in(owner, inward)


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    folder = Path(tempfile.mkdtemp(prefix="netci-bench-", dir="/var/tmp"))
    folder.chmod(0o711)
    try:
        out, into = asyncio.run(bench(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    ways = {"end of tests to check": p99(out), "mail to SeriesArrived, over the poll": p99(into) - POLL}
    print(f"{len(out)} checks of {BRANCHES} branches: median {sorted(out)[len(out) // 2]:.3f} s, p99 {p99(out):.3f} s")
    print(f"{len(into)} mails: median {sorted(into)[len(into) // 2]:.3f} s, p99 {p99(into):.3f} s, poll {POLL} s")
    worst = max(ways.values())
    answer = {"bench": "road", "ours": round(worst, 3), "peer": LIMIT, "ratio": round(LIMIT / worst, 2), "unit": "s"}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
