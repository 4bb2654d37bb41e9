"""`netci remote run` put together: who hears of branches, who tests them, who tells the server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Never

import structlog

from services.executor.remote.config import LabSettings
from services.executor.remote.follow import Follower
from services.executor.remote.pace import REAL, Pace
from services.executor.remote.sender import Denied, Later, Sender
from services.executor.remote.spool import Spool, owned
from services.executor.remote.state import State
from services.executor.remote.work import Hosts, SpoolWork, numbers_in
from services.executor.runs import Bench, Runs
from shared.clock import Clock, wall
from shared.errors import NetciError
from shared.http import Http, client
from shared.race import race
from shared.signals import stop_on_signals

log = structlog.get_logger(__name__)

BULK = 15 * 60.0
"""Seconds that a file may take to the server."""

LAST_WORDS = 5.0
"""Seconds for what is in the spool when we are told to stop; the rest is told after the next start."""


@dataclass(frozen=True)
class Lab:
    """All that takes part."""

    settings: LabSettings
    spool: Spool
    state: State
    follower: Follower
    sender: Sender
    works: tuple[tuple[Bench, SpoolWork], ...]
    clock: Clock

    async def run(self) -> Never:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.follower.run())
            group.create_task(self.sender.run())
            for bench, work in self.works:
                group.create_task(Runs(bench, self.clock).work_off(work))
        raise AssertionError("a lab never ends")


@asynccontextmanager
async def opened(settings: LabSettings, clock: Clock = wall, pace: Pace = REAL) -> AsyncIterator[Lab]:
    """The lab on its data folder. Raises Refused if another process has that."""
    common = {"headers": {"User-Agent": "netci-remote"}, "trust": settings.trust()}
    async with AsyncExitStack() as stack:
        spool = stack.enter_context(owned(settings.data))
        timeout = settings.timeout.total_seconds()
        http: Http = await stack.enter_async_context(client("server", settings.server, timeout=timeout, **common))
        bulk: Http = await stack.enter_async_context(client("server", settings.server, timeout=BULK, **common))
        state, machines = State(spool, clock), Hosts(numbers_in(settings.data))
        benches = settings.benches()
        works = tuple(
            SpoolWork(
                spool, bench.name, bench.driver.hosts, machines, clock, settings.backlog, settings.oldest,
                settings.free, settings.git,
            )
            for bench in benches
        )  # fmt: skip
        yield Lab(
            settings, spool, state, Follower(settings, spool, http, benches[0].trees.store, state, clock, pace),
            Sender(settings, spool, http, bulk, state, clock, pace), tuple(zip(benches, works, strict=True)), clock,
        )  # fmt: skip


async def run(settings: LabSettings) -> None:
    """Until SIGTERM or SIGINT. A run that is going on is broken off then, and gone on with after the next start."""
    stop = asyncio.Event()
    stop_on_signals(stop)
    async with opened(settings) as lab:
        log.info("remote: up", server=settings.server, executors=[e.name for e in settings.executors])
        await race(stop.wait(), lab.run())
        log.info("remote: stopping")
        with contextlib.suppress(TimeoutError, NetciError, Later, Denied):
            async with asyncio.timeout(LAST_WORDS):
                await lab.sender.round()
