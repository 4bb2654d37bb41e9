"""Taking parcels out: one poster for each project and channel in the whole installation.

Theory of operation. An intent is a row, written with its verdict. Before a request goes out the row is marked as
sent and committed; after the answer it is settled. A row that is marked and not settled is in doubt (the answer never
came, or we died), and the channel looks before it repeats. Values of one patch and context go out in the order of
their rows. Right before each request the series is looked at again, so that nothing is said of a superseded one, and
so are the pauses.

What fails for a reason of the other side is tried again for ever, at growing intervals up to five minutes: each row
by itself, and the poster as a whole, so that a server that is down is asked once in a while and not once a row.
"""

import asyncio
from dataclasses import dataclass
from typing import Never

import structlog

from services.report.channels.base import Channel, Parcel, Receipt
from services.report.intents import BELL
from services.report.store import SQL
from services.report.verdicts import POSTABLE
from shared.db.pool import AWAY, Record
from shared.floor import Floor
from shared.health import report_health
from shared.metrics import POSTS

log = structlog.get_logger(__name__)

BATCH = 64
HANDS = 4
REMIND = 30.0
"""Seconds after which health is said again though it has not changed."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds to wait after the n-th failure, doubling from `first` to `most`."""

    first: float = 1.0
    most: float = 300.0

    def wait(self, failures: int) -> float:
        return min(self.most, self.first * 2.0 ** min(20, max(0, failures - 1)))


class Poster:
    """Sends the open intents of one project through one channel. Run it under a lease: there must be only one."""

    def __init__(self, floor: Floor, project: str, mode: str, channel: Channel, backoff: Backoff | None = None) -> None:
        self._floor = floor
        self._project = project
        self._mode = mode
        self._channel = channel
        self._backoff = backoff or Backoff()
        self._failures = 0
        self._rest_until = 0.0
        self._said: tuple[bool, float] | None = None

    @property
    def name(self) -> str:
        return f"{self._project}/{self._channel.name}"

    async def run(self, number: int) -> Never:
        """Send for ever. `number` is that of the lease."""
        with structlog.contextvars.bound_contextvars(poster=self.name, lease=number):
            await self._floor.pool.execute(SQL["drop_other_mode"], self._project, self._mode)
            while True:
                seen = self._floor.bells.count(BELL)
                if not await self.round():
                    await self._floor.bells.wait(BELL, seen, await self._idle())

    async def round(self) -> int:
        """Send what is due now, some at a time. Returns how many were taken up. Raises what `AWAY` names."""
        if self._resting() > 0:
            await asyncio.sleep(min(1.0, self._resting()))
            return 0
        rows = await self._floor.pool.fetch(SQL["due_posts"], self._project, self._channel.name, BATCH)
        waiting, troubles = [r["id"] for r in rows][::-1], list[BaseException]()
        async with asyncio.TaskGroup() as group:
            for _ in range(min(HANDS, len(waiting))):
                group.create_task(self._hand(waiting, troubles))
        if troubles:
            raise troubles[0]  # Bare, and not in a group: the lease tells a lost database from a bug by its type.
        return len(rows)

    async def _hand(self, waiting: list[int], troubles: list[BaseException]) -> None:
        while waiting and not troubles and self._resting() <= 0:
            try:
                await self._send(waiting.pop())
            except AWAY as exc:
                troubles.append(exc)

    async def _send(self, key: int) -> None:
        row = await self._floor.pool.fetchrow(SQL["set_out"], key, self._mode)
        if row is None:
            await self._drop(key)
            return
        parcel = _parcel(row)
        act = self._channel.deliver if row["mode"] == "on" else self._channel.compare
        receipt = await act(parcel)
        await self._settle(parcel, receipt, row["tries"])
        await self._fare(receipt)

    async def _drop(self, key: int) -> None:
        """Settle what may not go; a paused one stays as it is."""
        row = await self._floor.pool.fetchrow(SQL["why_not"], key)
        if row is None or (row["series_state"] in POSTABLE and row["mode"] == self._mode):
            return
        why = f"the series is {row['series_state']}" if row["mode"] == self._mode else f"posting is {self._mode} now"
        doubt = "; an earlier attempt may have arrived" if row["doubtful"] else ""
        await self._floor.pool.execute(SQL["settle_post"], row["id"], "dropped", why + doubt, None, None, "")

    async def _settle(self, parcel: Parcel, receipt: Receipt, tries: int) -> None:
        POSTS.labels(self._project, parcel.context, receipt.outcome).inc()
        pool = self._floor.pool
        if receipt.outcome in ("again", "doubt"):
            unsent = receipt.outcome == "again" and not parcel.doubtful
            wait = max(receipt.wait or 0.0, self._backoff.wait(tries))
            await pool.execute(SQL["postpone_post"], parcel.key, receipt.text, wait, unsent)
        else:
            await pool.execute(
                SQL["settle_post"], parcel.key, receipt.outcome, receipt.text, receipt.number, receipt.account,
                receipt.found,
            )  # fmt: skip
        write = log.info if receipt.outcome in ("posted", "shadowed") else log.warning
        write(
            "post: " + receipt.outcome, series=parcel.series, patch=parcel.external_patch, context=parcel.context,
            state=parcel.state, tries=tries, answer=receipt.text,
        )  # fmt: skip

    async def _fare(self, receipt: Receipt) -> None:
        """Remember how the other side does: rest after trouble, and say so on the status page."""
        well = receipt.outcome in ("posted", "shadowed")
        if receipt.outcome in ("again", "doubt"):
            self._failures += 1
            rest = receipt.wait or min(30.0, self._backoff.wait(self._failures))
            self._rest_until = max(self._rest_until, asyncio.get_running_loop().time() + rest)
        else:
            self._failures = 0
        now = asyncio.get_running_loop().time()
        if self._said is None or self._said[0] != well or now - self._said[1] > REMIND:
            self._said = (well, now)
            text = "posting" if well else f"{receipt.outcome}: {receipt.text}"
            await report_health(self._floor, self.name, well, text, self._project)

    def _resting(self) -> float:
        return self._rest_until - asyncio.get_running_loop().time()

    async def _idle(self) -> float:
        """Seconds until a look is worth while. Paused intents are due all the time, hence the half second."""
        left = await self._floor.pool.fetchval(SQL["next_post"], self._project, self._channel.name)
        if left is None:
            return 5.0
        return max(0.02, min(5.0, left)) if left > 0 else 0.5


def _parcel(row: Record) -> Parcel:
    return Parcel(
        row["project"], row["stream"], row["series_id"], row["patch_id"], row["external_patch"], row["context"],
        row["state"], row["text"], row["target_url"], row["id"], row["doubtful"], row["account"], row["last_check"],
    )  # fmt: skip
