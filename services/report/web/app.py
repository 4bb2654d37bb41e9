"""The web front's composition root: which path shows what, and the server that listens."""

import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Never

from aiohttp import web

from services.report.hooks import api as hooks
from services.report.web import (
    api,
    badges,
    branches,
    checks,
    contest,
    devices,
    events,
    exports,
    feeds,
    follow,
    known,
    logs,
    mine,
    nipa,
    recheck,
    remotes,
    runs,
    series,
    signing,
    statistics,
    status,
    webhooks,
)
from services.report.web.charts import bars, durations
from services.report.web.fresh import Fresh
from services.report.web.front import FRONT, NOBODY, Front, Page, page, twin
from services.report.web.history import compare, crash, flakes, matrix, test
from services.report.web.store import Reading
from services.report.web.words import FILTERS, badge
from shared.errors import Refused
from shared.floor import Floor
from shared.race import race
from shared.web.app import PATIENT, READY, Ready, listen, make_app
from shared.web.auth import Gate
from shared.web.errors import ERROR_PAGE
from shared.web.openapi import Endpoint, document, mount
from shared.web.pages import Pages
from shared.web.rates import Rates
from shared.web.sse import Hub
from shared.web.static import Assets
from shared.web.stream import Stream

PACKAGE = "services.report.web"

Describe = Callable[[str], Mapping[str, Any]]
"""Makes the OpenAPI document, given where we are reached."""

PAGES: tuple[tuple[str, str, Page], ...] = (
    ("/", "status.html", status.status),
    ("/contest", "contest.html", contest.contest),
    ("/contest.html", "contest.html", contest.contest),
    ("/branches", "branches.html", branches.branches),
    ("/branch/{name}", "branch.html", branches.branch),
    ("/series", "series_list.html", series.series_list),
    ("/series/{key:.+}/checks/{context}/{patch:[0-9]{1,4}}", "check.html", checks.check),
    ("/series/{key:.+}/checks/{context}", "check.html", checks.check),
    ("/series/{key:.+}", "series.html", series.series),
    ("/run/{id}", "run.html", runs.run),
    ("/flakes", "flakes.html", flakes.flakes),
    ("/matrix", "matrix.html", matrix.matrix),
    ("/flakes.html", "matrix.html", matrix.nipa_flakes),
    ("/test", "test.html", test.test_history),
    ("/crashes", "crashes.html", crash.crashes),
    ("/crash", "crash.html", crash.crash),
    ("/compare", "compare.html", compare.compare),
    ("/mine", "mine.html", mine.mine),
    ("/checks", "checks.html", statistics.checks),
    ("/checks.html", "checks.html", statistics.checks),
    ("/devices", "devices.html", devices.devices),
    ("/devices.html", "devices.html", devices.devices),
    ("/devices/{remote}/{executor}", "device.html", devices.device),
    ("/remotes", "remotes.html", remotes.remotes),
    ("/remotes/{name}", "remote.html", remotes.remote),
    ("/events", "events.html", events.events),
    ("/webhooks", "webhooks.html", webhooks.webhooks),
    ("/follow", "follow.html", follow.follow),
    ("/about", "about.html", events.about),
)

TWINS: tuple[tuple[str, Page], ...] = (
    ("/status.json", status.status),
    ("/contest.json", contest.contest),
    ("/branch/{name}.json", branches.branch),
    ("/series.json", series.series_list),
    ("/series/{key:.+}/checks/{context}/{patch:[0-9]{1,4}}.json", checks.check),
    ("/series/{key:.+}/checks/{context}.json", checks.check),
    ("/series/{key:.+}.json", series.series),
    ("/run/{id}.json", runs.run),
    ("/flakes.json", flakes.flakes),
    ("/matrix.json", matrix.matrix),
    ("/test.json", test.test_history),
    ("/crashes.json", crash.crashes),
    ("/crash.json", crash.crash),
    ("/compare.json", compare.compare),
    ("/known.json", known.known),
    ("/mine.json", mine.mine),
    ("/checks/statistics.json", statistics.checks),
    ("/devices.json", devices.devices),
    ("/devices/{remote}/{executor}.json", devices.device),
    ("/remotes.json", remotes.remotes),
    ("/remotes/{name}.json", remotes.remote),
    ("/events.json", events.events),
    ("/webhooks.json", webhooks.webhooks),
    ("/follow.json", follow.follow),
    ("/about.json", events.about),
)


ROBOTS = """User-agent: *
Disallow: /api/
Disallow: /query/
Disallow: /contest
Disallow: /matrix
Disallow: /flakes
Disallow: /compare
Disallow: /test
Disallow: /crash?
Disallow: /mine
Disallow: /login
Disallow: /*/log/
Disallow: /*.junit.xml
Disallow: /*.kcidb.json
Crawl-delay: 5
"""


