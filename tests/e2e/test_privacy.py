"""Private things are in no page, answer, stream, long poll or metric of a reader without the right: a test per kind.

Every GET route of the application is asked, as the router has them, with what an outsider could guess in its path:
names, numbers and hashes of what is private. What may be seen by somebody is looked for with that somebody's token.
"""

import itertools
import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web

from services.ingest.api import LabDoor, add_routes
from services.ingest.api.desk import LabDesk
from tests.conftest import Database, FloorFor
from tests.e2e.private_things import KINDS, TRY, Ground, Planted
from tests.services.ingest.api.lab import a_token
from tests.services.report.web.builders import BRANCH, seed, served, settings_for

GUESSES = ("1", "2", BRANCH, "selftests-net/tls/0/stdout", "dev.netci.branch.cut.v1")
"""What fits the places of a path and is public."""
QUERIES = (
    "",
    "after=0&wait=0&limit=500",
    f"branch={TRY}&branch-name={TRY}&limit=500",
    "ld-cases=1&ld_cnt=500&limit=500",
    "remote=trialsecret-lab",
    "project=bpfsecret",
)
STREAMING = {"Accept": "text/event-stream"}


@dataclass
class Site:
    """A front with ingest's routes, and who asks it."""

    url: str
    ground: Ground
    http: aiohttp.ClientSession
    apps: list[web.Application] = field(default_factory=list)

    @property
    def routes(self) -> list[str]:
        found = {
            route.resource.canonical
            for route in self.apps[0].router.routes()
            if route.method == "GET" and route.resource is not None
        }
        return sorted(found)

    async def ask(self, path: str, token: str = "", **headers: str) -> tuple[int, str]:
        """The status, and all that was said, headers included."""
        sent = headers | ({"Authorization": f"Bearer {token}"} if token else {})
        async with self.http.get(self.url + path, headers=sent) as answer:
            return answer.status, f"{dict(answer.headers)}\n{await answer.text(errors='replace')}"

    async def told(self, token: str = "") -> list[str]:
        """The events that a reader gets, by stream; by page and long poll they are the same."""
        _, text = await self.ask("/api/v1/events/stream?after=0&wait=0", token)
        streamed = re.findall(r"^data: (.*)$", text, re.MULTILINE)
        for query in ("after=0&limit=500", "after=0&limit=500&wait=1"):
            _, text = await self.ask(f"/api/v1/events?{query}", token)
            paged = json.loads(text.partition("\n")[2])["events"]
            assert [json.loads(one)["id"] for one in streamed] == [one["id"] for one in paged]
        return streamed


@pytest.fixture
async def site(database: Database, floor_for: FloorFor, tmp_path: Path) -> AsyncIterator[Site]:
    floor = await floor_for("report", settings_for(tmp_path))
    owner = await database.pool()
    door = LabDoor("ingest")
    door.open(LabDesk(await floor_for("ingest", settings_for(tmp_path))))
    ground = Ground(floor, owner, await seed(floor, owner))
    apps: list[web.Application] = []

    def extra(app: web.Application) -> None:
        add_routes(app, door)
        apps.append(app)

    async with served(floor, extra) as url, aiohttp.ClientSession() as http:
        yield Site(url, ground, http, apps)


def paths(route: str, ids: tuple[str, ...]) -> Iterator[str]:
    """The route with every guess in each of its places, by turns."""
    places = re.findall(r"\{(\w+)\}", route)
    if not places:
        yield from (f"{route}?{query}" if query else route for query in QUERIES)
        return
    for chosen in itertools.product(ids, repeat=len(places)):
        path = route
        for place, value in zip(places, chosen, strict=True):
            path = path.replace(f"{{{place}}}", quote(value, safe=""))
        yield path
        if len(places) > 1:
            yield f"{path}?raw=1"


def leaks(planted: Planted, path: str, text: str) -> list[str]:
    """Words of what is private in an answer, beside those that were in the question."""
    return [word for word in planted.words if word in text and word not in path and quote(word, safe="") not in path]


async def sequenced(site: Site) -> None:
    """Wait until all that was staged is in the log, and the stream has heard of it."""
    while await site.ground.owner.fetchval("select count(*) from floor.outbox"):
        pass


@pytest.mark.parametrize("kind", KINDS)
async def test_nobody_without_the_right_finds(site: Site, kind: str) -> None:
    planted = await KINDS[kind](site.ground)
    await sequenced(site)
    found: list[str] = []
    for route in site.routes:
        for path in paths(route, (*GUESSES, *planted.ids)):
            status, text = await site.ask(path + ("&wait=0" if "?" in path else "?wait=0"))
            assert status < 500, (path, text)
            found += [f"{path}: {word}" for word in leaks(planted, path, text)]
    for path in ("/api/v1/events?after=0&wait=0", "/api/v1/events?wait=0"):
        _, text = await site.ask(path, **STREAMING)
        found += [f"stream {path}: {word}" for word in leaks(planted, path, text)]
    assert found == []


@pytest.mark.parametrize("kind", KINDS)
async def test_who_has_the_right_is_told(site: Site, kind: str) -> None:
    owner = site.ground.owner
    public = len(await site.told())
    planted = await KINDS[kind](site.ground)
    await sequenced(site)
    admin = await a_token(owner, ["admin"], remote="")
    stranger = await a_token(owner, ["events:read"], remote="elsewhere", projects=("wireless",))
    own = await a_token(
        owner, ["events:read"], remote=planted.remote or "elsewhere", projects=(planted.project or "wireless",)
    )

    async def private(token: str) -> int:
        return sum(any(word in told for word in planted.words) for told in await site.told(token))

    assert await private(admin) == planted.events
    assert await private(stranger) == 0
    assert await private("") == 0
    if planted.remote or planted.project:
        assert await private(own) == planted.events
    assert len(await site.told()) >= public


async def test_the_walk_finds_what_is_public(site: Site) -> None:
    """Else it would find nothing private either."""
    words = {"fib_tests.sh": 0, "net: sockets: count what is dropped": 0, BRANCH: 0}
    for route in site.routes:
        for path in paths(route, GUESSES):
            _, text = await site.ask(path + ("&wait=0" if "?" in path else "?wait=0"))
            for word in words:
                words[word] += word in text and word not in path
    assert min(words.values()) >= 5, words
