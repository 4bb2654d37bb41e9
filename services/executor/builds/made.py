"""One build by a recipe: what was run, what it printed, read; of a patch and of a base alike."""

import asyncio
from dataclasses import dataclass

from services.executor.builds.diagnostics import Log, mirrored, read, read_as
from services.executor.builds.recipe import Recipe
from services.executor.builds.yard import Shop, Yard
from services.executor.cage.base import Ran
from shared.errors import InfraError
from shared.model.ids import Sha


@dataclass(frozen=True, slots=True)
class Done:
    """What one build did. `said` names the limit that ended it, else ""."""

    log: Log
    text: str
    built: bool
    products: frozenset[str] = frozenset()
    said: str = ""
    timed_out: bool = False


async def make(yard: Yard, shop: Shop, recipe: Recipe, commit: Sha, seconds: float, configured: Ran | None) -> Done:
    """Build; `configured` is what configuring printed, if that was done."""
    said = _configuring(configured) if configured else Log()
    text, built = text_of(configured), True
    for words in recipe.builds(yard.jobs):
        ran = await yard.run(shop, *words, seconds=max(1.0, seconds), loose=bool(recipe.products))
        log = await asyncio.to_thread(read, text_of(ran))
        said = said.plus(mirrored(log, recipe.products, recipe.mirrors) if recipe.products else log)
        text += text_of(ran)
        if ran.ended != "exit":
            return _failed(ran, said, text)
        seconds -= ran.seconds
        built = built and ran.code == 0
    products = await _products(yard, shop, recipe, commit) if recipe.products else frozenset()
    return Done(said, text, built, products)


def not_configured(ran: Ran) -> Done:
    """There is no configuration, so there is no build."""
    return _failed(ran, _configuring(ran), text_of(ran))


def _configuring(ran: Ran) -> Log:
    """Configuring is a unit of its own: it is not done with every build."""
    return read_as("Kconfig", text_of(ran))


def _failed(ran: Ran, said: Log, text: str) -> Done:
    if ran.ended == "killed":
        raise InfraError("a build was killed from outside")
    return Done(said, text, False, frozenset(), ran.said, ran.ended == "time")


async def _products(yard: Yard, shop: Shop, recipe: Recipe, commit: Sha) -> frozenset[str]:
    tracked = await yard.place.store.ls(commit, recipe.mirrors, recursive=True)
    return await yard.products(shop, recipe) - {entry.path for entry in tracked}


def text_of(ran: Ran | None) -> str:
    return ran.merged.decode("utf-8", "replace") if ran else ""
