"""A plan carried out: each question put in its turn, each answer handed on the moment it is known.

What a machine does wrong is that machine's answer and says nothing of the patch; a fault in one check is that check's
answer and not the end of the others. Cancelled, it leaves no process and no folder. It knows neither tables nor a
bus, and does not know what is done with answers.
"""

import asyncio
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import groupby
from typing import Never

import structlog

from services.executor.cage.absent import NoCage
from services.executor.checking.context import with_context
from services.executor.checking.desk import CageDesk, Room, TimeOver
from services.executor.checking.ground import NoTree
from services.executor.checking.judge import judged_note
from services.executor.checking.place import Place
from services.executor.checking.plan import Ask, Batch, Plan
from services.executor.checking.repeat import placed
from services.executor.checking.sink import CheckSink, Task
from services.executor.checking.watch import Endless, Watch
from services.executor.checks.base import Needs, Said, Subject, fail, warning
from shared.errors import InfraError, Superseded
from shared.formats.clean import plain
from shared.model.results import Cause, CheckState
from shared.race import race

log = structlog.get_logger(__name__)

TRIES = 2
"""Times that a check is asked when it is the machine that fails, unless an error hints that it is `lasting`."""
_LEFT = 5
_EVERY = 0.5
"""Seconds between two preliminary descriptions of one check."""

Gate = Callable[[], Awaitable[bool]]
"""Whether the next may begin; while it may not, it waits a few seconds before it says so."""


async def always() -> bool:
    """The gate of somebody who never pauses."""
    return True


async def carry_out(plan: Plan, subject: Subject, place: Place, sink: CheckSink, gate: Gate = always) -> None:
    """Put the plan's questions about `subject`, whose commits `place` has, and tell `sink` the answers.

    Of a lane, the questions about one commit are put at one time, as far as there are hands; then come those about the
    next. `sink` is told one thing at a time. Raises Superseded when the sink does, and what else the sink raises;
    InfraError if there is no work tree to be had.
    """
    telling = _Telling(sink)
    try:
        for task, why in plan.unasked:
            await telling.unasked(task, why)
        for task, said in plan.passed:
            await telling.answered(task, said, 0.0)
        for lane, batches in groupby(plan.batches, key=lambda batch: batch.lane):
            await _lane(lane, tuple(batches), subject, place, telling, gate)
    except BaseExceptionGroup as several:
        # Not `except*`: what that raises is wrapped into a group again, and nobody would know it.
        raise _one_of(several) from several


