"""Webhooks over HTTP: `/api/v1/webhooks`, for who shows a token with ``hooks:manage``. Only one's own are seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from services.report.hooks import manage
from services.report.hooks.manage import Asker, Desk, Order, Span, types_of
from services.report.hooks.seal import seal_of
from services.report.hooks.sees import Wish
from services.report.hooks.store import SQL
from shared.db.pool import Record
from shared.errors import Missing, Refused
from shared.floor import Floor
from shared.model.tokens import Right, Token
from shared.net import Reach
from shared.settings import Settings, parse_duration
from shared.web.auth import Gate
from shared.web.openapi import Asked, Endpoint, Parameter, mount

PATIENCE = 5.0
"""Seconds for a name to resolve."""
_SMALL = Annotated[str, Field(max_length=200)]
_BIG = 2**62


class NewWebhook(BaseModel):
    """Which address is told of what. An empty list means all."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=2000, description="https; ports 80, 443 and from 1024 on")
    name: _SMALL = ""
    types: list[_SMALL] = Field(default=[], max_length=100, description="event types, or their kinds as branch.cut")
    projects: list[_SMALL] = Field(default=[], max_length=100)
    streams: list[_SMALL] = Field(default=[], max_length=100)
    remotes: list[_SMALL] = Field(default=[], max_length=100)
    series: list[Annotated[int, Field(ge=0, le=_BIG)]] = Field(default=[], max_length=100, description="their ids")


class Webhook(BaseModel):
    """A webhook as its owner sees it."""

    id: str
    name: str
    url: str
    remote: str
    types: list[str]
    projects: list[str]
    streams: list[str]
    remotes: list[str]
    series: list[int]
    state: Literal["active", "paused", "disabled"]
    why: str
    since: datetime
    failures: int
    delivered: datetime | None
    waiting: int
    made: datetime


class MadeWebhook(BaseModel):
    """A new webhook, or a new secret of one. The secret is shown this once."""

    id: str
    secret: str


class Webhooks(BaseModel):
    webhooks: list[Webhook]


class Delivery(BaseModel):
    """An event on its way to a webhook."""

    id: int
    event: str
    sequence: str
    type: str
    state: Literal["due", "sending", "delivered", "failed", "dropped"]
    why: str
    attempts: int
    due: datetime
    made: datetime
    settled: datetime | None


class Attempt(BaseModel):
    """One request: what was sent besides the body, what was answered, how long it took."""

    number: int
    began: datetime
    outcome: Literal["sending", "delivered", "failed", "refused", "unknown"]
    headers: dict[str, str]
    address: str
    status: int | None
    answer: str
    error: str
    seconds: float | None


class OneDelivery(Delivery):
    """A delivery with its body and all attempts."""

    body: str
    log: list[Attempt]


class Deliveries(BaseModel):
    """Newest first; `next` is the `before` of the following page, null at the end."""

    deliveries: list[Delivery]
    next: int | None


class Why(BaseModel):
    model_config = ConfigDict(extra="forbid")

    why: str = Field(min_length=1, max_length=500)


class Overlap(BaseModel):
    model_config = ConfigDict(extra="forbid")

    overlap: str = Field(default="1d", max_length=20, description="how long the old secret signs as well: 0s to 30d")


