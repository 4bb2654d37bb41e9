"""The sources of series that there are. A new one is a folder beside `patchwork` and a line in `MAKERS`."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from services.ingest.sources.base import Source
from services.ingest.sources.patchwork import open_patchwork
from shared.settings import Patchwork, Project, Settings

Maker = Callable[[AsyncExitStack, str, Project, str], Awaitable[Source | None]]

MAKERS: dict[str, Maker] = {
    "patchwork": open_patchwork,
}


async def open_sources(stack: AsyncExitStack, settings: Settings) -> list[tuple[Source, Patchwork]]:
    """Every configured source of every project, with its settings. They close with `stack`."""
    opened = []
    for name, project in settings.projects.items():
        for make in MAKERS.values():
            source = await make(stack, name, project, settings.public_url)
            if source is not None and project.patchwork is not None:
                opened.append((source, project.patchwork))
    return opened
