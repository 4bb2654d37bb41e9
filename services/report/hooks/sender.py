"""Takes deliveries up and settles them: one at a time for each endpoint, many endpoints at once.

Theory of operation. See the package. Of each endpoint the earliest delivery that is due goes first, and the next one
when that has ended, well or not: what waits for its retry lets the others go on. Endpoints that fail have hands of
their own, so that any number of dead receivers takes none from those that answer. Run it under a lease; a delivery is
taken up only while the lease is surely ours, and goes out within `FRESH` seconds after that or is given back.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Never, TypeVar

import structlog

from services.report.hooks.carry import Carrier, Ended
from services.report.hooks.follow import follow_once
from services.report.hooks.schedule import Next, Past, after
from services.report.hooks.store import SQL, Parcel, a_parcel, disable, still_seen
from shared.db.bells import HOOKS
from shared.db.outbox import SQL as FLOOR
from shared.db.pool import AWAY, Connection
from shared.errors import InfraError
from shared.floor import Floor
from shared.health import report_health
from shared.metrics import WEBHOOKS, WEBHOOKS_DUE
from shared.race import race

log = structlog.get_logger(__name__)

T = TypeVar("T")

LEASE = "report:webhooks"
BELL = "webhooks"
"""Rung when there may be something to take up."""
WELL, ILL = 32, 16
"""Requests at one time, to endpoints that answer and to those whose last attempt failed."""
FRESH = 0.5
IDLE = 5.0
TIDY = 60.0
OUR_FAULT = timedelta(minutes=5)
"""How long is waited with what we cannot sign."""
UNKNOWN = Ended("unknown", error="the service ended during this attempt; whether it arrived is not known")
LEAST_KEPT = timedelta(days=4)
"""A delivery is not forgotten before its schedule is over."""


async def wake(conn: Connection) -> None:
    """Tell the sender, wherever it runs, to look, once the transaction is committed."""
    await conn.execute(FLOOR["notify"], HOOKS, BELL)


@dataclass
class Sender:
    """The one that sends. `chance` gives a number from 0 to 1."""

    floor: Floor
    carrier: Carrier
    chance: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        self._busy: dict[str, bool] = {}
        """Endpoints with a request out, and whether they were well."""
        self._number = 0
        self._asked = 0.0

    async def run(self, number: int) -> Never:
        """Follow, send, forget, for ever. `number` is that of the lease."""
        await self.begin(number)
        await race(self._send_on(), self._follow_on(), self._tidy_on())
        raise AssertionError("sending never ends")

    async def begin(self, number: int) -> None:
        """Under a new lease: whatever is still said to be on its way was another's."""
        self._number = number
        self._busy.clear()
        await self._recover()
        await report_health(self.floor, "webhooks", True)

    async def _recover(self) -> None:
        """What is said to be on its way and is not in our hands: nobody knows how it ended, if it ever went out."""
        for row in await self.floor.pool.fetch(SQL["sending"]):
            if row["hook_id"] not in self._busy:
                good = row["delivered"] is not None and row["delivered"] >= row["began"]
                past = Past(row["tries"], row["failures"] + 1, row["ping"], good)
                await self._settle(row["id"], row["attempts"], row["hook_id"], row["remote"], past, UNKNOWN)

    # Three loops. A database that is away is waited for: only the lease ends them, as a request may be out.

    async def _follow_on(self) -> Never:
        while True:
            seen = self.floor.bells.count("netci_events")
            try:
                if await follow_once(self.floor):
                    self.floor.bells.ring(BELL)
                    continue
            except AWAY as exc:
                log.warning("webhooks: following broke off", error=repr(exc))
                await asyncio.sleep(1)
            await self.floor.bells.wait("netci_events", seen, IDLE)

    async def _send_on(self) -> Never:
        async with asyncio.TaskGroup() as group:
            while True:
                seen = self.floor.bells.count(BELL)
                try:
                    for well in (True, False):
                        for parcel in await self.claim(well):
                            group.create_task(self._one(parcel, self._asked))
                    wait = await self._idle()
                except AWAY as exc:
                    # It may have taken up some, and we did not hear which.
                    log.warning("webhooks: taking up broke off", error=repr(exc))
                    await asyncio.sleep(1)
                    await _surely(self._recover)
                    continue
                await self.floor.bells.wait(BELL, seen, wait)
        raise AssertionError("sending never ends")

    async def _tidy_on(self) -> Never:
        while True:
            try:
                await self.forget()
                WEBHOOKS_DUE.set(await self.floor.pool.fetchval(SQL["count_due"]))
            except AWAY as exc:
                log.warning("webhooks: nothing forgotten", error=repr(exc))
            await asyncio.sleep(TIDY)

    async def round(self) -> int:
        """Follow to the end of the log, take up what is due now, wait until it is settled. Returns how many it was."""
        while await follow_once(self.floor):
            pass
        parcels = [*await self.claim(True), *await self.claim(False)]
        async with asyncio.TaskGroup() as group:
            for parcel in parcels:
                group.create_task(self._one(parcel, self._asked))
        return len(parcels)

    # One delivery

    async def claim(self, well: bool) -> list[Parcel]:
        """Take up what is due, one delivery of each endpoint that is `well`, or is not, and has no request out."""
        self._asked = asyncio.get_running_loop().time()
        free = (WELL if well else ILL) - sum(1 for was in self._busy.values() if was is well)
        rows = await self.floor.pool.fetch(
            SQL["claim"], well, list(self._busy), max(0, free), self.floor.clock(), LEASE, self._number
        )
        self._busy.update({row["hook_id"]: well for row in rows})
        return [a_parcel(row) for row in rows]

    async def _one(self, parcel: Parcel, asked: float) -> None:
        """Carry it, if its owner may still be told; settled for sure, however long the database is away.

        `asked` is when it was taken up.
        """
        now = self.floor.clock()
        try:
            if not await _surely(lambda: still_seen(self.floor.pool, parcel, now)):
                await _surely(lambda: self._drop(parcel))
            elif asyncio.get_running_loop().time() - asked > FRESH:
                await _surely(lambda: self._give_back(parcel, timedelta(0)))
            else:
                await self._carry(parcel)
        except InfraError as exc:
            log.error("webhook: held back", hook=parcel.hook, error=str(exc))
            await _surely(lambda: self._give_back(parcel, OUR_FAULT))
            await _surely(lambda: report_health(self.floor, "webhooks", False, "a secret cannot be opened"))
        finally:
            self._busy.pop(parcel.hook, None)
            self.floor.bells.ring(BELL)

    async def _carry(self, parcel: Parcel) -> None:
        ended = await self.carrier.carry(parcel, self.floor.clock())
        past = parcel.past(ended.outcome != "delivered")
        # What was delivered is worth waiting with: lost, it would be of unknown outcome and go out again.
        await _surely(lambda: self._settle(parcel.id, parcel.attempts, parcel.hook, parcel.remote, past, ended))
        log.info(
            "webhook", hook=parcel.hook, delivery=parcel.id, type=parcel.type, attempt=parcel.attempts,
            outcome=ended.outcome, status=ended.status, error=ended.error, seconds=ended.seconds,
        )  # fmt: skip

    async def _give_back(self, parcel: Parcel, wait: timedelta) -> None:
        """It did not go out, which counts as no attempt."""
        await self.floor.pool.execute(SQL["give_back"], parcel.id, parcel.attempts, self.floor.clock() + wait)

    async def _drop(self, parcel: Parcel) -> None:
        now = self.floor.clock()
        async with self.floor.pool.acquire() as conn, conn.transaction():
            await conn.execute(SQL["give_back"], parcel.id, parcel.attempts, now)
            await conn.execute(SQL["drop_one"], parcel.id, "its owner has no right to it any more", now)

    async def _settle(self, delivery: int, attempt: int, hook: str, remote: str, past: Past, ended: Ended) -> None:
        """Write down how the attempt ended and what comes next, together."""
        now = self.floor.clock()
        told = after(past, ended.outcome, ended.status, ended.asked, self.chance())
        async with self.floor.pool.acquire() as conn, conn.transaction():
            due = now + timedelta(seconds=told.wait)
            row = (delivery, attempt, told.state, _why(told, ended), due, now)
            if await conn.fetchval(SQL["settle_delivery"], *row) is None:
                return  # Another has said so already: our lease was gone.
            await conn.execute(
                SQL["settle_attempt"], delivery, attempt, ended.outcome, dict(ended.headers), ended.address,
                ended.status, ended.answer, ended.error, ended.seconds,
            )  # fmt: skip
            if told.state == "delivered":
                await conn.execute(SQL["well"], hook, now)
            elif not past.ping:
                await conn.execute(SQL["ill"], hook, now + timedelta(seconds=told.rest))
            if told.disable:
                await disable(conn, hook, told.disable, remote, now)
        WEBHOOKS.labels(ended.outcome).inc()

    # Between deliveries

    async def _idle(self) -> float:
        """Seconds until a look is worth while."""
        due: datetime | None = await self.floor.pool.fetchval(SQL["next_due"], list(self._busy))
        if due is None:
            return IDLE
        return max(0.05, min(IDLE, (due - self.floor.clock()).total_seconds()))

    async def forget(self) -> int:
        """Take away deliveries that are older than the configuration keeps, in steps. Returns how many."""
        before = self.floor.clock() - max(LEAST_KEPT, self.floor.settings.keep.webhooks)
        total, step = 0, 1000
        while gone := int((await self.floor.pool.execute(SQL["forget_deliveries"], before, step)).rpartition(" ")[2]):
            total += gone
        return total


def _why(told: Next, ended: Ended) -> str:
    return "" if told.state == "delivered" else told.disable or ended.error


async def _surely(act: Callable[[], Awaitable[T]]) -> T:
    """Do it, as soon as the database lets us. Only for what may be done twice."""
    while True:
        try:
            return await act()
        except AWAY as exc:
            log.warning("webhooks: the database is away", error=repr(exc))
            await asyncio.sleep(0.5)