class Between(BaseModel):
    """A part of the log, both ends included; each a sequence number or a time."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    first: str = Field(alias="from", max_length=40, min_length=1)
    last: str = Field(default="", alias="to", max_length=40, description="default: up to now")


class Queued(BaseModel):
    """What was put in line: a number of events, or a delivery."""

    queued: int = 1
    delivery: int | None = None


@dataclass(frozen=True)
class Office:
    """What the endpoints work with."""

    floor: Floor
    desk: Desk

    async def asker(self, token: Token) -> Asker:
        """Whose webhooks are seen. A token for trying stands for itself alone, not for its remote."""
        ids = [row["id"] for row in await self.floor.pool.fetch(SQL["ancestors"], token.id)]
        remote = "" if token.sandbox else token.remote
        return Asker(f"token {token.id}", token.admin, remote, token.id, tuple(ids))


def desk_of(settings: Settings) -> Desk:
    """Raises Refused for a key file that holds no key."""
    reach = Reach(settings.outgoing.allow_private, patience=PATIENCE)
    return Desk(seal_of(settings), reach, settings.webhooks.most)


def add_routes(app: web.Application, floor: Floor, gate: Gate) -> None:
    """Serve them on `app`."""
    office = Office(floor, desk_of(floor.settings))
    mount(app, ENDPOINTS, lambda: office, gate)


async def listing(office: Office, asked: Asked) -> Webhooks:
    asker = await office.asker(asked.holder)
    async with office.floor.pool.acquire() as conn:
        return Webhooks(webhooks=[_webhook(row) for row in await manage.listed(conn, asker)])


async def add(office: Office, asked: Asked) -> MadeWebhook:
    body: NewWebhook = asked.body
    wish = Wish(
        types_of(body.types), tuple(body.projects), tuple(body.streams), tuple(body.remotes), tuple(body.series)
    )
    order = Order(body.url, body.name, _storable(wish, body.name))
    asker = await office.asker(asked.holder)
    async with office.floor.pool.acquire() as conn:
        ident, secret = await office.desk.add(conn, asker, order, office.floor.clock())
    return MadeWebhook(id=ident, secret=secret)


def _storable(wish: Wish, name: str) -> Wish:
    words = (name, *wish.projects, *wish.streams, *wish.remotes)
    if any(not word.isprintable() or any("\ud800" <= c <= "\udfff" for c in word) for word in words):
        raise Refused("names are printable text")
    return wish


async def show(office: Office, asked: Asked) -> Webhook:
    asker = await office.asker(asked.holder)
    async with office.floor.pool.acquire() as conn:
        return _webhook(await manage.own(conn, asker, asked.values["id"]))


async def remove(office: Office, asked: Asked) -> None:
    asker = await office.asker(asked.holder)
    async with office.floor.pool.acquire() as conn:
        await manage.remove(conn, asker, asked.values["id"])


async def rotate(office: Office, asked: Asked) -> MadeWebhook:
    try:
        overlap = parse_duration(asked.body.overlap)
    except ValueError as exc:
        raise Refused(f"overlap: {exc}") from None
    if not isinstance(overlap, timedelta) or overlap > timedelta(days=30):
        raise Refused("overlap: 30d at most")
    asker, ident = await office.asker(asked.holder), asked.values["id"]
    async with office.floor.pool.acquire() as conn:
        secret = await office.desk.rotate(conn, asker, ident, overlap, office.floor.clock())
    return MadeWebhook(id=ident, secret=secret)


async def pause(office: Office, asked: Asked) -> Webhook:
    if "\0" in asked.body.why:
        raise Refused("why: printable text")
    asker, ident = await office.asker(asked.holder), asked.values["id"]
    async with office.floor.pool.acquire() as conn:
        await manage.pause(conn, asker, ident, asked.body.why, office.floor.clock())
        return _webhook(await manage.own(conn, asker, ident))


async def resume(office: Office, asked: Asked) -> Webhook:
    asker, ident = await office.asker(asked.holder), asked.values["id"]
    async with office.floor.pool.acquire() as conn:
        await manage.resume(conn, asker, ident, office.floor.clock())
        return _webhook(await manage.own(conn, asker, ident))


async def ping(office: Office, asked: Asked) -> Queued:
    asker = await office.asker(asked.holder)
    async with office.floor.pool.acquire() as conn:
        return Queued(delivery=await manage.ping(conn, asker, asked.values["id"], office.floor.clock()))


async def deliveries(office: Office, asked: Asked) -> Deliveries:
    asker, values = await office.asker(asked.holder), asked.values
    async with office.floor.pool.acquire() as conn:
        await manage.own(conn, asker, values["id"])
        most = values["limit"]
        rows = await conn.fetch(SQL["deliveries"], values["id"], values["state"], values["before"], most + 1)
    following = rows[most - 1]["id"] if len(rows) > most else None
    return Deliveries(deliveries=[_delivery(row) for row in rows[:most]], next=following)


async def delivery(office: Office, asked: Asked) -> OneDelivery:
    asker, ident, number = await office.asker(asked.holder), asked.values["id"], asked.values["delivery"]
    async with office.floor.pool.acquire() as conn:
        await manage.own(conn, asker, ident)
        row = await conn.fetchrow(SQL["delivery"], ident, number)
        if row is None:
            raise Missing(f"no delivery {number} of {ident}")
        attempts = await conn.fetch(SQL["attempts"], number)
    log = [Attempt.model_validate(dict(attempt)) for attempt in attempts]
    return OneDelivery(**_delivery(row).model_dump(), body=row["body"], log=log)


async def redeliver(office: Office, asked: Asked) -> Queued:
    asker, ident, number = await office.asker(asked.holder), asked.values["id"], asked.values["delivery"]
    async with office.floor.pool.acquire() as conn:
        await manage.redeliver(conn, asker, ident, number, office.floor.clock())
    return Queued(delivery=number)


async def redeliver_span(office: Office, asked: Asked) -> Queued:
    span, asker = span_of(asked.body.first, asked.body.last), await office.asker(asked.holder)
    async with office.floor.pool.acquire() as conn:
        now = office.floor.clock()
        return Queued(queued=await manage.redeliver_span(conn, asker, asked.values["id"], span, now))


def span_of(first: str, last: str) -> Span:
    """From two words, each a sequence number or a time. Raises Refused."""
    number, since = _end("from", first)
    upto, until = _end("to", last) if last else (None, None)
    if (number and upto is not None and upto < number) or (since and until and until < since):
        raise Refused("to: is before from")
    return Span(number or 0, upto, since, until)


def _end(name: str, text: str) -> tuple[int | None, datetime | None]:
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text), None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Refused(f"{name}: a sequence number, or a time with its zone as 2026-11-23T09:00:00Z")
    return None, at


def _webhook(row: Record) -> Webhook:
    return Webhook(
        id=row["id"], name=row["name"], url=row["url"], remote=row["remote"], types=row["types"],
        projects=row["of_projects"], streams=row["of_streams"], remotes=row["of_remotes"], series=row["of_series"],
        state=row["state"], why=row["why"], since=row["since"], failures=row["failures"],
        delivered=row["delivered"], waiting=row["waiting"], made=row["made"],
    )  # fmt: skip


def _delivery(row: Record) -> Delivery:
    return Delivery(
        id=row["id"], event=str(row["event_id"]), sequence="" if row["ping"] else str(row["sequence"]),
        type=row["type"], state=row["state"], why=row["why"], attempts=row["attempts"], due=row["due"],
        made=row["made"], settled=row["settled"],
    )  # fmt: skip


ID = Parameter(
    "id",
    Annotated[str, Field(pattern=r"^wh_[0-9A-Za-z]{16}$")],
    "as it was given at registration",
    form="an id looks like wh_5tqLrX0cFnbGh2Wd",
)
NUMBER = Parameter("delivery", Annotated[int, Field(ge=1, le=_BIG)], "the number of a delivery")
PAGING = (
    Parameter("state", Literal["due", "sending", "delivered", "failed", "dropped"], "only these"),
    Parameter("before", Annotated[int, Field(ge=1, le=_BIG)], "go on below this number"),
    Parameter("limit", Annotated[int, Field(ge=1, le=500)], "how many", default=100),
)
BASE = "/api/v1/webhooks"


def _endpoint(method: str, path: str, summary: str, act: Any, **more: Any) -> Endpoint[Office]:
    parts: Sequence[Parameter] = [p for p in (ID, NUMBER) if f"{{{p.name}}}" in path]
    return Endpoint(
        method, BASE + path, summary, act, tag="webhooks", right=Right.HOOKS, parts=tuple(parts), **more
    )  # fmt: skip


ENDPOINTS: tuple[Endpoint[Office], ...] = (
    _endpoint("GET", "", "Your webhooks", listing, answer=Webhooks),
    _endpoint(
        "POST", "", "Register a webhook; its secret is shown this once", add, body=NewWebhook, answer=MadeWebhook,
        status=201,
        description="The address must resolve, to nothing private. Events from now on are sent; earlier ones with "
        "`redeliver`.",
    ),
    _endpoint("GET", "/{id}", "One webhook", show, answer=Webhook),
    _endpoint("DELETE", "/{id}", "Remove it, with its log of deliveries", remove, status=204),
    _endpoint(
        "POST", "/{id}/rotate", "A new secret; for a while requests are signed with both", rotate, body=Overlap,
        answer=MadeWebhook,
    ),
    _endpoint("POST", "/{id}/pause", "Hold back what is sent; nothing is lost", pause, body=Why, answer=Webhook),
    _endpoint("POST", "/{id}/resume", "Go on after a pause, or after it was disabled", resume, answer=Webhook),
    _endpoint("POST", "/{id}/ping", "Send a ping, once", ping, answer=Queued, status=202),
    _endpoint(
        "POST", "/{id}/redeliver", "Send a part of the log again, or for the first time", redeliver_span, body=Between,
        answer=Queued, status=202,
    ),
    _endpoint("GET", "/{id}/deliveries", "What was sent, newest first", deliveries, query=PAGING, answer=Deliveries),
    _endpoint("GET", "/{id}/deliveries/{delivery}", "One delivery, with every attempt", delivery, answer=OneDelivery),
    _endpoint(
        "POST", "/{id}/deliveries/{delivery}/redeliver", "Send one again, under the same id", redeliver, answer=Queued,
        status=202,
    ),
)  # fmt: skip
