"""The addresses of NIPA's pages: each leads to what we have, or shows the facts plainly."""

import re
from urllib.parse import urlsplit

from aiohttp import web

from services.report.web.front import FRONT, as_page

MOVED = {"/status.html": "/", "/index.html": "/", "/sitemap.html": "/about"}
_OURS = re.compile(r"/run/-?\d{1,18}/log/.+")


async def logview(request: web.Request) -> web.Response:
    """The log that an old link means: shown by us if it is ours, else named. It is never followed by itself."""
    front = request.app[FRONT]
    wanted = request.query.get("f", "") or request.query.get("path", "")
    try:
        parts = urlsplit(wanted)
    except ValueError:
        parts = urlsplit("")
    ours = urlsplit(front.floor.settings.public_url).netloc
    if _OURS.fullmatch(parts.path) and parts.netloc in ("", ours) and "//" not in parts.path:
        return _go(parts.path)
    data = {"address": wanted[:2000], "web": parts.scheme in ("http", "https")}
    return as_page(front, "nipa_log.html", data, request.path_qs)


def _go(path: str) -> web.Response:
    return web.Response(status=302, headers={"Location": path})


async def _moved(request: web.Request) -> web.Response:
    return _go(MOVED[request.path])


def add_routes(app: web.Application) -> None:
    app.router.add_get("/logview.html", logview)
    for path in MOVED:
        app.router.add_get(path, _moved)
