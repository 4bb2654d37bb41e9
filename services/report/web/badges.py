"""Badges: how a series, a stream's newest branch, a branch or a test stands, as a picture for READMEs and mails."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from services.report.web import branches, series
from services.report.web.charts import badge_image
from services.report.web.front import FRONT, Front
from services.report.web.history import test
from services.report.web.words import kind_of
from shared.formats.clean import cut, plain

CACHE = "public, max-age=60"
LABEL = 40
_WORST = ("success", "pending", "warning", "fail")

Make = Callable[[Front, web.Request], Awaitable[tuple[str, str]]]


async def of_series(front: Front, request: web.Request) -> tuple[str, str]:
    data = await series.series(front, request)
    states = [v["state"] for v in data["verdicts"]]
    word = (
        data["series"]["state"]
        if data["series"]["state"] != "active"
        else max(states, key=_WORST.index, default="waiting")
    )
    return "netci", word


async def of_branch(front: Front, request: web.Request) -> tuple[str, str]:
    data = await branches.branch(front, request)
    return data["branch"]["name"], data["branch"]["verdict"] or data["branch"]["state"]


async def of_stream(front: Front, request: web.Request) -> tuple[str, str]:
    """The newest branch of which there is a verdict."""
    data = await branches.branches(front, request)
    settled = (row["verdict"] for row in data["branches"] if row["verdict"] not in ("", "waiting"))
    return data["stream"] or "netci", next(settled, "waiting")


async def of_test(front: Front, request: web.Request) -> tuple[str, str]:
    data = await test.test_history(front, request)
    return data["filters"]["test"], "fail" if data["failing"] else "pass"


BADGES: tuple[tuple[str, Make], ...] = (
    ("/series/{key:.+}.svg", of_series),
    ("/branch/{name}.svg", of_branch),
    ("/branches.svg", of_stream),
    ("/test.svg", of_test),
)


def picture(make: Make) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler that draws what `make` gives: of what, and the word."""

    async def draw(request: web.Request) -> web.Response:
        label, word = await make(request.app[FRONT], request)
        body = badge_image(cut(plain(label), LABEL), word, kind_of(word))
        return web.Response(text=body, content_type="image/svg+xml", headers={"Cache-Control": CACHE})

    return draw
