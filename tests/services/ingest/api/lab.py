"""A lab that talks to the endpoints over HTTP: a token, a client, answers as JSON."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer

from services.ingest.api import LabDoor, add_routes
from services.ingest.api.desk import LabDesk
from shared.db.pool import Pool
from shared.db.tokens import Order, create
from shared.floor import Floor
from shared.model.tokens import parse_scopes
from shared.settings import Settings, parse
from shared.web.app import make_app


async def a_token(owner: Pool, scopes: Sequence[str] = ("results:write:*",), remote: str = "metal", **more: Any) -> str:
    """The text of a new token."""
    async with owner.acquire() as conn:
        return (await create(conn, Order("a lab", remote, parse_scopes(scopes), **more), "test")).text


SETTINGS = """
data = "/nonexistent"
[web]
public_url = "https://ci.example.org"
[labs]
new_names = 2000
[projects.netdev]
checks = ["vendor-build"]
[projects.netdev.trees.net-next]
git = "https://git.example.org/net-next.git"
[projects.netdev.streams.net-next]
tree = "net-next"
push = "/nowhere"
[[remotes]]
name = "metal"
report = true
"""

BRANCH = "net-next-2026-11-23--09-00"


def settings(**labs: Any) -> Settings:
    """One project with one stream; `labs` are further keys of [labs]."""
    more = "".join(f"{key} = {value!r}\n" for key, value in labs.items())
    return parse(SETTINGS.replace("[labs]\nnew_names = 2000\n", f"[labs]\n{more}") if labs else SETTINGS)


async def a_branch(owner: Pool, name: str = BRANCH, purpose: str = "scheduled", age: timedelta = timedelta(0)) -> int:
    """A branch that was announced `age` ago; gives its cut."""
    when = datetime.now(UTC) - age
    cut = await owner.fetchval(
        """insert into branch.cuts (project, stream, slot, purpose, name, state, tree, commit, announced)
           values ('netdev', 'net-next', $2::timestamptz + random() * interval '1 hour', $3, $1, 'announced',
                   'net-next', $4, $2::timestamptz) returning id""",
        name, when, purpose, "a" * 40,
    )  # fmt: skip
    return int(cut)


async def a_series(owner: Pool, message_id: str = "series-1@example.org", patches: int = 2) -> int:
    """A series whose patches have mails ``p1-<message id>`` and so on."""
    id_ = await owner.fetchval(
        """insert into ingest.series (project, source, external_id, message_id, subject, title, total, received, state)
           values ('netdev', 'patchwork', (select count(*) + 1 from ingest.series), $1, 'tcp: be quick',
                   'tcp: be quick', $2, $2, 'active') returning id""",
        message_id, patches,
    )  # fmt: skip
    for number in range(1, patches + 1):
        await owner.execute(
            """insert into ingest.patches (series_id, number, external_id, message_id, title)
               values ($1, $2, $3, $4, 'part')""",
            id_, number, id_ * 100 + number, f"p{number}-{message_id}",
        )  # fmt: skip
    return int(id_)


def a_document(tests: int = 2, subtests: int = 1, **changes: Any) -> dict[str, Any]:
    """A whole run in our own format, all passing."""
    cases = [
        {"group": "selftests-net", "test": f"t{n}", "result": "pass", "seconds": 1.5,
         "cases": [{"test": f"case_{m}", "result": "pass"} for m in range(subtests)]}
        for n in range(tests)
    ]  # fmt: skip
    return {"branch": BRANCH, "executor": "cx7-drv", "cases": cases} | changes


@dataclass
class Lab:
    """A client with a token."""

    http: aiohttp.ClientSession
    base: str
    token: str

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        """Status and body; the token is sent unless `headers` say otherwise."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= more.pop("headers", {})
        if isinstance(more.get("data"), bytes):
            more["data"] = BytesIO(more["data"])
        async with self.http.request(method, self.base + path, headers=headers, **more) as answer:
            json = "json" in answer.content_type
            return answer.status, await (answer.json() if json else answer.text())

    async def post(self, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        """POST below /api/v1/lab; a body that is no bytes is sent as JSON."""
        if isinstance(body, bytes):
            more["headers"] = {"Content-Type": "application/json"} | more.get("headers", {})
            return await self.ask("POST", f"/api/v1/lab/{path}", data=body, **more)
        return await self.ask("POST", f"/api/v1/lab/{path}", json={} if body is None else body, **more)

    async def begin(self, **changes: Any) -> int:
        """A run of ``cx7-drv`` on the branch; gives its number."""
        status, told = await self.post("runs", {"branch": BRANCH, "executor": "cx7-drv"} | changes)
        assert status in (200, 201), told
        return int(told["run"])


@asynccontextmanager
async def served(floor: Floor, token: str = "") -> AsyncIterator[Lab]:
    """The endpoints on loopback, over `floor` (that of ingest)."""
    door = LabDoor("ingest")
    door.open(LabDesk(floor))
    app = make_app()
    add_routes(app, door)
    server = TestServer(app)
    await server.start_server(auto_decompress=False)
    try:
        async with aiohttp.ClientSession() as http:
            yield Lab(http, str(server.make_url("")).rstrip("/"), token)
    finally:
        await server.close()
