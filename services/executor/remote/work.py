"""Runs as folders of the lab's spool: the body of `Work` on a machine that isn't the server's."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal, Never

import structlog

from services.executor.remote.backlog import Waiting, choose
from services.executor.remote.branch import moment
from services.executor.remote.numbers import Numbers
from services.executor.remote.sink import SpoolSink
from services.executor.remote.spool import Spool, SpooledRun
from services.executor.work import Order
from shared.clock import Clock
from shared.disk import short
from shared.errors import NetciError, Superseded

log = structlog.get_logger(__name__)

TRIES = 8
"""How often a bug of ours may end a run before it is given up."""


class NotNow(NetciError):
    """It comes again after `wait` seconds."""

    def __init__(self, wait: float, text: str) -> None:
        super().__init__(text)
        self.wait = wait


@dataclass
class Hosts:
    """The machines of this lab: one run at a time has one, whichever executor it is of."""

    numbers: Numbers
    _locks: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    @asynccontextmanager
    async def held(self, address: str) -> AsyncIterator[int]:
        async with self._locks[address]:
            yield await asyncio.to_thread(self.numbers.next)


@dataclass
class SpoolWork:
    """The runs of one executor. `hosts` are its driver's, in the order of their labels."""

    spool: Spool
    executor: str
    hosts: tuple[str, ...]
    machines: Hosts
    clock: Clock
    backlog: Literal["newest", "all"] = "newest"
    oldest: timedelta = timedelta(hours=24)
    free: int = 0
    git: str = ""
    patience: float = 5.0
    waits: dict[str, float] = field(default_factory=dict)
    troubles: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    reasons: dict[str, str] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)

    async def claim(self) -> "SpoolClaim | None":
        run = self._next()
        if run is None:
            await self.spool.news(self.patience)
            return None
        self.held.add(run.key)
        await asyncio.to_thread(run.journal.append, {"kind": "owner"})
        return SpoolClaim(self, run)

    def _next(self) -> SpooledRun | None:
        now = asyncio.get_running_loop().time()
        runs = {run.key: run for run in self.spool.of(self.executor) if run.key not in self.held}
        waiting = [Waiting(r.key, r.branch.stream, r.branch.announced, r.begun) for r in runs.values()]
        choice = choose(waiting, self.backlog, self.oldest, self.clock())
        for key, reason in choice.drop.items():
            self._drop(runs[key], reason)
        ready = self.waits.get(choice.take, 0.0) <= now
        return runs.get(choice.take) if ready else None

    def _drop(self, run: SpooledRun, reason: str) -> None:
        log.info("run: not done", branch=run.branch.name, executor=self.executor, reason=reason)
        run.journal.append({"kind": "dropped", "reason": reason})
        self.spool.clean(run)


@dataclass(frozen=True)
class SpoolClaim:
    """See `work.Claim`."""

    at: SpoolWork
    run: SpooledRun

    @property
    def order(self) -> Order:
        run, branch = self.run, self.run.branch
        deadline = moment(run.order["deadline"])
        url = self.at.git or branch.url
        return Order(run.key, branch.name, branch.commit, branch.base, url, deadline, run.begun)

    async def heartbeat(self) -> Never:
        """Nobody can take it from us, as one process has the spool; the server is told that we live by the sender."""
        await asyncio.get_running_loop().create_future()
        raise AssertionError("nobody ends this future")

    async def hindrance(self) -> str:
        return "" if self.run.begun else short(self.at.spool.folder, self.at.free)

    async def gate(self) -> bool:
        return True

    @asynccontextmanager
    async def host(self, address: str) -> AsyncIterator[int]:
        async with self.at.machines.held(address) as number:
            yield number

    async def open(self) -> SpoolSink | None:
        run, order = self.run, self.order
        if run.over:
            self.at.held.discard(run.key)
            return None
        if not run.begun:
            await asyncio.to_thread(run.journal.append, {"kind": "open"})
            self.at.spool.stir()
        return SpoolSink(self.at.spool, run, order.deadline, self.at.hosts)

    async def put_off(self, wait: float, reason: str) -> Never:
        raise NotNow(wait, reason)

    async def finish(self, reason: str) -> None:
        self.at._drop(self.run, reason)

    async def broke(self, exc: Exception) -> None:
        self.at.held.discard(self.run.key)
        wait = 30.0
        if isinstance(exc, Superseded):
            log.info("run: let go", reason=str(exc))
            return
        if isinstance(exc, NotNow):
            wait = exc.wait
            log.info("run: put off", reason=str(exc), wait=wait)
        else:
            known = isinstance(exc, NetciError | OSError)
            log.error("run: broke", error=repr(exc), exc_info=None if known else exc)
            if not known:
                await self._count(exc)
        self.at.reasons[self.run.key] = str(exc)
        self.at.waits[self.run.key] = asyncio.get_running_loop().time() + wait

    async def _count(self, exc: Exception) -> None:
        self.at.troubles[self.run.key] += 1
        if self.at.troubles[self.run.key] < TRIES or self.run.over:
            return
        reason = f"given up after {TRIES} tries: {type(exc).__name__}"
        if self.run.begun:
            end = {"kind": "end", "state": "abandoned", "cause": "infra", "reason": reason, "toolchain": ""}
            await asyncio.to_thread(self.run.journal.append, end)
            self.at.spool.stir()
        else:
            self.at._drop(self.run, reason)


def numbers_in(folder: Path) -> Numbers:
    return Numbers(folder / "lease-number")
