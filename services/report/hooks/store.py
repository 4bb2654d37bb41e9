"""Rows of webhooks as values. Every verb takes the connection, and with it the transaction, of its caller."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.report.hooks.schedule import Past
from services.report.hooks.sees import Held, Wish, holder, sees
from shared.db.outbox import stage
from shared.db.pool import Connection, Pool, Record
from shared.db.statements import load
from shared.events import Envelope, HookDisabled
from shared.model.tokens import Token, parse_scopes

SQL = load("services.report.hooks")
ROOM = "report"


@dataclass(frozen=True, slots=True)
class Listener:
    """An endpoint as the log sees it: what it wants, whose rights it has, and where it begins."""

    id: str
    remote: str
    token_id: str
    sees: str
    wish: Wish
    state: str
    after: int

    def hears(self, event: Envelope, token: Token) -> bool:
        """Whether this is for it."""
        return self.wish.wants(event) and sees(self, token, event)


@dataclass(frozen=True, slots=True)
class Parcel:
    """A delivery that was taken up: attempt number `attempts`, the `tries`-th in its schedule."""

    id: int
    hook: str
    event: UUID
    type: str
    ping: bool
    body: str
    tries: int
    attempts: int
    began: datetime
    url: str
    remote: str
    token_id: str
    sees: str
    secret: bytes
    old_secret: bytes | None
    old_until: datetime | None
    failures: int
    delivered: datetime | None

    def past(self, failed: bool) -> Past:
        """What went before, this attempt included."""
        good = self.delivered is not None and self.delivered >= self.began
        return Past(self.tries, self.failures + failed, self.ping, good)


def a_listener(row: Record) -> Listener:
    return Listener(row["id"], row["remote"], row["token_id"], row["sees"], a_wish(row), row["state"], row["after"])


def a_wish(row: Record) -> Wish:
    return Wish(
        tuple(row["types"]), tuple(row["of_projects"]), tuple(row["of_streams"]), tuple(row["of_remotes"]),
        tuple(row["of_series"]),
    )  # fmt: skip


def a_parcel(row: Record) -> Parcel:
    return Parcel(
        row["id"], row["hook_id"], row["event_id"], row["type"], row["ping"], row["body"], row["tries"],
        row["attempts"], row["began"], row["url"], row["remote"], row["token_id"], row["sees"], row["secret"],
        row["old_secret"], row["old_until"], row["failures"], row["delivered"],
    )  # fmt: skip


async def tokens(conn: Connection | Pool) -> dict[str, Held]:
    """All tokens, by their public ids."""
    return {row["id"]: _held(row) for row in await conn.fetch(SQL["tokens"])}


def _held(row: Record) -> Held:
    token = Token(
        row["id"], row["name"], row["remote"], parse_scopes(row["scopes"]), tuple(row["projects"]), row["sandbox"],
        row["expires"],
    )  # fmt: skip
    return Held(token, row["after"], row["revoked"])


async def still_seen(pool: Pool, parcel: Parcel, now: datetime) -> bool:
    """Whether the endpoint's owner may still be told: tokens end, and change hands."""
    token = holder(parcel, await tokens(pool), now)
    return token is not None and (parcel.ping or sees(parcel, token, Envelope.model_validate_json(parcel.body)))


async def disable(conn: Connection, hook: str, why: str, remote: str, now: datetime) -> None:
    """No more is sent to an endpoint, and who it belongs to can hear of it. What waits for it is dropped."""
    if await conn.fetchval(SQL["lock_hook"], hook) in (None, "disabled"):
        return
    await conn.execute(SQL["set_state"], hook, "disabled", why, now)
    await conn.execute(SQL["drop_waiting"], hook, f"the webhook was disabled: {why}", now)
    await stage(conn, ROOM, HookDisabled(hook=hook, remote=remote, reason=why), now=now)


async def put_by(conn: Connection, rows: Iterable[tuple[object, ...]]) -> None:
    """Add deliveries: (hook, event id, sequence, type, ping, body, now). Those that are there already stay."""
    await conn.executemany(SQL["add_delivery"], list(rows))
