"""What the owner of a webhook can do with it: the same for the API and for an operator's commands.

Each change is one transaction with its line in the audit log. Refuses to know who asks: `Asker` says what is theirs.
"""

import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from services.report.hooks.address import parse
from services.report.hooks.carry import reach_of
from services.report.hooks.follow import CURSOR, body_of, deliveries
from services.report.hooks.seal import HOW, Seal
from services.report.hooks.sees import Wish
from services.report.hooks.sender import wake
from services.report.hooks.store import ROOM, SQL, a_listener, put_by, tokens
from shared.db.outbox import SQL as FLOOR
from shared.db.pool import Connection, Record
from shared.errors import Missing, Refused
from shared.events import BY_TYPE, Envelope
from shared.events.hook import Ping
from shared.formats.signed import new_secret
from shared.model.ids import uuid7
from shared.net import Reach

OVERLAP = timedelta(days=1)
MOST_AGAIN = 10_000
"""Events of the log that one redelivery looks at."""
_KINDS = {event.kind: name for name, event in BY_TYPE.items()}
_LETTERS = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and what is theirs: all of it, their remote's, or what one of `tokens` made (theirs and those that
    it succeeded)."""

    name: str
    all: bool = False
    remote: str = ""
    token: str = ""
    tokens: tuple[str, ...] = ()

    def owns(self, row: Record) -> bool:
        if self.all or (row["remote"] and row["remote"] == self.remote):
            return True
        return bool(row["token_id"]) and row["token_id"] in self.tokens


@dataclass(frozen=True, slots=True)
class Order:
    """A webhook to be made."""

    url: str
    name: str = ""
    wish: Wish = field(default_factory=Wish)
    remote: str = ""
    sees: str = "public"


@dataclass(frozen=True, slots=True)
class Desk:
    """What the changes are made with. `seal` is None where no key is configured."""

    seal: Seal | None
    reach: Reach
    most: int

    async def add(self, conn: Connection, asker: Asker, order: Order, now: datetime) -> tuple[str, str]:
        """Make one; gives its id and, this once, its secret. Raises Refused, Transient."""
        seal = self._sealing()
        await reach_of(parse(order.url), self.reach)
        remote = order.remote if asker.all and not asker.token else asker.remote
        ident, secret, wish = "wh_" + "".join(secrets.choice(_LETTERS) for _ in range(16)), new_secret(), order.wish
        async with conn.transaction():
            await self._room_for_one(conn, asker, remote)
            # Where the log is followed from, if nobody followed it yet.
            await conn.execute(SQL["open_cursor"], CURSOR)
            await conn.execute(
                SQL["add_hook"], ident, order.name, order.url, remote, asker.token, order.sees, list(wish.types),
                list(wish.projects), list(wish.streams), list(wish.remotes), list(wish.series),
                seal.close(ident, secret), now, asker.name,
            )  # fmt: skip
            await _audit(conn, asker, "hook add", ident, detail={"host": parse(order.url).host})
        return ident, secret

    async def _room_for_one(self, conn: Connection, asker: Asker, remote: str) -> None:
        await conn.execute(SQL["lock_owner"], remote or asker.token)
        if await conn.fetchval(SQL["count_hooks"], remote, asker.token) >= self.most and asker.token:
            raise Refused(f"{self.most} webhooks are enough: remove one first")

    def _sealing(self) -> Seal:
        if self.seal is None:
            raise Refused(f"webhooks are off here: [webhooks] key_file is not set; {HOW}")
        return self.seal

    async def rotate(self, conn: Connection, asker: Asker, ident: str, overlap: timedelta, now: datetime) -> str:
        """A new secret, shown this once; for `overlap` requests are signed with the old one, too."""
        seal, secret = self._sealing(), new_secret()
        async with conn.transaction():
            await own(conn, asker, ident)
            await conn.execute(SQL["turn_secret"], ident, seal.close(ident, secret), now + overlap)
            await _audit(conn, asker, "hook rotate", ident)
        return secret


async def own(conn: Connection, asker: Asker, ident: str) -> Record:
    """The webhook, if it is the asker's; who asks for another's is told what everybody is told. Raises Missing."""
    row = await conn.fetchrow(SQL["hook"], ident)
    if row is None or not asker.owns(row):
        raise Missing(f"no webhook {ident}")
    return row


async def listed(conn: Connection, asker: Asker) -> Sequence[Record]:
    return await conn.fetch(SQL["hooks"], asker.all, asker.remote, list(asker.tokens))


async def remove(conn: Connection, asker: Asker, ident: str) -> None:
    """It goes with its log of deliveries."""
    async with conn.transaction():
        await own(conn, asker, ident)
        await conn.execute(SQL["drop_hook"], ident)
        await _audit(conn, asker, "hook remove", ident)


async def pause(conn: Connection, asker: Asker, ident: str, why: str, now: datetime) -> None:
    """What happens meanwhile is kept for it, and goes out when it is resumed."""
    async with conn.transaction():
        if (await own(conn, asker, ident))["state"] == "disabled":
            raise Refused("it is disabled already; resume begins anew with what happens from then on")
        await conn.execute(SQL["set_state"], ident, "paused", why, now)
        await _audit(conn, asker, "hook pause", ident, why)


async def resume(conn: Connection, asker: Asker, ident: str, now: datetime) -> None:
    """Undo a pause, or enable again what was disabled: from then on its rights are those of the asker's token."""
    async with conn.transaction():
        await own(conn, asker, ident)
        await conn.execute(SQL["set_state"], ident, "active", "", now)
        if asker.token and not asker.all:
            await conn.execute(SQL["adopt"], ident, asker.token)
        await _audit(conn, asker, "hook resume", ident)
        await wake(conn)