def _one_of(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """One exception says enough: that nobody wants it any more, else what came first and cancelled the others."""
    flat = list(_leaves(several))
    return next((exc for exc in flat if isinstance(exc, Superseded)), flat[0])


def _leaves(exc: BaseException) -> Sequence[BaseException]:
    if isinstance(exc, BaseExceptionGroup):
        return [leaf for inner in exc.exceptions for leaf in _leaves(inner)]
    return [exc]


class _Telling:
    """The sink, told one thing at a time."""

    def __init__(self, sink: CheckSink) -> None:
        self._sink, self._turn = sink, asyncio.Lock()

    async def began(self, task: Task) -> None:
        async with self._turn:
            await self._sink.began(task)

    async def described(self, task: Task, text: str) -> None:
        async with self._turn:
            await self._sink.described(task, text)

    async def answered(self, task: Task, said: Said, seconds: float) -> None:
        async with self._turn:
            # The one line is cleaned here for all who show it.
            await self._sink.answered(task, replace(said, text=plain(said.text)), seconds)

    async def unasked(self, task: Task, why: str) -> None:
        async with self._turn:
            await self._sink.unasked(task, why)


async def _lane(
    lane: Needs, batches: Sequence[Batch], subject: Subject, place: Place, telling: _Telling, gate: Gate
) -> None:
    # Whoever waits for a hand is not begun: asking without end would have all of them wait at one time.
    mouths = asyncio.Semaphore(place.hands_at_all + 2)
    async with _room(lane, subject, place) as room:
        for batch in batches:
            while not await gate():
                pass
            try:
                if room.seat is not None:
                    await room.seat.move(batch.commit)
            except NoTree as exc:
                for ask in batch.asks:
                    await telling.answered(ask.task, fail(str(exc)), 0.0)
                continue
            async with asyncio.TaskGroup() as group:
                for ask in batch.asks:
                    group.create_task(_ask(ask, room, telling, mouths))


@asynccontextmanager
async def _room(lane: Needs, subject: Subject, place: Place) -> AsyncIterator[Room]:
    """What the lane needs of the machine, given back at its end: a seat is large, and others wait for it."""
    async with AsyncExitStack() as stack:
        if lane is Needs.MAIL or not subject.base or isinstance(place.isolation, NoCage):
            # Without a cage nothing is run, so that nothing would look at a tree.
            yield Room(place)
            return
        if lane is Needs.BUILD:
            await stack.enter_async_context(place.building)
        judge = await stack.enter_async_context(place.judges.of(subject.base))
        seat = await stack.enter_async_context(place.seats.take(subject.base))
        if place.isolation.name == "bare":
            # Nothing kept what ran out of the tree.
            stack.callback(seat.forget)
        builder = None
        if lane is Needs.BUILD and place.make_builder is not None:
            builder = await stack.enter_async_context(place.make_builder(place, seat, judge.folder))
        yield Room(place, seat, judge, builder)


async def _ask(ask: Ask, room: Room, telling: _Telling, mouths: asyncio.Semaphore) -> None:
    async with mouths:
        await telling.began(ask.task)
        start = time.monotonic()
        voice = _Voice(telling, ask.task)
        said = await race(_answer(ask, room, voice), voice.speak())
        await telling.answered(ask.task, said, time.monotonic() - start)


class _Voice:
    """Preliminary descriptions of one check: the newest is told, others may be dropped."""

    def __init__(self, telling: _Telling, task: Task) -> None:
        self._telling, self._task = telling, task
        self._text = ""
        self._news = asyncio.Event()

    def say(self, text: str) -> None:
        self._text = text
        self._news.set()

    async def speak(self) -> Never:
        while True:
            await self._news.wait()
            self._news.clear()
            await self._telling.described(self._task, self._text)
            await asyncio.sleep(_EVERY)


async def _answer(ask: Ask, room: Room, voice: _Voice) -> Said:
    """What the check says, or what became of asking it."""
    trouble = ""
    for _ in range(TRIES):
        with room.place.scratch.make() as folder:
            watch = Watch(ask.check.time_limit.total_seconds())
            desk = CageDesk(room, ask.check, ask.subject, folder, voice.say, watch)
            if missing := [tool for tool in ask.check.tools if not desk.has(tool)]:
                return broken(f"not installed: {', '.join(missing)}")
            try:
                async with watch:
                    said = await ask.check.ask(ask.subject, desk)
                    said = await with_context(said, ask.subject, desk)
                return _noted(said, ask, desk)
            except NoTree as exc:
                return fail(str(exc))
            except Endless as exc:
                return warning(str(exc), cause=Cause.TIMEOUT)
            except TimeOver as exc:
                return warning(str(exc), cause=Cause.TIMEOUT, log=exc.ran.merged.decode("utf-8", "replace"))
            except InfraError as exc:
                trouble = str(exc)
                log.warning("check: the machine failed", check=str(ask.task), error=trouble)
                if exc.hints.get("lasting"):
                    break
            except Superseded:
                raise
            except Exception as exc:
                log.exception("check: a bug", check=str(ask.task))
                return broken(f"a fault of the check: {type(exc).__name__}: {exc}", traceback.format_exc())
    return broken(trouble)


def _noted(said: Said, ask: Ask, desk: CageDesk) -> Said:
    """With the word that the base judged, where it did and that makes a difference, what was not taken, and where it
    can be repeated.
    """
    notes = judged_note(replace(ask.subject, patch=None), desk.judged)
    left = tuple(f"not taken from its results: {plain(one)}" for one in desk.left[:_LEFT])
    return replace(said, notes=(*said.notes, *notes, *left), repeat=placed(said.repeat, ask.subject))


def broken(text: str, trace: str = "") -> Said:
    """An answer that says nothing of the patch."""
    return Said(CheckState.WARNING, text, cause=Cause.INFRA, log=trace)
