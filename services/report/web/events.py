"""The log of events as a page, newest first. Programs read `/api/v1/events` (shared/web/stream.py)."""

from aiohttp import web

from services.report.web.filters import before, number
from services.report.web.front import Data, Front
from shared.events import BY_TYPE
from shared.web.stream import filter_of

PAGE = 100
KINDS = {name: event.kind for name, event in BY_TYPE.items()}


async def events(front: Front, request: web.Request) -> Data:
    """`next` is the number that the following page goes on below, None at the end."""
    wanted = filter_of(request)
    most = number(request.query, "limit", PAGE, 500)
    rows = await front.read.rows(
        "events", before(request.query), sorted(wanted.types) or None,
        sorted(wanted.projects) or None, sorted(wanted.streams) or None, sorted(wanted.remotes) or None,
        request.query.get("correlation") or None, most + 1,
    )  # fmt: skip
    following = rows[most - 1]["sequence"] if len(rows) > most else None
    return {
        "events": [row | {"kind": KINDS.get(row["type"], row["type"])} for row in rows[:most]],
        "kinds": sorted(KINDS.values()),
        "kind": request.query.get("type", ""),
        "project": ",".join(sorted(wanted.projects)),
        "correlation": request.query.get("correlation", ""),
        "next": following,
        "public_url": front.floor.settings.public_url,
    }


async def about(front: Front, request: web.Request) -> Data:
    """How to reproduce, fetch, follow."""
    settings = front.floor.settings
    streams = [
        {"project": p, "name": s, "public": stream.public, "every": stream.every, "context": stream.context,
         "takes": project.takes(stream)}
        for p, project in settings.projects.items() for s, stream in project.streams.items()
    ]  # fmt: skip
    public = {name: project.series_public for name, project in settings.projects.items() if project.series_public}
    remotes = [{"name": r.name, "report": r.report} for r in settings.remotes]
    return {"public_url": settings.public_url, "streams": streams, "series_public": public, "remotes": remotes}
