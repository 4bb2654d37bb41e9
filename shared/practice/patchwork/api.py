"""Patchwork's REST API as one function: which path is answered by what, in which versions.

A path or version that is not known is left to the caller (Patchwork gives HTML); an unknown thing is a JSON 404, a
wrong method 405.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from shared.practice.patchwork import asking, filters, pages, posting, reading
from shared.practice.patchwork.asking import Answer, Ask
from shared.practice.patchwork.changes import Denied, denied
from shared.practice.patchwork.reading import Call, Handler
from shared.practice.patchwork.state import Patchwork
from shared.practice.patchwork.views import Views

NEWEST = (1, 4)
PREFIX = re.compile(r"/api(?:/(\d)\.(\d))?(/.*)")


@dataclass(frozen=True, slots=True)
class Route:
    pattern: re.Pattern[str]
    methods: Mapping[str, Handler]
    since: tuple[int, int]
    allow: str


@dataclass(frozen=True, slots=True)
class Found:
    """Where a path leads: `keys` is what it names, `prefix` the path of the API as it was asked."""

    route: Route
    keys: tuple[str, ...]
    version: tuple[int, int]
    prefix: str


READ = "GET, HEAD, OPTIONS"
EDIT = "GET, PUT, PATCH, HEAD, OPTIONS"


def _route(path: str, allow: str = READ, since: int = 0, **methods: Handler) -> Route:
    pattern = path.replace("KEY", r"([^/]+)").replace("N", r"(\d+)")
    return Route(re.compile(pattern + r"\Z"), methods, (1, since), allow)


ROUTES = (
    _route("/", GET=reading.index),
    _route("/projects/", GET=reading.projects),
    _route("/projects/KEY/", EDIT, GET=reading.project),
    _route("/people/", GET=reading.people),
    _route("/people/N/", GET=reading.person),
    _route("/users/", GET=reading.users),
    _route("/users/N/", EDIT, GET=reading.user),
    _route("/series/", GET=reading.series_list),
    _route("/series/N/", GET=reading.series),
    _route("/patches/", GET=reading.patches),
    _route("/patches/N/", EDIT, GET=reading.patch, PATCH=posting.change_patch, PUT=posting.change_patch),
    _route("/patches/N/checks/", "GET, POST, HEAD, OPTIONS", GET=reading.checks, POST=posting.post_check),
    _route("/patches/N/checks/N/", GET=reading.check),
    _route("/patches/N/comments/", since=1, GET=reading.patch_comments),
    _route("/patches/N/comments/N/", EDIT, since=3, GET=reading.patch_comment, PATCH=posting.change_patch_comment),
    _route("/covers/", GET=reading.covers),
    _route("/covers/N/", GET=reading.cover),
    _route("/covers/N/comments/", since=1, GET=reading.cover_comments),
    _route("/covers/N/comments/N/", EDIT, since=3, GET=reading.cover_comment, PATCH=posting.change_cover_comment),
    _route("/events/", GET=reading.events),
    _route("/bundles/", GET=reading.bundles),
)


def find(path: str, newest: tuple[int, int] = NEWEST) -> Found | None:
    """Where a path leads; None for a path or a version that is not there."""
    match = PREFIX.match(path)
    if match is None:
        return None
    version = (int(match[1]), int(match[2])) if match[1] else newest
    prefix = f"/api/{match[1]}.{match[2]}" if match[1] else "/api"
    known = [route for route in ROUTES if (1, 0) <= route.since <= version <= newest]
    for route in known:
        named = route.pattern.match(match[3])
        if named:
            return Found(route, named.groups(), version, prefix)
    return None


def answer(pw: Patchwork, ask: Ask, newest: tuple[int, int] = NEWEST) -> Answer | None:
    """Answer a request under /api/; None when no such path is known.

    `newest` below (1, 3) makes Links as Patchwork 2.2 does.
    """
    found = find(ask.path, newest)
    if found is None:
        return None
    headers = {"Vary": "Accept, Cookie", "Allow": found.route.allow}
    try:
        as_page = asking.wants_page(ask)
        views = Views(pw, f"http://{ask.host}", found.prefix, found.version)
        call = Call(pw, ask, views, asking.caller(pw, ask), found.keys, newest >= (1, 3))
        given = _handler(found.route, ask.method)(call)
    except Denied as why:
        given, as_page = asking.as_json(why.body, why.status), False
        headers["Vary"] = "Accept" if why.status == 406 else headers["Vary"]
    except filters.Unusable:
        return asking.as_page(pages.FAILED, 500)
    given.headers = headers | given.headers
    return _shown(given, headers) if as_page else given


def _handler(route: Route, method: str) -> Handler:
    if method == "OPTIONS":
        return lambda call: asking.as_json(
            {"name": "", "description": "", "renders": ["application/json", "text/html"]}
        )
    handler = route.methods.get("GET" if method == "HEAD" else method)
    if handler is None:
        raise denied(405, f'Method "{method}" not allowed.')
    return handler


def _shown(given: Answer, headers: Mapping[str, str]) -> Answer:
    page = asking.as_page(pages.browsable(given.body.decode("utf-8", "replace")), given.status)
    page.headers |= headers
    return page
