"""The body of `Builder`: builds of one series over the object folders of its base.

For each recipe there is a line: the base's objects with a layer of the series' own above them, and what the tree said
when that was built last. A patch is built once, over what the patch before left, and compared with what was said
until then; the tree before a patch is built only if nobody ever has. What is written dies with the series.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from services.executor.builds.bases import Base, Bases
from services.executor.builds.changes import change_between
from services.executor.builds.compare import Change, Comparison, Standing, compare, stand
from services.executor.builds.diagnostics import quiet
from services.executor.builds.made import Done, make, not_configured
from services.executor.builds.making import Making, Say, tools_of
from services.executor.builds.recipe import Recipe
from services.executor.builds.yard import Shop, Yard, series_shop
from services.executor.cage.base import Ran
from services.executor.checking.place import MakeBuilder, Place
from services.executor.checking.seat import Seat
from services.executor.checking.seats import make_folder
from services.executor.checks.base import Builder, Subject
from shared.errors import InfraError
from shared.model.ids import Sha


def builders(cache: Path) -> MakeBuilder:
    """What makes the builder of each series; `cache` keeps what outlives it and may be deleted at any time."""

    @asynccontextmanager
    async def builder_for(place: Place, seat: Seat, judge: Path) -> AsyncIterator[Builder]:
        async with KernelBuilder(place, cache) as builder:
            yield builder

    return builder_for


@dataclass
class _Line:
    """One recipe along one series. The layer has what was built of the commit `at`, which `now` is said of.

    `ground` is what the base says, `begun` the series' name for its commit. `stood` has for a commit what its successor
    is compared with: what it says, or if a limit cut its build off (`cut`) what was said before it.
    """

    base: Base
    ground: Standing
    shop: Shop
    begun: Sha
    at: Sha
    now: Standing
    stood: dict[Sha, Standing] = field(default_factory=dict)
    cut: set[Sha] = field(default_factory=set)


class KernelBuilder:
    """See `Builder`. Made for one series and left after it; one build goes on at a time, with all its processes.

    It has a work tree of its own: it goes back to the base where that must be built first, and other checks look at
    theirs meanwhile.
    """

    def __init__(self, place: Place, cache: Path) -> None:
        self._place, self._cache = place, cache
        budget = place.settings.cache
        self._bases = Bases(cache / "bases", budget * 3 // 4)
        self._space = budget // 4
        self._lines: dict[tuple[str, tuple[str, ...]], _Line] = {}
        self._alone = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._seat: Seat | None = None
        self._tools = ""

    async def __aenter__(self) -> "KernelBuilder":
        await asyncio.to_thread(self._bases.sweep)
        return self

    async def __aexit__(self, *_: object) -> None:
        for line in self._lines.values():
            line.base.close()
        self._lines.clear()
        await self._stack.aclose()

    async def compare(self, subject: Subject, recipe: Recipe, say: Say) -> Comparison:
        patch = subject.looked_at[-1]
        parent, commit = (patch.parent, patch.commit) if subject.patch else (subject.base, subject.head)
        if subject.pull:
            parent, commit = subject.base, subject.head
        if not (subject.base and parent and commit):
            raise InfraError("a build needs the series as applied")
        async with self._alone:
            yard = await self._yard(subject.base)
            line = await self._line(yard, subject.base, recipe, say)
            say("Building")
            return await self._compared(yard, line, recipe, parent, commit)

    async def _yard(self, base: Sha) -> Yard:
        if self._seat is None:
            self._seat = await self._stack.enter_async_context(self._place.seats.take(base))
        return Yard(self._place, self._seat, self._space)

    async def _line(self, yard: Yard, commit: Sha, recipe: Recipe, say: Say) -> _Line:
        key = recipe.digest, recipe.noise
        if (line := self._lines.get(key)) is None:
            self._tools = self._tools or await tools_of(yard.place)
            base = await Making(yard, self._bases, recipe, self._tools, self._ccache(), say).base(commit)
            ground = replace(base.record.standing, units=quiet(base.record.standing.units, recipe.noise))
            line = _Line(base, ground, self._shop(base), commit, commit, ground, {commit: ground})
            self._lines[key] = line
        return line

    def _shop(self, base: Base) -> Shop:
        over = self._stack.enter_context(self._place.scratch.make())
        return series_shop(base.objects, self._ccache(), over)

    def _ccache(self) -> Path:
        folder = self._cache / "ccache"
        make_folder(folder)
        return folder

    async def _compared(self, yard: Yard, line: _Line, recipe: Recipe, parent: Sha, commit: Sha) -> Comparison:
        if parent not in line.stood:
            await self._advance(yard, line, recipe, parent)
        was, after_cut = line.stood[parent], parent in line.cut
        done = await self._advance(yard, line, recipe, commit)
        notes = ("The build before this patch came to no end; compared with the one before that.",) if after_cut else ()
        if done.said:
            return Comparison(said=done.said, timed_out=done.timed_out, log=done.text, built=False, notes=notes)
        change = await change_between(self._place.store, parent, commit)
        found = compare(line.ground, was, line.now, done.log, change)
        return replace(found, log=done.text, notes=notes, lacking=line.base.record.lacking)

    async def _advance(self, yard: Yard, line: _Line, recipe: Recipe, commit: Sha) -> Done:
        """Build `commit` over what the line has. A build that came to no end leaves a layer that nobody can go on from:
        what of it was built would not be built again, and what that said not be said.
        """
        change, before = await change_between(self._place.store, line.at, commit), line.now
        try:
            done = await self._patch(yard, line, recipe, commit, change)
        except BaseException:
            self._back(line)
            raise
        done = replace(done, log=replace(done.log, units=quiet(done.log.units, recipe.noise)))
        if done.said:
            self._back(line)
            line.stood[commit] = before
            line.cut.add(commit)
        else:
            line.at, line.now = commit, stand(before, done.log, done.built, done.products, change)
            line.stood[commit] = line.now
        return done

    def _back(self, line: _Line) -> None:
        """Begin again from the base, with a layer that is empty."""
        line.shop, line.at, line.now = self._shop(line.base), line.begun, line.ground

    async def _patch(self, yard: Yard, line: _Line, recipe: Recipe, commit: Sha, change: Change) -> Done:
        await yard.seat.move(commit)
        configured: Ran | None = None
        if recipe.kconfig is not None and change.configures:
            configured = await yard.configure(line.shop, recipe, recipe.kconfig)
            if not configured.ok:
                return not_configured(configured)
        return await make(yard, line.shop, recipe, commit, recipe.seconds, configured)
