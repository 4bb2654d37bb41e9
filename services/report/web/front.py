"""One value that every page is made from, and the twin rule: the same data as a page or as JSON.

A page is a function from (front, request) to a mapping; its template and its JSON are two renderings of that mapping,
so neither can show what the other hides.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from aiohttp import web

from services.report.web.fresh import Fresh, Heavy
from services.report.web.store import Reading
from shared.floor import Floor
from shared.web.pages import Pages
from shared.web.stream import Stream


@dataclass(frozen=True)
class Front:
    """What pages are made from."""

    floor: Floor
    read: Reading
    pages: Pages
    fresh: Fresh
    stream: Stream
    describe: Callable[[], Mapping[str, Any]]
    """The OpenAPI document of all that this installation answers to."""
    logs: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))
    """Packs of logs held at one time: each may be a quarter of a gigabyte."""
    heavy: Heavy = field(default_factory=Heavy)
    """Pages that look back over weeks."""
    bulk: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    """Who asks for whole tables gets them in pieces; so many pieces are made at one time."""

    @property
    def now(self) -> datetime:
        return self.floor.clock()

    @property
    def counting(self) -> list[str]:
        """The remotes that count for verdicts."""
        return [remote.name for remote in self.floor.settings.remotes if remote.report]

    @property
    def streams(self) -> list[str]:
        """The names of all streams, for filters."""
        return sorted({name for project in self.floor.settings.projects.values() for name in project.streams})


FRONT = web.AppKey("front", Front)

Data = Mapping[str, Any]
Page = Callable[[Front, web.Request], Awaitable[Data]]


def plain_value(value: object) -> object:
    """What JSON has no word for."""
    match value:
        case datetime():
            return value.isoformat()
        case date() | UUID():
            return str(value)
        case timedelta():
            return value.total_seconds()
        case set() | frozenset():
            return sorted(value)
    raise TypeError(f"no JSON for {type(value).__name__}")


def as_json(data: object, status: int = 200) -> web.Response:
    text = json.dumps(data, default=plain_value, ensure_ascii=False)
    headers = {"Access-Control-Allow-Origin": "*"}
    return web.Response(text=text, status=status, content_type="application/json", headers=headers)


NOBODY: Data = {"holder": None, "csrf": "", "admin": False}
"""Who looks at a page, where nobody is signed in."""


def as_page(front: Front, template: str, data: Data, path: str) -> web.Response:
    text = front.pages.render(template, **{**data, "path": path})
    response = web.Response(text=text, content_type="text/html", charset="utf-8")
    if data.get("holder"):
        # It shows what others may not see.
        response.headers["Cache-Control"] = "private, no-cache"
    return response


HEAVY: set[Page] = set()
"""Pages whose data is large: they are rendered aside."""


def heavy(make: Page) -> Page:
    """The same page, made for all who ask for the same within some seconds."""

    async def kept(front: Front, request: web.Request) -> Data:
        # Not by the path: a page and its twin are the same.
        parts = sorted(request.match_info.items())
        key = f"{make.__module__}.{make.__qualname__} {parts} {request.query_string}"
        return await front.heavy.get(key, lambda: make(front, request))

    HEAVY.add(kept)
    return kept


def page(template: str, make: Page, who: Page | None = None) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler that shows `make`'s data in `template`; `who` tells who looks at it."""

    async def show(request: web.Request) -> web.Response:
        front = request.app[FRONT]
        looks = await who(front, request) if who else NOBODY
        data = {**await make(front, request), **looks}
        if make in HEAVY:
            return await front.heavy.work(lambda: as_page(front, template, data, request.path_qs))
        return as_page(front, template, data, request.path_qs)

    return show


def twin(make: Page) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler that gives `make`'s data as JSON."""

    async def give(request: web.Request) -> web.Response:
        return as_json(await make(request.app[FRONT], request))

    return give
