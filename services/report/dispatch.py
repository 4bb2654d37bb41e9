"""Taking parcels out: one poster for each project and channel in the whole installation.

Theory of operation. An intent is a row, written with its verdict. Before requests go out their rows are marked as
sent and committed, some at a time; after the answers they are settled. A row that is marked and not settled is in
doubt (the answer never came, or we died), and the channel looks before it repeats. Values of one patch and context go
out in the order of their rows. The mark is made only for series that may still be told something and for what is not
paused, and it holds for half a second: what has not gone out by then, or when a pause came, is looked at anew.

What fails for a reason of the other side is tried again for ever, at growing intervals up to five minutes: each row
by itself, and the poster as a whole, so that a server that is down is asked once in a while and not once a row.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Never

import structlog

from services.report.channels.base import Channel, Parcel, Receipt
from services.report.intents import BELL
from services.report.store import SQL
from shared.db.pool import Record
from shared.floor import Floor
from shared.health import report_health
from shared.metrics import POSTS

log = structlog.get_logger(__name__)

BATCH = 16
"""Rows marked, and settled, together. A poster that dies leaves at most so many in doubt."""

HANDS = 4
"""Requests in flight."""

FRESH = 0.5
"""Seconds for which a mark holds."""

REMIND = 30.0
"""Seconds after which health is said again though it has not changed."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds to wait after the n-th failure, doubling from `first` to `most`."""

    first: float = 1.0
    most: float = 300.0

    def wait(self, failures: int) -> float:
        return min(self.most, self.first * 2.0 ** min(20, max(0, failures - 1)))


@dataclass(frozen=True, slots=True)
class Sent:
    """A parcel that was taken out for the `tries`-th time, and what became of it."""

    parcel: Parcel
    receipt: Receipt
    tries: int

    def log(self) -> None:
        p, r = self.parcel, self.receipt
        write = log.info if r.outcome in ("posted", "shadowed") else log.warning
        write(
            "post: " + r.outcome, series=p.series, patch=p.external_patch, context=p.context, state=p.state,
            tries=self.tries, answer=r.text,
        )  # fmt: skip


TRANSIENT = ("again", "doubt")


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
        """Send some of what is due now. Returns how many were taken up. Raises what `AWAY` names."""
        if self._resting() > 0:
            await asyncio.sleep(min(1.0, self._resting()))
            return 0
        pool = self._floor.pool
        ids = [r["id"] for r in await pool.fetch(SQL["due_posts"], self._project, self._channel.name, BATCH)]
        if not ids:
            return 0
        rows = await pool.fetch(SQL["set_out"], ids, self._mode)
        if len(rows) < len(ids):
            await pool.execute(SQL["drop_unwanted"], ids, self._mode)
        await self._settle(await self._send(sorted(rows, key=lambda row: -int(row["id"]))))
        return len(ids)

    async def _send(self, rows: list[Record]) -> list[Sent]:
        """Take `rows` out, the last first; what was not begun in time is given back."""
        done: list[Sent] = []
        begin, pauses = self._now(), self._floor.bells.count("netci_pauses")

        async def hand() -> None:
            while rows and self._resting() <= 0 and self._now() - begin < FRESH and pauses == self._pauses():
                row = rows.pop()
                done.append(Sent(parcel := _parcel(row), await self._act(parcel), row["tries"]))
                self._fare(done[-1].receipt)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(HANDS, len(rows))):
                group.create_task(hand())
        if rows:
            await self._floor.pool.execute(SQL["give_back"], [r["id"] for r in rows], [r["doubtful"] for r in rows])
        return done

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _pauses(self) -> int:
        return self._floor.bells.count("netci_pauses")

    async def _act(self, parcel: Parcel) -> Receipt:
        if self._mode == "on":
            return await self._channel.deliver(parcel)
        return await self._channel.compare(parcel)

    async def _settle(self, done: list[Sent]) -> None:
        final = [s for s in done if s.receipt.outcome not in TRANSIENT]
        if final:
            await self._floor.pool.execute(SQL["settle_posts"], *_columns(final))
        if later := [s for s in done if s.receipt.outcome in TRANSIENT]:
            waits = [max(s.receipt.wait or 0.0, self._backoff.wait(s.tries)) for s in later]
            unsent = [s.receipt.outcome == "again" and not s.parcel.doubtful for s in later]
            keys, texts = [s.parcel.key for s in later], [s.receipt.text for s in later]
            await self._floor.pool.execute(SQL["postpone_posts"], keys, texts, waits, unsent)
        for sent in done:
            POSTS.labels(self._project, sent.parcel.context, sent.receipt.outcome).inc()
            sent.log()
        if done:
            await self._say(done[-1].receipt)

    def _fare(self, receipt: Receipt) -> None:
        """Rest after trouble, longer each time."""
        if receipt.outcome not in TRANSIENT:
            self._failures = 0
            return
        self._failures += 1
        rest = receipt.wait or min(30.0, self._backoff.wait(self._failures))
        self._rest_until = max(self._rest_until, self._now() + rest)

    async def _say(self, receipt: Receipt) -> None:
        """Say on the status page how the other side does, when that changes and now and then."""
        well = receipt.outcome in ("posted", "shadowed")
        if self._said is None or self._said[0] != well or self._now() - self._said[1] > REMIND:
            self._said = (well, self._now())
            text = "posting" if well else f"{receipt.outcome}: {receipt.text}"
            await report_health(self._floor, self.name, well, text, self._project)

    def _resting(self) -> float:
        return self._rest_until - self._now()

    async def _idle(self) -> float:
        """Seconds until a look is worth while. Paused intents are due all the time, hence the half second."""
        left = await self._floor.pool.fetchval(SQL["next_post"], self._project, self._channel.name)
        if left is None:
            return 5.0
        return max(0.02, min(5.0, left)) if left > 0 else 0.5


def _columns(sent: Sequence[Sent]) -> tuple[list[object], ...]:
    columns = zip(
        *(
            (s.parcel.key, s.receipt.outcome, s.receipt.text, s.receipt.number, s.receipt.account, s.receipt.found)
            for s in sent
        ),
        strict=True,
    )
    return tuple(list(column) for column in columns)


def _parcel(row: Record) -> Parcel:
    return Parcel(
        row["project"], row["stream"], row["series_id"], row["patch_id"], row["external_patch"], row["context"],
        row["state"], row["text"], row["target_url"], row["id"], row["doubtful"], row["account"], row["last_check"],
    )  # fmt: skip
