"""How a base is built: anew, or onto what was built of one that differs in little."""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import structlog

from services.executor.builds.bases import Base, Bases, Built
from services.executor.builds.changes import change_between
from services.executor.builds.compare import Change, Standing, stand
from services.executor.builds.made import Done, make, text_of
from services.executor.builds.recipe import Recipe
from services.executor.builds.record import About, Record
from services.executor.builds.yard import Shop, Yard, base_shop, copy, tools_at
from services.executor.cage.base import Ran
from services.executor.checking.place import Place
from services.executor.checking.scratch import remove
from shared.errors import InfraError
from shared.model.ids import Sha

logger = structlog.get_logger(__name__)

NEAR = 3000
"""Files in which two bases may differ for one's objects to be a good start for the other's."""

Say = Callable[[str], None]

# Words of compilers and linkers when it is the machine that fails.
_BROKEN = (
    "No space left on device", "Killed signal terminated program", "Cannot allocate memory", "Input/output error",
)  # fmt: skip


class Unconfigured(InfraError):
    """The tree does not come to have a configuration. `log` is what was printed on the way."""

    def __init__(self, text: str, log: str) -> None:
        super().__init__(text)
        self.log = log


async def tools_of(place: Place) -> str:
    """Names the programs that a build is made by, and their versions."""
    return hashlib.sha256((await tools_at(place)).encode()).hexdigest()


@dataclass(frozen=True)
class Making:
    """Bases by one recipe. `tools` name the programs, `ccache` is the compiler's cache, which this alone writes."""

    yard: Yard
    bases: Bases
    recipe: Recipe
    tools: str
    ccache: Path
    say: Say

    async def base(self, commit: Sha) -> Base:
        """What is built of `commit`, held; built now if it is not there. Raises InfraError."""
        tree = (await self.yard.place.store.commit_info(commit)).tree
        about = About(commit, self.recipe.digest, self.tools)
        return await self.bases.get(tree, about, partial(self._make, about))

    async def _make(self, about: About, objects: Path) -> Built:
        self.say("Building the base, once for all series on it")
        begun = time.monotonic()
        former = await self._former(about)
        built: Built | None = None
        if former is not None:
            with contextlib.closing(former):
                start, change = await self._onto(former, about, objects)
            built = await self._build(about, objects, start, change)
        if built is None or not built.record.standing.built:
            # An object that is left of the former base beside a source that does not compile looks as if it did.
            await asyncio.to_thread(_empty, objects)
            await self.yard.seat.move(Sha(about.commit))
            built = await self._build(about, objects, None, Change())
        took = time.monotonic() - begun
        logger.info("build: a base", recipe=self.recipe.name, commit=about.commit, seconds=took, onto=bool(former))
        return replace(built, seconds=took)

    async def _former(self, about: About) -> Base | None:
        """A base that was built as a whole and is near enough."""
        for base in self.bases.near(about):
            if base.record.standing.built and await self._is_near(Sha(base.about.commit), Sha(about.commit)):
                return base
            base.close()
        return None

    async def _is_near(self, one: Sha, other: Sha) -> bool:
        store = self.yard.place.store
        return await store.has(one) and len(await store.changed_paths(one, other)) <= NEAR

    async def _onto(self, former: Base, about: About, objects: Path) -> tuple[Standing, Change]:
        """Take a former base's objects, and go to the base by way of the former, so that what differs is younger."""
        await copy(former.objects, objects)
        await self.yard.seat.move(Sha(former.about.commit))
        await self.yard.seat.move(Sha(about.commit))
        change = await change_between(self.yard.place.store, Sha(former.about.commit), Sha(about.commit))
        return former.record.standing, change

    async def _build(self, about: About, objects: Path, start: Standing | None, change: Change) -> Built:
        """Build it over what is in `objects`, of which `start` is said, and from which it differs by `change`."""
        shop, recipe = base_shop(objects, self.ccache), self.recipe
        for target in recipe.before:
            _must(await self.yard.run(shop, *recipe.make(target), seconds=600), f"make {target}")
        configured = await self._configured(shop) if start is None or change.configures else None
        done = await make(self.yard, shop, recipe, Sha(about.commit), recipe.base_seconds, configured)
        lacking = recipe.kconfig.lacks(await self.yard.config(shop)) if recipe.kconfig else ()
        return Built(Record(_standing(done, start, change), lacking), done.text)

    async def _configured(self, shop: Shop) -> Ran | None:
        form = self.recipe.kconfig
        if form is None:
            return None
        ran = await self.yard.configure(shop, self.recipe, form)
        try:
            _must(ran, f"make {form.source} of the base")
        except InfraError as exc:
            raise Unconfigured(str(exc), text_of(ran)) from exc
        if missing := form.refuses(await self.yard.config(shop)):
            raise InfraError(f"the configuration does not come to have {', '.join(missing)}")
        return ran


def _empty(folder: Path) -> None:
    for one in folder.iterdir():
        if one.is_dir() and not one.is_symlink():
            remove(one)
        else:
            one.unlink()


def _standing(done: Done, start: Standing | None, change: Change) -> Standing:
    """What a base says; a build that nobody can rely on is none."""
    if done.said:
        raise InfraError(f"the build of the base {done.said}")
    if broken := next((word for word in _BROKEN if word in done.text), ""):
        raise InfraError(f"the build of the base failed for want of the machine: {broken}")
    if not any(done.log.units) and start is None:
        raise InfraError(f"the build of the base did nothing: {done.text.strip()[-500:] or 'make said nothing'}")
    return stand(start or Standing(), done.log, done.built, done.products, change)


def _must(ran: Ran, what: str) -> Ran:
    if not ran.ok:
        raise InfraError(f"{what} does not work: {ran.said or _gist(text_of(ran))}")
    return ran


def _gist(text: str) -> str:
    """What kernel makefiles set between stars, to be seen; else the end of it. One line."""
    starred = [line.strip("* ") for line in text.splitlines() if line.startswith("***")]
    return " ".join(filter(None, starred))[:300] or " ".join(text.split())[-300:]
