"""Signing in: a token that was pasted at ``/login`` becomes a cookie, for as long as the browser is open and half a
day at most.

The cookie is HttpOnly and SameSite=Strict: no script reads it, and no other site's page sends it. It is looked at for
pages and their forms alone, never by the API, where ``Authorization`` counts. Each form that changes anything carries a
word (`csrf_of`) that only a page of ours knows.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from services.report.web.front import FRONT, Front, as_page
from shared.db.tokens import check, used
from shared.errors import Refused
from shared.model.tokens import Right, Token
from shared.web.auth import Forbidden, Unauthorized
from shared.web.client import address_of

COOKIE = "netci_token"
LONGEST = 12 * 3600
"""Seconds that a cookie is good for."""
FIELDS = 40
"""Of a form."""


def csrf_of(text: str) -> str:
    """The word that forms of the holder of this token carry."""
    return hmac.new(text.encode(), b"netci csrf", hashlib.sha256).hexdigest()[:40]


async def signed_in(front: Front, request: web.Request) -> Token | None:
    """Whose cookie it is; None without one, and for one that does not hold any more."""
    text = request.cookies.get(COOKIE, "")
    if not text:
        return None
    try:
        return await check(front.floor.pool, text, front.now)
    except Refused:
        return None


async def who(front: Front, request: web.Request) -> Mapping[str, Any]:
    """What every page knows of the one who looks at it."""
    token = await signed_in(front, request)
    if token is None:
        return {"holder": None, "csrf": ""}
    return {"holder": token.name, "admin": token.admin, "csrf": csrf_of(request.cookies[COOKIE])}


async def form_of(front: Front, request: web.Request, right: Right = Right.ADMIN) -> tuple[Token, Mapping[str, str]]:
    """Who sent a form, and its fields. Raises Unauthorized without a cookie that holds, Forbidden for a form that is
    not from a page of ours, and for a token without the right.
    """
    token = await signed_in(front, request)
    if token is None:
        raise Unauthorized("sign in first, at /login: nobody is signed in here, or not any more")
    fields = await _fields(request)
    if not hmac.compare_digest(fields.get("csrf", ""), csrf_of(request.cookies[COOKIE])):
        raise Forbidden("this form is not from a page of ours, or it was open for too long: load the page again")
    if not token.admin and not any(scope.right is right for scope in token.scopes):
        raise Forbidden(f"token {token.id} lacks the scope {right}")
    return token, fields


async def _fields(request: web.Request) -> Mapping[str, str]:
    if request.content_type != "application/x-www-form-urlencoded":
        raise Refused("a form is sent as application/x-www-form-urlencoded")
    found = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    if len(found) > FIELDS:
        raise Refused(f"a form has {FIELDS} fields at most")
    if any("\0" in value for value in found.values()):
        raise Refused("a NUL is in the form")
    return found


async def show_login(request: web.Request) -> web.Response:
    """The page with the form."""
    front = request.app[FRONT]
    data = {"next": local(request.query.get("next", "")), "fault": "", **await who(front, request)}
    return as_page(front, "login.html", data, request.path_qs)


async def log_in(request: web.Request) -> web.Response:
    """Take the token. A wrong one is told on the page."""
    front = request.app[FRONT]
    fields = await _fields(request)
    text, where = fields.get("token", "").strip(), local(fields.get("next", ""))
    try:
        token = await check(front.floor.pool, text, front.now)
    except Refused as exc:
        page = as_page(
            front, "login.html", {"next": where, "fault": str(exc), "holder": None, "csrf": ""}, request.path_qs
        )
        page.set_status(403)
        return page
    await used(front.floor.pool, token.id, address_of(request))
    left = (token.expires - front.now).total_seconds() if token.expires else LONGEST
    response = go(where)
    response.set_cookie(
        COOKIE, text, max_age=int(min(left, LONGEST)), path="/", httponly=True, samesite="Strict",
        secure=front.floor.settings.public_url.startswith("https://"),
    )  # fmt: skip
    return response


async def log_out(request: web.Request) -> web.Response:
    """Forget the cookie. Anybody may: there is nothing to be had by it."""
    response = go("/")
    response.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict")
    return response


def go(where: str) -> web.Response:
    return web.Response(status=303, headers={"Location": where})


def local(where: str) -> str:
    """A path of ours; "/" for what leads elsewhere."""
    if not where.isprintable() or not where.startswith("/") or where.startswith("//") or "\\" in where:
        return "/"
    return where if not urlsplit(where).netloc else "/"


def add_routes(app: web.Application) -> None:
    app.router.add_get("/login", show_login)
    app.router.add_post("/login", log_in)
    app.router.add_post("/logout", log_out)
