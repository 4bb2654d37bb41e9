"""A BMC to practise on: Redfish over HTTP on loopback (DMTF DSP0266), with a machine that is on or off, and troubles.

What it answers for is a service root, a collection of systems, and the Reset action of each; who is not logged in, and
what is not there, is told so in an extended error, as the standard has it.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

USER, PASSWORD = "ci", "of the bmc"


@dataclass
class Bmc:
    """`systems` says which are on. A change takes `slow` seconds. `broken` answers are 503 first; a `deaf` one takes
    resets and does nothing. `resets` are those that were asked for.
    """

    systems: dict[str, bool] = field(default_factory=lambda: {"1": True})
    slow: float = 0.0
    broken: int = 0
    deaf: bool = False
    port: int = 0
    resets: list[str] = field(default_factory=list)
    changes: set["asyncio.Task[None]"] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def root(self, request: web.Request) -> web.Response:
        return web.json_response({"@odata.id": "/redfish/v1", "Systems": {"@odata.id": "/redfish/v1/Systems"}})

    async def all(self, request: web.Request) -> web.Response:
        members = [{"@odata.id": f"/redfish/v1/Systems/{name}"} for name in self.systems]
        return web.json_response({"Members": members, "Members@odata.count": len(members)})

    async def one(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self.systems:
            return _error(404, "ResourceMissingAtURI", f"The resource {name} was not found.")
        return web.json_response({"Id": name, "PowerState": "On" if self.systems[name] else "Off"})

    async def reset(self, request: web.Request) -> web.Response:
        name, kind = request.match_info["name"], (await request.json()).get("ResetType")
        if kind not in ("On", "ForceOff"):
            return _error(400, "ActionParameterNotSupported", f"The parameter ResetType cannot be {kind}.")
        self.resets.append(kind)
        if not self.deaf:
            change = asyncio.ensure_future(self._change(name, kind == "On"))
            self.changes.add(change)
            change.add_done_callback(self.changes.discard)
        return web.Response(status=204)

    async def _change(self, name: str, on: bool) -> None:
        await asyncio.sleep(self.slow)
        self.systems[name] = on

    @web.middleware
    async def door(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.broken:
            self.broken -= 1
            return web.Response(status=503, text="<html>the BMC is busy</html>", content_type="text/html")
        if request.headers.get("Authorization") != wanted and request.path != "/redfish/v1":
            return _error(401, "NoValidSession", "There is no valid session established with the implementation.")
        return await handler(request)


def _error(status: int, ident: str, text: str) -> web.Response:
    told = {"MessageId": f"Base.1.8.{ident}", "Message": text}
    error = {"code": "Base.1.8.GeneralError", "message": "A general error.", "@Message.ExtendedInfo": [told]}
    return web.json_response({"error": error}, status=status)


@asynccontextmanager
async def served_bmc(bmc: Bmc) -> AsyncIterator[Bmc]:
    """Serve it while inside, on a port of its own."""
    app = web.Application(middlewares=[bmc.door])
    app.router.add_get("/redfish/v1", bmc.root)
    app.router.add_get("/redfish/v1/Systems", bmc.all)
    app.router.add_get("/redfish/v1/Systems/{name}", bmc.one)
    app.router.add_post("/redfish/v1/Systems/{name}/Actions/ComputerSystem.Reset", bmc.reset)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        bmc.port = runner.addresses[0][1]
        yield bmc
    finally:
        await runner.cleanup()
