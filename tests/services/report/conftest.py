"""A practice Patchwork with six patches, and report running against it without its pages."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest

from services.report.app import ReportRoom
from services.report.channels.patchwork import PatchworkChannel
from services.report.dispatch import Backoff, Poster
from shared.db.pool import Pool
from shared.floor import Floor
from shared.practice.patchwork import Served, served
from shared.race import race
from shared.settings import Settings
from tests.conftest import Database, FloorFor
from tests.services.report.builders import some_settings

PATCHES = 6
QUICK = Backoff(0.05, 0.2)

MAIL = """From: Ann <ann@example.org>
Date: Mon, 23 Nov 2026 08:00:{n:02d} +0000
List-Id: <netdev.vger.kernel.org>
Message-Id: <patch-{n}@example.org>
Subject: [PATCH net-next] tcp: part {n}

Text.
---
 a.c | 1 +

diff --git a/a.c b/a.c
index 1111111..2222222 100644
--- a/a.c
+++ b/a.c
@@ -1 +1,2 @@
 one
+two {n}
--
2.43.0
"""


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """A practice Patchwork whose patches are 1 to 6."""
    async with served() as site:
        for n in range(1, PATCHES + 1):
            site.submit(MAIL.format(n=n).encode())
        assert sorted(site.patchwork.patches) == list(range(1, PATCHES + 1))
        monkeypatch.setenv("TEST_PATCHWORK_TOKEN", site.token("nipa-bot"))
        yield site


@dataclass
class World:
    """Report at work. `owner` writes what other rooms would; `executor` is the executor's pool."""

    floor: Floor
    owner: Pool
    executor: Pool
    site: Served

    @asynccontextmanager
    async def report(self) -> AsyncIterator[None]:
        """All of report but the pages, until the end of the block; then it is cancelled as if it were killed."""
        settings = self.floor.settings
        async with AsyncExitStack() as stack:
            posters = [await self.poster(stack)] if settings.projects["netdev"].post != "off" else []
            running = asyncio.ensure_future(self._run(posters))
            try:
                yield
            finally:
                broken = running.done() and running.exception()
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                if broken:
                    raise broken

    async def poster(self, stack: AsyncExitStack) -> Poster:
        project = self.floor.settings.projects["netdev"]
        opened = PatchworkChannel.opened(project, self.floor.settings.public_url)
        return Poster(self.floor, "netdev", project.post, await stack.enter_async_context(opened), QUICK)

    async def _run(self, posters: list[Poster]) -> None:
        await race(*ReportRoom(self.floor).parts(posters))

    async def until(self, query: str, wanted: object, *args: object) -> None:
        """Wait until a query of one value gives `wanted`; fails after half a minute, saying what it gives."""
        found: object = None
        try:
            async with asyncio.timeout(30):
                while True:
                    found = await self.owner.fetchval(query, *args)
                    if found == wanted:
                        return
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{query}: {found!r}, not {wanted!r}") from None

    async def settled(self, posts: int) -> None:
        """Wait until no intent is open and this many posts are settled otherwise than by dropping."""
        await self.until("select count(*) from report.posts where status not in ('intent', 'dropped')", posts)
        await self.until("select count(*) from report.posts where status = 'intent'", 0)

    async def heard(self, kind: str, times: int) -> None:
        """Wait until report has acted on so many events of a kind."""
        await self.until(
            "select count(*) from floor.inbox i join floor.events e on e.sequence = i.sequence "
            "where i.queue = 'report' and i.state = 'done' and e.type = $1", times, f"dev.netci.{kind}.v1",
        )  # fmt: skip

    def posted(self) -> dict[tuple[int, str, str], int]:
        """How often each (patch, context, state) is on Patchwork."""
        return dict(self.site.counters.check_posts)


WorldFor = Callable[..., Awaitable[World]]


@pytest.fixture
async def world_for(database: Database, floor_for: FloorFor, site: Served) -> WorldFor:
    """Makes a world; the arguments are those of `some_settings`."""

    async def make(settings: Settings | None = None, **options: str | int) -> World:
        made = settings or some_settings(url=site.url, **{"post": "on", **options})  # type: ignore[arg-type]
        floor = await floor_for("report", made)
        return World(floor, await database.pool(""), await database.pool("executor"), site)

    return make