def make_pages(assets: Assets) -> Pages:
    return Pages(
        PACKAGE, {**FILTERS, "durations": durations, "bars": bars}, {"asset": assets.url, "badge": badge, **NOBODY}
    )


async def robots(request: web.Request) -> web.Response:
    """What crawlers may walk: pages that stand for something, not every filter of every table."""
    return web.Response(text=ROBOTS, headers={"Cache-Control": "public, max-age=86400"})


def add_routes(app: web.Application) -> None:
    """Every path that reads. Narrower ones first: a series' key may hold slashes."""
    get = app.router.add_get
    get("/robots.txt", robots)
    get("/run/{id}/log/{name:.+}", logs.run_log)
    # A file may be a quarter of a gigabyte, and its reader slow.
    app[PATIENT].add(logs.run_log)
    get("/series/{key:.+}/log/{revision:[0-9]+}", logs.applied_log)
    get("/branch/{name}/log/{series:[0-9]+}", logs.selection_log)
    nipa.add_routes(app)
    signing.add_routes(app)
    known.add_routes(app)
    get("/contest.csv", exports.as_csv)
    app[PATIENT].add(exports.as_csv)
    for path, told_as in (
        ("/run/{id}.junit.xml", exports.run_as_junit),
        ("/branch/{name}.junit.xml", exports.branch_as_junit),
        ("/branch/{name}.kcidb.json", exports.branch_as_kcidb),
    ):
        get(path, told_as)
        app[PATIENT].add(told_as)
    for path, told in feeds.FEEDS:
        get(path, feeds.feed(told))
    for path, drawn in badges.BADGES:
        get(path, badges.picture(drawn))
    for path, make in TWINS:
        get(path, twin(make))
    for path, template, make in PAGES:
        get(path, page(template, make, signing.who))


FRONTED: tuple[Endpoint[Any], ...] = (*api.ENDPOINTS, *nipa.ENDPOINTS, *recheck.ENDPOINTS, *known.ENDPOINTS)


def described() -> tuple[Endpoint[Any], ...]:
    """Every endpoint of the front that the OpenAPI document names."""
    return (*FRONTED, *hooks.ENDPOINTS)


def describe_ourselves(public_url: str) -> Mapping[str, Any]:
    return document(described(), title="netci", version="1", description="", server=public_url)


def gate_of(floor: Floor) -> Gate:
    """Looks at tokens for this process; their requests are counted by token."""
    rates = Rates(floor.settings.labs.rate, floor.settings.labs.burst)
    return Gate(lambda: floor.pool, floor.clock, lambda: rates)


def build(floor: Floor, hub: Hub, ready: Ready | None = None, describe: Describe | None = None) -> web.Application:
    """The application: pages, twins, stream, static files."""
    assets = Assets(PACKAGE)
    pages = make_pages(assets)
    app = make_app(ready=ready, trusted=floor.settings.web.trusted_proxies, rates=Rates())
    if ready is None:
        app[READY] = lambda: floor.unready() + ([] if hub.well else ["database"])
    reading, gate = Reading(floor.pool), gate_of(floor)
    places = (floor.settings.web.streams_each, floor.settings.web.streams)
    stream = Stream(hub, gate=gate, find=reading.series_numbers, places=places)
    app.on_shutdown.append(stream.close)
    told = describe or describe_ourselves
    app[FRONT] = Front(
        floor, reading, pages, Fresh(floor.bells), stream, cache(lambda: told(floor.settings.public_url))
    )
    app[ERROR_PAGE] = lambda code, title, detail: pages.render(
        "error.html", code=code, title=title, detail=detail, path=""
    )
    assets.mount(app)
    mount(app, FRONTED, lambda: app[FRONT], gate)
    hooks.add_routes(app, floor, gate)
    add_routes(app)
    return app


async def serve(
    floor: Floor,
    ready: Callable[[], None] | None = None,
    extra: Callable[[web.Application], Any] | None = None,
    readiness: Ready | None = None,
    describe: Describe | None = None,
) -> Never:
    """Serve the front on ``web.listen`` until cancelled. `extra` may add routes, such as ingest's;
    `readiness` is what /readyz tells (without it: whether the front itself can read); `describe` makes the OpenAPI
    document (without it: of the front alone).

    Raises Refused where the address can't be listened on, and what the database raises while it is away.
    """
    hub = Hub(floor.pool, floor.bells)
    await hub.start()
    app = build(floor, hub, readiness, describe)
    if extra is not None:
        extra(app)
    await race(_listen(app, floor.settings.web.listen, ready), hub.run())


async def _listen(app: web.Application, address: str, ready: Callable[[], None] | None) -> Never:
    try:
        await listen(app, address, ready)
    except OSError as exc:
        # Somebody else has it, or this machine has it not: waiting mends neither.
        raise Refused(f"web.listen: can't listen on {address}: {os.strerror(exc.errno or 0)}") from exc
