"""The three polls of one source, done by one process of the installation.

News brings completed series within seconds; reconciling by number heals what news missed and watches incomplete
series; the queue says what became of the series that we have, and is also read shortly before a branch is cut. Each
commits where it stands together with the work it asks for, so a stop at any moment loses nothing and a repetition is
free.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Never

import structlog

from services.ingest.announce import ROOM, announce_change
from services.ingest.sources.base import PatchState, Sighting, Source
from services.ingest.standing import Facts, Rules, Standing, State, standing
from services.ingest.states import compare, settled
from services.ingest.store import IngestStore
from services.ingest.waits import asked_wait, before_slot, wait_after
from shared.db.bells import bell_of_source
from shared.db.pool import Connection
from shared.db.work import enqueue
from shared.errors import Missing, Refused, Transient
from shared.floor import Floor
from shared.health import report_health
from shared.metrics import FOUND
from shared.pauses import paused
from shared.race import race

log = structlog.get_logger(__name__)

MANY = 5
HOOK_REST = 2.0
"""Seconds between two looks that hooks ask for: however many call, the source is not asked more often."""
REMEMBERED = 10_000
"""Series whose first sight is remembered, so that each counts once."""


@dataclass(frozen=True, slots=True)
class Times:
    """How often each poll is made, and how long an incomplete series is waited for.

    `cadences` are those of the project's streams: the queue is also read before each of their slots.
    """

    poll: timedelta
    reconcile: timedelta
    queue: timedelta
    incomplete_after: timedelta
    cadences: tuple[timedelta, ...] = ()


@dataclass(slots=True)
class Poller:
    """Polls `source`. `run` never returns; whoever runs it makes sure that nobody else does."""

    floor: Floor
    source: Source
    store: IngestStore
    rules: Rules
    times: Times
    _troubles: dict[str, str] = field(default_factory=dict)
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    _found: Counter[str] = field(default_factory=Counter)
    _seen: dict[int, None] = field(default_factory=dict)

    async def run(self, number: int) -> Never:
        await self._again("open", timedelta(0), self._open)
        memory = await self.store.memory(self.floor.pool)
        if "head" not in memory.facts:
            await self._again("first", timedelta(0), self._first)
        await race(
            self._again("news", self.times.poll, self.news),
            self._again("reconcile", self.times.reconcile, self.reconcile),
            self._again("queue", self.times.queue, self.queue),
            self._before_cuts(),
            self._when_called(),
        )
        raise AssertionError("a poll never ends")

    async def _again(self, name: str, every: timedelta, poll: Callable[[], Awaitable[None]]) -> Any:
        """Poll every so often, for ever; with `every` zero until it has gone well once.

        An outage is told and waited out.
        """
        failures = 0
        while True:
            seen = self.floor.bells.count("netci_pauses")
            started = time.monotonic()
            if why := await paused(self.floor.pool, "source", self.source.label):
                await self._tell(name, f"paused: {why}")
                await self.floor.bells.wait("netci_pauses", seen, 5.0)
                continue
            try:
                await poll()
            except (Transient, Refused, Missing) as exc:
                failures += 1
                wait = wait_after(every.total_seconds(), failures, asked_wait(exc.hints))
                log.warning("source: in trouble", source=self.source.label, poll=name, error=str(exc), wait=wait)
                await self._tell(name, str(exc))
            else:
                failures = 0
                await self._tell(name, "")
                if not every:
                    return
                wait = max(0.0, every.total_seconds() - (time.monotonic() - started))
            await self.floor.bells.wait("netci_pauses", seen, wait)

    async def _before_cuts(self) -> Never:
        """Read the queue before each slot, and when a person orders something, which may be a branch.

        What was accepted, rejected or delegated since the last regular look is then on no new branch.
        """
        seen = self.floor.bells.count("netci_orders")
        while True:
            wait = before_slot(self.floor.clock(), self.times.cadences)
            await self.floor.bells.wait("netci_orders", seen, wait)
            seen = self.floor.bells.count("netci_orders")
            await self._again("queue", timedelta(0), self.queue)

    async def _when_called(self) -> Never:
        """Look at the news when a hook says that there are some. What then goes wrong is left to the regular poll."""
        bell = bell_of_source(self.source.project)
        seen = self.floor.bells.count(bell)
        while True:
            await self.floor.bells.wait(bell, seen, 3600)
            if seen == (seen := self.floor.bells.count(bell)):
                continue
            try:
                if await paused(self.floor.pool, "source", self.source.label) is None:
                    await self.news()
            except (Transient, Refused, Missing) as exc:
                log.warning("source: called in vain", source=self.source.label, error=str(exc))
            await asyncio.sleep(HOOK_REST)

    async def _tell(self, name: str, trouble: str) -> None:
        """One line of health for all polls: what each that is in trouble says, or what they found so far.

        A source that loses its events answers well all the time; that others find its series is how it shows.
        """
        self._troubles[name] = trouble
        text = "; ".join(f"{poll}: {text}" for poll, text in self._troubles.items() if text)
        found = ", ".join(f"{n} by {poll}" for poll, n in sorted(self._found.items()))
        health = f"{self.source.name}:{self.source.project}"
        said = text or (f"series found since the start: {found}" if found else "")
        await report_health(self.floor, health, not text, said, self.source.project)

    async def _open(self) -> None:
        facts = await self.source.open()
        await self.store.set_facts(self.floor.pool, facts)

    async def _first(self) -> None:
        """A fresh start: first where the news stand, then the queue, so that nothing falls between the two.

        What was complete before and waits no more is of no interest: only numbers above the newest are news later.
        """
        place = await self.source.start()
        newest = await self.source.recent(0)
        head = max((seen.external_id for seen in newest), default=0)
        await self.queue()
        await self._watch(newest)
        async with self.floor.pool.acquire() as conn, conn.transaction():
            await self.store.move_cursor(conn, place)
            await self.store.mark_reconciled(conn, head + 1, head)

    async def news(self) -> None:
        """Poll 1: what was completed since the last time. One at a time: the regular one and a called one may meet."""
        async with self._reading:
            await self._news()

    async def _news(self) -> None:
        memory = await self.store.memory(self.floor.pool)
        news = await self.source.news(memory.place)
        known = await self.store.known(self.floor.pool, [seen.external_id for seen in news.sightings])
        wanted = [seen for seen in news.sightings if is_news(seen, known.get(seen.external_id), 0)]
        states = await self._catch_up(wanted)
        await self._watch(news.sightings)
        async with self.floor.pool.acquire() as conn, conn.transaction():
            await self._order(conn, "news", wanted, states)
            await self.store.move_cursor(conn, news.place)

    async def reconcile(self) -> None:
        """Poll 2: the newest series by number, down to the oldest that is still incomplete and to where we were."""
        await self._give_up()
        memory = await self.store.memory(self.floor.pool)
        oldest = await self.store.oldest_incomplete(self.floor.pool)
        head = int(memory.facts.get("head", 0))
        newest = await self.source.recent(min(head, oldest or head))
        known = await self.store.known(self.floor.pool, [seen.external_id for seen in newest])
        wanted = [seen for seen in newest if is_news(seen, known.get(seen.external_id), memory.low_water)]
        states = await self._catch_up(wanted)
        await self._watch(newest)
        async with self.floor.pool.acquire() as conn, conn.transaction():
            await self._order(conn, "number", wanted, states)
            top = max([head, *(seen.external_id for seen in newest)])
            await self.store.mark_reconciled(conn, memory.low_water, top)

    async def _catch_up(self, wanted: Sequence[Sighting]) -> Mapping[int, Sequence[PatchState]]:
        """The states of many series at once, which is what comes after a long stop: some may be closed by now.

        One or two are new, and their mails can hardly have been answered yet.
        """
        if len(wanted) < MANY:
            return {}
        return await self.source.look_up([seen.external_id for seen in wanted])

    async def _give_up(self) -> None:
        async with self.floor.pool.acquire() as conn, conn.transaction():
            for id_, revision, message_id, reason in await self.store.give_up(conn, self.times.incomplete_after):
                left = Standing(State.GIVEN_UP, reason)
                await announce_change(conn, self.source.project, id_, revision, message_id, left)

    async def queue(self) -> None:
        """Poll 3: how the patches that wait are doing, and which of ours wait no more."""
        queue = await self.source.queue()
        named = {series for state in queue for series in state.series}
        # In this order: a series taken in meanwhile is in one of the two.
        under_way = await self.store.under_way(self.floor.pool, self.source.label)
        known = await self.store.known(self.floor.pool, named)
        watched = await self.store.watched(self.floor.pool, [state.external_id for state in queue])
        findings = compare(watched, queue, known, self.rules)
        unknown = {id_: s for id_, s in findings.unknown.items() if id_ not in under_way or any(map(told, s))}
        listed = await self.source.listings(list(unknown))
        found = await self.source.look_up(findings.missing)
        await self._change_all(findings.changed, settled(watched, found))
        wanted = [listed.get(id_, Sighting(id_)) for id_ in unknown]
        await self._watch(wanted)
        async with self.floor.pool.acquire() as conn, conn.transaction():
            await self._order(conn, "queue", [seen for seen in wanted if seen.complete], unknown)
            await self.store.mark_queue_synced(conn)

    async def _watch(self, sightings: Iterable[Sighting]) -> None:
        """Remember those that are incomplete."""
        for seen in sightings:
            if not seen.complete:
                async with self.floor.pool.acquire() as conn:
                    await self.store.note_incomplete(conn, seen)

    async def _order(
        self,
        conn: Connection,
        by: str,
        wanted: Iterable[Sighting],
        states: Mapping[int, Iterable[PatchState]] | None = None,
    ) -> None:
        """Ask for series to be taken in; twice is once.

        By rising number, as two polls that asked for the same in different order would wait for each other.
        """
        for seen in sorted(wanted, key=lambda seen: seen.external_id):
            payload: dict[str, Any] = {
                "project": self.source.project,
                "source": self.source.name,
                "id": seen.external_id,
                "received": seen.received,
                "ticket": dict(seen.ticket),
                "states": {
                    str(s.external_id): [s.state, s.delegate, s.archived]
                    for s in (states or {}).get(seen.external_id, ())
                },
            }
            await enqueue(conn, ROOM, "take", f"{self.source.label}/{seen.external_id}", payload)
            self._count(by, seen.external_id)

    def _count(self, by: str, series: int) -> None:
        if series in self._seen:
            return
        self._seen[series] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self._found[by] += 1
        FOUND.labels(self.source.label, by).inc()

    async def _change_all(self, *changes: Mapping[int, Sequence[PatchState]]) -> None:
        for series, states in [item for change in changes for item in change.items()]:
            async with self.floor.pool.acquire() as conn, conn.transaction():
                await self._change(conn, series, states)

    async def _change(self, conn: Connection, series: int, states: Iterable[PatchState]) -> None:
        """Write the patches' new states, and tell if the series stands otherwise now."""
        row = await self.store.series_facts(conn, series)
        await self.store.set_patches(conn, series, states)
        if row is None or row["state"] in (State.INCOMPLETE, State.GIVEN_UP, State.MALFORMED, State.SUPERSEDED):
            return
        patches = list((await self.store.patch_facts(conn, series)).values())
        now = standing(Facts(patches=patches, trees=row["trees"], tree_reason=row["tree_reason"]), self.rules)
        delegate = next((patch.delegate for patch in patches if patch.delegate), "")
        if (str(now.state), delegate) == (row["state"], row["delegate"]):
            return
        await self.store.set_standing(conn, series, now, delegate)
        await announce_change(conn, self.source.project, series, row["revision"], row["message_id"], now)


def told(state: PatchState) -> bool:
    """Whether the state says more than that the patch is new."""
    return (state.state, state.delegate) != ("new", "")


def is_news(seen: Sighting, known: tuple[int, str] | None, low_water: int) -> bool:
    """Whether a series is to be taken: complete, and not here, or here with fewer patches."""
    if not seen.complete:
        return False
    if known is None:
        return seen.external_id >= low_water
    received, state = known
    return received != seen.received or state in (State.INCOMPLETE, State.GIVEN_UP)
