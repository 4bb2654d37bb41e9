"""A stream's branches, one after the other.

Theory of operation. A cut goes through recorded steps, each in its own transaction, and a restart goes on from the
one it finds:

    planned    slot, name, heads of trees, and the decision on every series
    built      base and commit, and what became of every series; a ref of our store keeps the commit
    pushed     that commit is at the remote under a name that was absent
    announced  `BranchCut` is staged
    failed     given up, for a newer slot; or `pruned`, later, when its time is over

Composing twice what is planned gives the same commit (see compose), and what is built is never composed again
under another name: the push asks the remote what it has before it repeats itself. One cutter a stream holds the
lease ``cutter:<stream>``; a transition names the step it leaves, so that of two only one can make it.
"""

import asyncio
import shutil
from collections.abc import Callable
from datetime import datetime
from typing import Never

import structlog

from services.branch import store as table
from services.branch.build import Builder
from services.branch.repos import Repos, stream_target
from services.branch.schedule import due, first_slot, free_name
from services.branch.select import Rules, select
from services.branch.store import SQL, Cut, Request
from services.branch.trees import PATIENCE, Trees
from shared.db.outbox import stage
from shared.db.pool import Connection
from shared.errors import NetciError, Refused, Superseded, Transient
from shared.events import BranchCut, visibility_of
from shared.floor import Floor
from shared.git.refs import ls_remote, push
from shared.health import report_health
from shared.model.ids import CutId, SeriesId, Sha
from shared.model.results import Purpose
from shared.model.slots import next_slot
from shared.pauses import paused

log = structlog.get_logger(__name__)

_LONGEST_WAIT = 15.0
_QUEUE_PATIENCE = 10.0


