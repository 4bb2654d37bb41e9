"""Patchwork: series by its REST API, versions 1.2 to 1.4."""

from contextlib import AsyncExitStack

from services.ingest.sources.base import Source
from services.ingest.sources.patchwork.client import AT_ONCE
from services.ingest.sources.patchwork.source import PatchworkSource
from shared.http import Http
from shared.patchwork import http_for
from shared.settings import Patchwork, Project


def reading(config: Patchwork, contact: str, token: str = "") -> Http:
    """A client that reads. With a token only to see whether the server takes it."""
    return http_for(config, contact, name="patchwork", connections=AT_ONCE, token=token)


async def open_patchwork(stack: AsyncExitStack, name: str, project: Project, contact: str) -> Source | None:
    """The Patchwork of a project; None if it has none."""
    if project.patchwork is None:
        return None
    http = await stack.enter_async_context(reading(project.patchwork, contact))
    return PatchworkSource(name, project.patchwork, http)


__all__ = ["PatchworkSource", "open_patchwork", "reading"]
