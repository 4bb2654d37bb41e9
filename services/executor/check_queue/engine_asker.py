"""The engine of checks on this machine, asked by the queue: mails from blobs, commits fetched by id."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from services.executor.check_queue.asking import Gate, Order
from services.executor.check_queue.questions import NEEDS_OF
from services.executor.check_queue.store import Series
from services.executor.check_queue.subject import as_applied, as_mailed, mails_of
from services.executor.checking.place import Place
from services.executor.checking.plan import plan
from services.executor.checking.run import carry_out
from services.executor.checking.sink import CheckSink
from services.executor.checks.base import Subject
from services.executor.trees import Trees
from shared.errors import InfraError, Missing, Refused
from shared.floor import Floor


class EngineAsker:
    """`place` gives a project's place, `trees` its store of commits."""

    def __init__(self, floor: Floor, place: Callable[[str], Awaitable[Place]], trees: Callable[[str], Trees]) -> None:
        self._floor, self._place, self._trees = floor, place, trees

    async def ask(self, order: Order, sink: CheckSink, gate: Gate) -> None:
        subject = await self._subject(order)
        wanted = plan(order.checks, subject, answered=order.settled, lanes=(NEEDS_OF[order.plan.lane],))
        await carry_out(wanted, subject, await self._place(order.plan.project), sink, gate)

    async def _subject(self, order: Order) -> Subject:
        series, row = order.series, order.plan
        try:
            mailed = await self._mailed(series)
            if row.lane == "mail":
                return self._on(mailed, series.tree)
            await self._trees(row.project).fetch(row.head, series.public_url)
            return self._on(as_applied(mailed, series.commits, row.base, row.head, series.pull), row.tree)
        except (Refused, Missing) as exc:
            raise InfraError(str(exc)) from exc

    def _on(self, subject: Subject, name: str) -> Subject:
        """On the tree that the series is for; of mails alone, on the likeliest."""
        tree = self._floor.settings.projects[subject.project].trees.get(name)
        if tree is None:
            return subject
        return replace(subject, tree=name, kind=tree.kind, branch=tree.branch)

    async def _mailed(self, series: Series) -> Subject:
        if series.mbox is None:
            raise InfraError("the series' mails are not kept")
        mbox = await self._floor.blobs.get(series.mbox)
        cover = await self._floor.blobs.get(series.cover) if series.cover else b""
        # Triage by paths alone is what a mark in the subject would have spared.
        about = Subject(
            series.project, series.title, (), marked=series.marked,
            mark_expected=series.marked or series.tree_rule == "paths",
        )  # fmt: skip
        return await asyncio.to_thread(lambda: as_mailed(about, mails_of(mbox, series.patches), cover, series.pull))
