"""Patchwork: series by its REST API, versions 1.2 to 1.4."""

from contextlib import AsyncExitStack

from services.ingest.sources.base import Source
from services.ingest.sources.patchwork.client import AT_ONCE
from services.ingest.sources.patchwork.source import PatchworkSource
from shared.http import Http
from shared.settings import Patchwork, Project


def http_for(settings: Patchwork, contact: str) -> Http:
    """A client for this server. No token: reading needs none, and a wrong one makes even public reads fail.

    The User-Agent says who asks and where to complain, which walls against bots want to know.
    """
    agent = settings.user_agent or f"netci (+{contact})"
    base = settings.url.rstrip("/")
    seconds = settings.timeout.total_seconds()
    return Http("patchwork", base, headers={"user-agent": agent}, timeout=seconds, connections=AT_ONCE)


async def open_patchwork(stack: AsyncExitStack, name: str, project: Project, contact: str) -> Source | None:
    """The Patchwork of a project; None if it has none."""
    if project.patchwork is None:
        return None
    http = await stack.enter_async_context(http_for(project.patchwork, contact))
    return PatchworkSource(name, project.patchwork, http)


__all__ = ["PatchworkSource", "http_for", "open_patchwork"]
