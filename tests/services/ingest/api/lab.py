"""A lab that talks to the endpoints over HTTP: a token, a client, answers as JSON."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer

from services.ingest.api import LabDoor, add_routes
from services.ingest.api.desk import LabDesk
from shared.db.pool import Pool
from shared.db.tokens import Order, create
from shared.floor import Floor
from shared.model.tokens import parse_scopes
from shared.web.app import make_app


async def a_token(owner: Pool, scopes: Sequence[str] = ("results:write:*",), remote: str = "metal", **more: Any) -> str:
    """The text of a new token."""
    async with owner.acquire() as conn:
        return (await create(conn, Order("a lab", remote, parse_scopes(scopes), **more), "test")).text


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
        async with self.http.request(method, self.base + path, headers=headers, **more) as answer:
            json = "json" in answer.content_type
            return answer.status, await (answer.json() if json else answer.text())


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