class Cutter:
    """Cuts the branches of one stream."""

    def __init__(
        self,
        floor: Floor,
        repos: Repos,
        trees: Trees,
        stream: str,
        free_space: Callable[[], int] | None = None,
    ) -> None:
        self._floor = floor
        self._repos = repos
        self._trees = trees
        self.project, self._config, self._stream = floor.settings.project_of(stream)
        self.stream = stream
        self._builder = Builder(floor, repos, trees)
        self._blocked = ""
        self._free_space = free_space or (lambda: shutil.disk_usage(floor.settings.data).free)

    async def run(self, number: int) -> Never:
        """Go on with what is open, then cut what is due, for as long as the lease is ours."""
        wait = 1.0
        while True:
            seen = self._floor.bells.count("netci_orders")
            try:
                await self.round()
                pause, wait = await self._until_next(), 1.0
            except (NetciError, OSError) as exc:
                await self._trouble(exc)
                pause, wait = wait, min(60.0, wait * 2)
            await self._floor.bells.wait("netci_orders", seen, pause)

    async def round(self) -> None:
        """Bring every open cut to its end, and cut what is due now."""
        while True:
            cut = await table.open_cut(self._floor.pool, self.project, self.stream) or await self._plan()
            if cut is None or not await self.go_on(cut):
                return

    async def go_on(self, cut: Cut) -> bool:
        """From the recorded step to the end; False when a pause stopped it between two steps."""
        with structlog.contextvars.bound_contextvars(cut=cut.id, branch=cut.name):
            steps = {"planned": self._build, "built": self._push, "pushed": self._announce}
            while step := steps.get(cut.state):
                if await self._paused():
                    await self._waits(None, self._blocked)
                    return False
                await step(cut)
                cut = await table.cut(self._floor.pool, cut.id)
            log.info("cut", stream=self.stream, state=cut.state, commit=cut.commit)
        await report_health(self._floor, f"stream {self.stream}", True, f"{cut.name} is out", self.project)
        return True

    async def _until_next(self) -> float:
        """Seconds until the next slot; not long, as pauses and free space are looked at in between."""
        now = self._floor.clock()
        left = (await self._wanted(now) - now).total_seconds()
        longest = 1.0 if self._blocked else _LONGEST_WAIT
        return max(0.05, min(longest, left)) if left > 0 else 1.0

    async def _trouble(self, exc: Exception) -> None:
        """Write down what keeps the stream from going on; a cut that a newer slot has overtaken is given up."""
        log.warning("cutter: in trouble", stream=self.stream, error=str(exc))
        await report_health(self._floor, f"stream {self.stream}", False, str(exc), self.project)
        cut = await table.open_cut(self._floor.pool, self.project, self.stream)
        if cut is None:
            return
        await self._floor.pool.execute(SQL["cut_error"], cut.id, str(exc))
        overtaken = self._floor.clock() - cut.slot >= self._stream.every
        # What is built only waits for its remote: nothing of it is lost, however long that takes.
        if cut.state == "planned" and overtaken:
            await self._floor.pool.execute(SQL["cut_failed"], cut.id, str(exc))

    # Planning

    async def _wanted(self, now: datetime) -> datetime:
        """The oldest slot that is not cut yet."""
        every = self._stream.every
        wanted: datetime | None = await self._floor.pool.fetchval(SQL["next_slot"], self.project, self.stream)
        if wanted is None:
            wanted = first_slot(now, every)
            await self._floor.pool.execute(SQL["see_stream"], self.project, self.stream, wanted)
        # Not later than the next one by the clock: the operator may have shortened `every`.
        return min(wanted, next_slot(now, every))

    async def _plan(self) -> Cut | None:
        """Plan the cut that is due or asked for; None when there is none, or something forbids it."""
        now = self._floor.clock()
        when = due(await self._wanted(now), self._stream.every, now)
        if await self._paused() or await self._short_of_disk():
            await self._waits(None, self._blocked)
            return None
        request = await table.oldest_request(self._floor.pool, self.project, self.stream)
        if request is None and when.slot is None:
            await self._waits(when.next, "")
            return None
        heads = await self._fresh_heads()
        if request and request.message_ids is None:
            await self._queue_read(request)
        return await self._record_plan(request, when.slot, when.next, heads, now)

    async def _paused(self) -> bool:
        why = await paused(self._floor.pool, "stream", self.stream)
        self._blocked = "" if why is None else f"paused: {why}"
        return why is not None

    async def _short_of_disk(self) -> bool:
        free, least = self._free_space(), self._floor.settings.disk.free
        enough = free >= least
        await report_health(self._floor, "disk", enough, f"{free >> 20} MiB free, {least >> 20} MiB wanted")
        self._blocked = "" if enough else f"only {free >> 20} MiB of disk are free"
        return not enough

    async def _queue_read(self, request: Request) -> None:
        """Wait until ingest has read the queue since all that is pending was asked for, but not for long.

        A source that is paused or away must not keep a person from their branch.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + _QUEUE_PATIENCE
        while await self._floor.pool.fetchval(SQL["queue_behind"], self.project, request.asked):
            if loop.time() > until:
                log.warning("cutter: the queue was not read in time", stream=self.stream)
                return
            await asyncio.sleep(0.1)

    async def _waits(self, following: datetime | None, why: str) -> None:
        await self._floor.pool.execute(SQL["stream_waits"], self.project, self.stream, following, why)
        await report_health(self._floor, f"stream {self.stream}", not why, why or "waits for its slot", self.project)

    async def _fresh_heads(self) -> dict[str, Sha]:
        """The heads of the trees that the branch is made of, fetched now; a remote that is away gives its last."""
        names = (self._stream.tree, *self._stream.merge)
        before = await table.heads(self._floor.pool, self.project)
        for name in names:
            # A slot does not wait long for a remote that hangs while there is a head to go on with.
            await self._trees.refresh(self.project, name, 60 if name in before else PATIENCE)
        known = await self._trees.heads(self.project, names)
        if missing := [name for name in names if name not in known]:
            raise Transient(f"never fetched: {', '.join(missing)}")
        return {name: known[name] for name in names}

    async def _record_plan(
        self, request: Request | None, slot: datetime | None, following: datetime, heads: dict[str, Sha], now: datetime
    ) -> Cut | None:
        async with self._floor.pool.acquire() as conn, conn.transaction():
            named = await self._named(conn, request)
            pending = await table.candidates(conn, self.project, self.stream, named or (), self._stream.gate)
            chosen = select(pending, self._rules(), named)
            cut_id = await self._insert(conn, request, slot, heads, now)
            if request is None:
                await conn.execute(SQL["stream_waits"], self.project, self.stream, following, "")
            elif cut_id and await conn.fetchval(SQL["answer_request"], request.id, cut_id) is None:
                raise Superseded(f"request {request.id} is answered already")
            if cut_id is None:
                return None
            await table.record_selection(conn, cut_id, pending, chosen)
            return await table.cut(conn, cut_id)

    async def _named(self, conn: Connection, request: Request | None) -> frozenset[SeriesId] | None:
        """The series that a person named, the latest revision of each; None if they named none."""
        if request is None or request.message_ids is None:
            return None
        found: set[SeriesId] = set()
        for name in request.message_ids:
            rows = await table.find_series(conn, name, self.project)
            found.update(SeriesId(row["id"]) for row in rows[:1])
        return frozenset(found)

    def _rules(self) -> Rules:
        patchwork = self._config.patchwork
        takes = self._config.takes(self._stream)
        return Rules(
            takes=takes,
            gate=self._stream.gate,
            first=frozenset(name for name in takes if self._config.trees[name].kind == "fixes"),
            ignore_delegates=patchwork.ignore_delegates if patchwork else (),
        )

    async def _insert(
        self, conn: Connection, request: Request | None, slot: datetime | None, heads: dict[str, Sha], now: datetime
    ) -> CutId | None:
        at = now if request else slot
        assert at is not None
        purpose = Purpose.BY_HAND if request else Purpose.SCHEDULED
        name = await self._free_name(conn, at)
        made = await conn.fetchval(
            SQL["plan_cut"], self.project, self.stream, at, purpose, name,
            request.by if request else "", request.why if request else "", self._stream.tree,
            stream_target(self._stream).public, heads, now.replace(microsecond=0),
        )  # fmt: skip
        return None if made is None else CutId(made)

    async def _free_name(self, conn: Connection, at: datetime, also: frozenset[str] = frozenset()) -> str:
        rows = await conn.fetch(SQL["names_taken"], f"{self.stream}-")
        return free_name(self.stream, at, {row["name"] for row in rows} | also)

    # Building, pushing, announcing

    async def _build(self, cut: Cut) -> None:
        await self._builder.build(cut)

    async def _push(self, cut: Cut) -> None:
        """Put the recorded commit at the remote, under its name or, if that is taken there, the next free one."""
        store, target = await self._repos.store(self.project), stream_target(self._stream)
        if not await store.has(cut.commit) and not await self._builder.build_again(cut):
            await self._floor.pool.execute(SQL["cut_failed"], cut.id, "its commit was lost and cannot be made again")
            return
        there = await ls_remote(store, target.push, f"refs/heads/{self.stream}-*", key=target.key)
        ref = f"refs/heads/{cut.name}"
        if there.get(ref, cut.commit) != cut.commit:
            await self._rename(cut, frozenset(name.removeprefix("refs/heads/") for name in there))
            return
        if ref not in there:
            try:
                await push(store, target.push, {ref: cut.commit}, absent=True, key=target.key)
            except Refused as exc:
                raise Transient(f"{target.push}: {exc}") from exc
        await self._floor.pool.execute(SQL["cut_pushed"], cut.id)

    async def _rename(self, cut: Cut, taken: frozenset[str]) -> None:
        async with self._floor.pool.acquire() as conn, conn.transaction():
            name = await self._free_name(conn, cut.slot, taken)
            log.warning("cut: the name is taken at the remote", name=cut.name, now=name)
            await conn.execute(SQL["rename_cut"], cut.id, name)

    async def _announce(self, cut: Cut) -> None:
        async with self._floor.pool.acquire() as conn, conn.transaction():
            if await conn.fetchval(SQL["cut_announced"], cut.id) is None:
                return
            counts = await conn.fetchrow(SQL["cut_counts"], cut.id)
            assert counts is not None
            said = _said(cut, counts["taken"], counts["left_out"])
            await stage(conn, "branch", said, now=self._floor.clock(), visibility=visibility_of(cut.purpose))


def _said(cut: Cut, taken: int, left_out: int) -> BranchCut:
    return BranchCut(
        project=cut.project,
        cut=cut.id,
        stream=cut.stream,
        branch=cut.name,
        commit=cut.commit,
        base=cut.base,
        purpose=cut.purpose,
        slot=cut.slot,
        public_url=cut.public_url,
        taken=taken,
        left_out=left_out,
    )
