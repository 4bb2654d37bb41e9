"""The addresses of NIPA's pages: each leads to what we have, or shows the facts plainly."""

import re
from datetime import timedelta
from urllib.parse import urlsplit

from aiohttp import web

from services.report.web.front import FRONT, Data, Front, as_page, page
from services.report.web.nipa.matrix import MOST_BRANCHES, matrix, parse_flakes
from services.report.web.nipa.reading import reading_of

MOST_RUNS = 20_000
CHECKS_KEPT = timedelta(days=60)
MOVED = {"/status.html": "/", "/index.html": "/", "/sitemap.html": "/about"}
_OURS = re.compile(r"/run/-?\d{1,18}/log/.+")


async def flakes(front: Front, request: web.Request) -> Data:
    """Tests that were not steady, over the newest branches."""
    wanted, read = parse_flakes(request.query), reading_of(front)
    since = await read.value("oldest_slot", wanted.branches, wanted.prefix)
    if since is None:
        return {"wanted": wanted, "branches": [], "rows": []}
    names = [row["name"] for row in await read.rows("branch_names", since, wanted.prefix, MOST_BRANCHES)]
    async with front.bulk:
        runs = await read.rows("flakes_page", since, wanted.prefix, wanted.remote or None, MOST_RUNS)
    return {"wanted": wanted, "branches": names, "rows": matrix(runs, names, wanted)}


async def devices(front: Front, request: web.Request) -> Data:
    """What each lab's machine is, and how much of it passes steadily."""
    return {"devices": await reading_of(front).rows("device_scores")}


async def checks(front: Front, request: web.Request) -> Data:
    """How many checks of which outcome were posted lately."""
    rows = await reading_of(front).rows("check_counts", front.now - CHECKS_KEPT)
    return {"checks": rows, "days": CHECKS_KEPT.days}


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


PAGES = (
    ("/flakes.html", "nipa_flakes.html", flakes),
    ("/devices.html", "nipa_devices.html", devices),
    ("/checks.html", "nipa_checks.html", checks),
)


def add_routes(app: web.Application) -> None:
    for path, template, make in PAGES:
        app.router.add_get(path, page(template, make))
    app.router.add_get("/logview.html", logview)
    for path in MOVED:
        app.router.add_get(path, _moved)