async def ping(conn: Connection, asker: Asker, ident: str, now: datetime) -> int:
    """Send it a ping, once, whatever its state. Gives the number of the delivery."""
    event = Envelope.around(Ping(hook=ident), id=uuid7(), source=ROOM, time=now)
    async with conn.transaction():
        await own(conn, asker, ident)
        await put_by(conn, [(ident, event.id, 0, event.type, True, body_of(event), now)])
        await wake(conn)
        return int(await conn.fetchval(SQL["delivery_of"], ident, event.id))


async def redeliver(conn: Connection, asker: Asker, ident: str, delivery: int, now: datetime) -> None:
    """Send one again, from the beginning of the schedule, under the same id. Raises Missing, Refused."""
    async with conn.transaction():
        await own(conn, asker, ident)
        row = await conn.fetchrow(SQL["delivery"], ident, delivery)
        if row is None:
            raise Missing(f"no delivery {delivery} of {ident}")
        if not await conn.fetch(SQL["again"], ident, [row["event_id"]], now):
            raise Refused(f"delivery {delivery} is a ping, or on its way just now")
        await _audit(conn, asker, "hook redeliver", ident, detail={"delivery": delivery})
        await wake(conn)


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the log, both ends included: by number, by time, or by one of each."""

    first: int = 0
    last: int | None = None
    since: datetime | None = None
    until: datetime | None = None


async def redeliver_span(conn: Connection, asker: Asker, ident: str, span: Span, now: datetime) -> int:
    """Send all that the webhook wants of a part of the log, also what happened while it was disabled or before it was
    made, as far as its owner may see it now. Gives how many."""
    async with conn.transaction():
        row = await own(conn, asker, ident)
        rows = await conn.fetch(
            SQL["events_between"], max(0, span.first - 1), span.last if span.last is not None else 2**62, span.since,
            span.until, MOST_AGAIN + 1,
        )  # fmt: skip
        if len(rows) > MOST_AGAIN:
            raise Refused(f"over {MOST_AGAIN} events: give a shorter span")
        chosen = await _chosen(conn, row, [(r["sequence"], r["body"]) for r in rows], now)
        await conn.fetch(SQL["again"], ident, [event for _, event, *_ in chosen], now)
        await put_by(conn, chosen)
        await _audit(conn, asker, "hook redeliver", ident, detail={"events": len(chosen)})
        await wake(conn)
    return len(chosen)


async def _chosen(
    conn: Connection, row: Record, events: list[tuple[int, dict[str, Any]]], now: datetime
) -> list[tuple[Any, ...]]:
    return list(deliveries(replace(a_listener(row), after=-1), await tokens(conn), events, now))


def types_of(words: Sequence[str]) -> tuple[str, ...]:
    """Event types from their names or short kinds (``branch.cut``). Raises Refused for one that doesn't exist."""
    found = tuple(dict.fromkeys(_KINDS.get(word, word) for word in words))
    if unknown := [word for word in found if word not in BY_TYPE]:
        raise Refused(f"no event type {', '.join(unknown)[:200]}; there are {', '.join(sorted(_KINDS))}")
    return found


async def _audit(
    conn: Connection, asker: Asker, what: str, ident: str, why: str = "", detail: dict[str, Any] | None = None
) -> None:
    await conn.execute(FLOOR["audit"], asker.name, what, ident, why, detail or {})
