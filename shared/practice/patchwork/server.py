"""The practice Patchwork on a socket: aiohttp carries requests to the pure parts and carries out the faults of the
wire.

Everything that decides is elsewhere; this owns the listener, so it alone can be down.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from shared.practice.patchwork import api, asking, control, downloads, pages, snapshot
from shared.practice.patchwork.asking import Answer, Ask
from shared.practice.patchwork.counters import Counters
from shared.practice.patchwork.misbehave import Fault, Misbehaviour
from shared.practice.patchwork.state import Patchwork

MOST_BYTES = 64 * 1024 * 1024
WATCH = 0.02
"""Seconds between looks at whether a hanging fault is over."""
SAVE_EVERY = 1.0
PATIENCE = 0.1
"""Seconds that a request still in work is given when the server ends."""
NO_LINGER = struct.pack("ii", 1, 0)


def standard(*projects: str) -> Patchwork:
    """A Patchwork with the users that the demo and most tests need: nipa-bot and maintainer maintain every project,
    outsider none.

    Without arguments it has one project, netdevbpf on netdev.vger.kernel.org.
    """
    pw = Patchwork()
    for name in ("nipa-bot", "maintainer", "outsider"):
        pw.add_user(name)
    known_lists = {"netdevbpf": "netdev.vger.kernel.org"}
    for project in projects or ("netdevbpf",):
        pw.add_project(project, list_id=known_lists.get(project, ""), maintainers=["nipa-bot", "maintainer"])
    return pw


class Served:
    """One running practice Patchwork. `url` has no slash at its end."""

    def __init__(self, pw: Patchwork, newest: tuple[int, int] = api.NEWEST, save: Path | None = None) -> None:
        self.pw = pw
        self.newest = newest
        self.save = save
        self.misbehave = Misbehaviour(pw)
        self.counters = Counters()
        self.host = "127.0.0.1"
        self.port = 0
        self._listening = False
        self._changed = False
        self._closures: asyncio.Queue[float] = asyncio.Queue()
        application = web.Application(client_max_size=MOST_BYTES)
        application.router.add_route("*", "/{anything:.*}", self._handle)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=PATIENCE)
        self._site: web.TCPSite | None = None

    @property
    def patchwork(self) -> Patchwork:
        return self.pw

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def token(self, username: str) -> str:
        return self.pw.user(username).token

    def submit(self, content: bytes) -> list[dict[str, object]]:
        """Feed a message or a mailbox; see `control.submit`."""
        self._changed = True
        return control.submit(self.pw, content)

    # -- the listener

    async def up(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._site = web.TCPSite(self._runner, self.host, self.port, reuse_address=True)
        await self._site.start()
        self.port = self._runner.addresses[0][1]
        self._listening = True

    async def down(self) -> None:
        """Refuse connections; open ones are reset at their next request."""
        self._listening = False
        if self._site is not None:
            await self._site.stop()
            self._site = None

    def close_for(self, seconds: float) -> None:
        """Be down for a while, soon."""
        self._closures.put_nowait(seconds)

    async def _doorman(self) -> None:
        while True:
            seconds = await self._closures.get()
            await self.down()
            await asyncio.sleep(seconds)
            await self.up()

    async def _clerk(self) -> None:
        while True:
            await asyncio.sleep(SAVE_EVERY)
            self.save_now()

    def save_now(self, *, unchanged: bool = False) -> None:
        """Write the memory to its file, if it has one; `unchanged` also when nothing seems to have changed."""
        if self.save is not None and (self._changed or unchanged):
            self._changed = False
            snapshot.save(self.pw, self.save)

    @asynccontextmanager
    async def running(self, host: str, port: int) -> AsyncIterator[Served]:
        self.host, self.port = host, port
        await self._runner.setup()
        try:
            await self.up()
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._doorman()), group.create_task(self._clerk())]
                try:
                    yield self
                finally:
                    for task in tasks:
                        task.cancel()
        finally:
            await self._runner.cleanup()
            self.save_now(unchanged=True)

    # -- requests

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        ask = Ask(request.method, request.raw_path, headers, await request.read(), request.host)
        if not self._listening:
            return _cut(request)
        self._changed = self._changed or ask.method != "GET"
        if ask.path.startswith("/practice/"):
            return _response(control.answer(self, ask))
        return await self._counted(request, ask)

    async def _counted(self, request: web.Request, ask: Ask) -> web.StreamResponse:
        self.counters.begin(ask.method, route(ask.path), ask.target)
        status = 0
        try:
            response = await self._faulty(request, ask)
            status = 0 if request.transport is None or request.transport.is_closing() else response.status
            return response
        finally:
            self.counters.end(status)

    async def _faulty(self, request: web.Request, ask: Ask) -> web.StreamResponse:
        """Answer, with the faults of the moment: first what delays, then what comes instead, then what spoils."""
        age = self.misbehave.age
        faults = {fault.kind: fault for fault in self.misbehave.now(ask.method, ask.target)}
        if "slow" in faults:
            await asyncio.sleep(faults["slow"].delay)
        while "hang" in faults and self.misbehave.holds(faults["hang"], age):  # noqa: ASYNC110 - ends by the clock too
            await asyncio.sleep(WATCH)
        if "reset" in faults:
            return _cut(request)
        instead = _instead(faults.get("status"), faults.get("html"))
        given = instead or self.answer(ask)
        if "drop-after" in faults:
            return _cut(request)
        if "shuffle-events" in faults and route(ask.path) == "/api/events/":
            _shuffle(given)
        return await _half(request, given) if "truncated" in faults else _response(given)

    def answer(self, ask: Ask) -> Answer:
        """What a well behaved Patchwork answers."""
        given = self._found(ask) or self._without_slash(ask) or asking.not_found()
        if given.status == 201 and route(ask.path) == "/api/patches/N/checks/":
            made = json.loads(given.body)
            patch = int(re.findall(r"/patches/(\d+)/", ask.path)[0])
            self.counters.check_posts[patch, made["context"], made["state"]] += 1
        return given

    def _found(self, ask: Ask) -> Answer | None:
        return api.answer(self.pw, ask, self.newest) or downloads.answer(self.pw, ask)

    def _without_slash(self, ask: Ask) -> Answer | None:
        """A path that only lacks its last slash is redirected, whatever the method."""
        if ask.path.endswith("/"):
            return None
        known = api.find(ask.path + "/", self.newest) or any(p.match(ask.path + "/") for p, _ in downloads.ROUTES)
        query = f"?{ask.query_text}" if ask.query_text else ""
        return asking.moved(f"{ask.raw_path}/{query}", 301) if known else None


def route(path: str) -> str:
    """A path with everything that names one thing taken out."""
    path = re.sub(r"^/api/\d\.\d(?=/)", "/api", path)
    path = re.sub(r"^/project/[^/]+/(patch|cover)/[^/]+/", r"/project/P/\1/MSGID/", path)
    path = re.sub(r"^/api/projects/[^/]+/", "/api/projects/P/", path)
    return re.sub(r"/\d+(?=/)", "/N", path)


def _response(given: Answer) -> web.Response:
    return web.Response(status=given.status, body=given.body, headers=given.headers)


def _cut(request: web.Request) -> web.Response:
    """Reset the connection; the answer goes nowhere."""
    if request.transport is not None:
        # Without lingering off, the kernel ends an idle connection politely, which is no reset.
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        request.transport.abort()
    return web.Response(status=500)


async def _half(request: web.Request, given: Answer) -> web.StreamResponse:
    response = web.StreamResponse(status=given.status, headers=given.headers)
    response.content_length = len(given.body)
    await response.prepare(request)
    await response.write(given.body[: len(given.body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


def _instead(status: Fault | None, html: Fault | None) -> Answer | None:
    if status is not None:
        given = asking.as_page(pages.FAILED, status.status)
        if status.retry_after is not None:
            given.headers["Retry-After"] = str(status.retry_after)
        return given
    return asking.as_page(pages.WALL) if html is not None else None


def _shuffle(given: Answer) -> None:
    """Back to front: wrong for every order that can be asked for."""
    rows = json.loads(given.body)
    if isinstance(rows, list):
        given.body = asking.as_json(rows[::-1]).body


@asynccontextmanager
async def served(
    pw: Patchwork | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    newest: tuple[int, int] = api.NEWEST,
    save: Path | None = None,
) -> AsyncIterator[Served]:
    """Serve a Patchwork (`standard()` if none is given) while the block runs.

    `newest` is the highest API version it knows; (1, 2) behaves as Patchwork 2.2 does. With `save`, its memory is
    read from that file if there is one, and written there.
    """
    pw = pw or standard()
    if save is not None and save.exists():
        snapshot.restore(pw, save)
    async with Served(pw, newest, save).running(host, port) as site:
        yield site
