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
import sys
import tempfile
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
from shared.http import client
from shared.practice.patchwork import Served, served
from shared.race import race
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


@asynccontextmanager
async def another_process(folder: Path, patches: int) -> AsyncIterator[tuple[str, str]]:
    """A practice Patchwork of its own, as the real one is, with patches 1 to `patches`; its address and a token."""
    mbox = folder / "mails"
    mbox.write_bytes(b"".join(b"From x Mon Nov 23 09:00:00 2026\n" + a_mail(n) + b"\n" for n in range(patches)))
    words = ("-m", "shared.practice.patchwork", "--project", "netdevbpf", "--mbox", str(mbox))
    process = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        url = (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()
        tokens = [(await asyncio.wait_for(process.stdout.readline(), 10)).decode().split() for _ in range(1)]
        yield url, tokens[0][2]
    finally:
        process.terminate()
        await process.wait()


async def measure_out(owner: Pool, executor: Pool, url: str) -> list[float]:
    """Seconds from the end of each branch's last run to each stored check."""
    begins = [await one_branch(owner, executor, n) for n in range(BRANCHES)]
    return [(at - begins[(patch - 1) // (SERIES * PATCHES)]).total_seconds() for patch, at in await stored(url)]


async def one_branch(owner: Pool, executor: Pool, n: int) -> datetime:
    """Cut, run and report a branch; says when its last test ended."""
    first = n * SERIES * PATCHES + 1
    series = [
        await a_series(owner, f"series {n}.{k}", range(first + k * PATCHES, first + (k + 1) * PATCHES))
        for k in range(SERIES)
    ]
    run = await start(executor, await a_cut(owner, series, name=f"net-next-2026-11-23--{n:02d}-00"))
    begin = datetime.now(UTC)
    await end(executor, run, [a_case(f"test{i}") for i in range(TESTS)])
    await posted(owner, (n + 1) * SERIES * PATCHES)
    return begin


async def stored(url: str) -> list[tuple[int, datetime]]:
    """Each check's patch, and when Patchwork stored it, by its own clock, which is this machine's."""
    found: list[tuple[int, datetime]] = []
    async with client("bench", url) as http:
        for page in range(1, BRANCHES * SERIES * PATCHES // 250 + 2):
            query = {"project": "netdevbpf", "category": "check-created", "per_page": "250", "page": str(page)}
            rows = json.loads((await http.request("GET", "/api/1.2/events/", params=query)).body)
            found += [(r["payload"]["patch"]["id"], datetime.fromisoformat(r["date"] + "+00:00")) for r in rows]
    return found


async def posted(owner: Pool, wanted: int) -> None:
    async with asyncio.timeout(60):
        while True:
            if await owner.fetchval("select count(*) from report.posts where status = 'posted'") >= wanted:
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
    await race(*ReportRoom(floor).parts([poster]))


async def bench(folder: Path) -> tuple[list[float], list[float]]:
    """Each way with a Patchwork of its own, so that neither waits for the other's series."""
    async with AsyncExitStack() as stack:
        url, token = await stack.enter_async_context(another_process(folder, BRANCHES * SERIES * PATCHES))
        os.environ[TOKEN] = token
        inward = await stack.enter_async_context(served())
        settings = with_poll(some_settings(url=url, post="on"))
        report, ingest, owner, executor = await stack.enter_async_context(laid_out(folder, settings))
        async with at_work(asyncio.ensure_future(run_report(report, stack))):
            out = await measure_out(owner, executor, url)
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
