"""Crashes of the kernel: which there were lately, and where one of them was seen elsewhere."""

from datetime import timedelta

from aiohttp import web

from services.report.web.front import Data, Front, heavy
from services.report.web.history.reading import reading_of
from shared.errors import Missing, Refused

LATELY = timedelta(weeks=4)
MOST = 200
SHOWN = 25
TITLE = 2000


@heavy
async def crashes(front: Front, request: web.Request) -> Data:
    """The crashes of the last weeks, the most frequent first."""
    rows = await reading_of(front).rows("crashes", front.now - LATELY, MOST)
    return {"crashes": rows, "days": LATELY.days}


@heavy
async def crash(front: Front, request: web.Request) -> Data:
    """One crash by its fingerprint: the branches, labs and tests where it was seen. Raises Missing."""
    title = request.query.get("title", "")[:TITLE]
    if not title:
        raise Refused("title: which crash? The fingerprint of one, as crash?title=WARNING%20in%20foo")
    read = reading_of(front)
    counts = await read.one("crash_counts", title)
    if counts is None or not counts["seen"]:
        raise Missing(f"no branch has seen a crash {title[:300]}")
    return {"title": title, "counts": counts, "seen": await read.rows("crash", title, SHOWN), "most": SHOWN}
