"""Known issues: the page with its forms, and the API."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from services.report.known import store
from services.report.known.rules import KnownIssue
from services.report.web.front import FRONT, Data, Front, as_page
from services.report.web.signing import form_of, go, who
from shared.errors import Refused
from shared.model.tokens import Right, Token
from shared.web.openapi import Asked, Endpoint, Parameter

_Glob = Annotated[str, Field(max_length=512, pattern=r"^[^\x00]*$")]
_Words = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")]
USUAL = timedelta(days=30)
"""How long a rule holds if the form is sent as it comes."""


class NewIssue(BaseModel):
    """What fails, why that is known, who looks after it, until when. Globs of * and ?; without one: any."""

    model_config = ConfigDict(extra="forbid")

    project: Annotated[str, Field(max_length=100, pattern=r"^[^\x00]*$")]
    test: _Glob = Field(default="", description="the test; this or `crash` is needed, and more than stars")
    crash: _Glob = Field(default="", description="the fingerprint; each crash that the test left must be it")
    stream: _Glob = ""
    remote: _Glob = ""
    executor: _Glob = ""
    group: _Glob = ""
    reason: _Words
    owner: _Words = Field(description="who looks after it")
    link: str = Field(
        default="", max_length=2000, pattern=r"^(https?://[^\x00]*)?$", description="to a report, a patch"
    )
    expires: datetime = Field(description="with a zone; a year at most")


class Tried(BaseModel):
    """What a rule matches in the last `days`: `hits` of `failures`. `turned` branches would not have failed."""

    days: int
    failures: int
    hits: int
    branches: int
    turned: int
    cut_off: bool
    shown: list[dict[str, Any]]


class Kept(BaseModel):
    id: int


class Ended(BaseModel):
    model_config = ConfigDict(extra="forbid")

    why: str = Field(default="", max_length=500, pattern=r"^[^\x00]*$")


class Issues(BaseModel):
    issues: list[dict[str, Any]]


async def known(front: Front, request: web.Request) -> Data:
    """Rules that hold, with what they matched; with ``over=1`` also those that are over."""
    project, over = request.query.get("project", "")[:100], request.query.get("over", "") not in ("", "0")
    rows = await store.listed(front.floor.pool, project, front.now, over)
    return {
        "issues": rows, "project": project, "over": over, "projects": sorted(front.floor.settings.projects),
        "idle": sum(row["idle"] for row in rows),
    }  # fmt: skip


FORM = ("project", "stream", "remote", "executor", "group", "test", "crash", "reason", "link", "owner")


async def show(request: web.Request) -> web.Response:
    """The page; the query may fill the form in, as links from failures do."""
    front = request.app[FRONT]
    filled = {name: request.query.get(name, "")[:512] for name in FORM}
    filled["expires"] = str((front.now + USUAL).date())
    return await _page(request, filled)


async def _page(
    request: web.Request, filled: Mapping[str, str], tried: Data | None = None, fault: str = ""
) -> web.Response:
    front = request.app[FRONT]
    data = {**await known(front, request), "form": filled, "tried": tried, "fault": fault}
    page = as_page(front, "known.html", data | dict(await who(front, request)), request.path_qs)
    if fault:
        page.set_status(400)
    return page


async def change(request: web.Request) -> web.Response:
    """The form: tried on what failed lately, or kept."""
    front = request.app[FRONT]
    token, fields = await form_of(front, request)
    filled = {name: fields.get(name, "").strip() for name in (*FORM, "expires")}
    try:
        issue = _of_form(front, filled)
        if fields.get("do") != "keep":
            return await _page(request, filled, await store.try_on(front.floor.pool, issue, front.now))
        await _add(front, issue, token)
    except Refused as exc:
        return await _page(request, filled, fault=str(exc))
    return go("/known")


async def end(request: web.Request) -> web.Response:
    """The button beside a rule."""
    front = request.app[FRONT]
    token, fields = await form_of(front, request)
    async with front.floor.pool.acquire() as conn, conn.transaction():
        await store.end(conn, int(request.match_info["id"]), _by(token), fields.get("why", "")[:500], front.now)
    return go("/known")


def _of_form(front: Front, filled: Mapping[str, str]) -> KnownIssue:
    try:
        # To the end of that day.
        day = datetime.combine(date.fromisoformat(filled["expires"]), time(23, 59, 59), UTC)
    except ValueError:
        raise Refused(f"expires: a day as 2026-12-24, not {filled['expires'][:40]!r}") from None
    told: dict[str, Any] = {name: filled[name] for name in FORM}
    return _checked_project(front, KnownIssue(**told, expires=day))


def _checked_project(front: Front, issue: KnownIssue) -> KnownIssue:
    if issue.project not in front.floor.settings.projects:
        there = ", ".join(sorted(front.floor.settings.projects))
        raise Refused(f"project: there is no {issue.project[:100]!r}; there is: {there}")
    return issue


async def _add(front: Front, issue: KnownIssue, token: Token) -> int:
    async with front.floor.pool.acquire() as conn, conn.transaction():
        return await store.add(conn, issue, _by(token), front.now)


def _by(token: Token) -> str:
    return f"{token.name} (token {token.id})"


def _of_body(front: Front, body: NewIssue) -> KnownIssue:
    expires = body.expires if body.expires.tzinfo else body.expires.replace(tzinfo=UTC)
    return _checked_project(front, KnownIssue(**body.model_dump() | {"expires": expires}))


async def give(front: Front, asked: Asked) -> Any:
    return await known(front, asked.request)


async def post(front: Front, asked: Asked) -> Any:
    return Kept(id=await _add(front, _of_body(front, asked.body), asked.holder))


async def try_it(front: Front, asked: Asked) -> Any:
    return await store.try_on(front.floor.pool, _of_body(front, asked.body), front.now)


async def end_it(front: Front, asked: Asked) -> Any:
    why = asked.body.why if asked.body else ""
    async with front.floor.pool.acquire() as conn, conn.transaction():
        await store.end(conn, asked.values["id"], _by(asked.holder), why, front.now)
    return Kept(id=asked.values["id"])


_ID = Parameter("id", Annotated[int, Field(gt=0, lt=10**18)], "Its number.", example=1)

ENDPOINTS: tuple[Endpoint[Front], ...] = (
    Endpoint(
        "GET", "/api/v1/known-issues", "Known issues that hold, and what they matched", give, tag="known issues",
        answer=Issues, query=(Parameter("project", _Glob), Parameter("over", _Glob, "1: also those that are over.")),
    ),
    Endpoint(
        "POST", "/api/v1/known-issues", "Say that a failure is known and does not count", post, tag="known issues",
        right=Right.ADMIN, body=NewIssue, answer=Kept, status=201,
    ),
    Endpoint(
        "POST", "/api/v1/known-issues/try", "What a rule would have matched in the last two weeks", try_it,
        tag="known issues", right=Right.ADMIN, body=NewIssue, answer=Tried,
    ),
    Endpoint(
        "POST", "/api/v1/known-issues/{id}/end", "Its failures count again", end_it, tag="known issues",
        right=Right.ADMIN, body=Ended, answer=Kept, parts=(_ID,), statuses=(404,),
    ),
)  # fmt: skip


def add_routes(app: web.Application) -> None:
    app.router.add_get("/known", show)
    app.router.add_post("/known", change)
    app.router.add_post("/known/{id:[0-9]{1,18}}/end", end)
