"""Tokens in the database: made, listed, rotated and revoked by the owner; checked one at a time by the rooms.

A room never sees the table: `find_token` gives what one public id stands for, and the digest is compared here in
constant time. Every change is in the audit log; a token's text is nowhere but in the answer to who made it.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.db.outbox import SQL
from shared.db.pool import Connection, Pool
from shared.errors import Missing, Refused
from shared.model.tokens import Minted, Scope, Token, digest_of, id_of, mint, parse_scopes, writes

LONGEST = timedelta(days=365)
OVERLAP = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Order:
    """A token to be made. `lasts` is at most a year."""

    name: str
    remote: str
    scopes: tuple[Scope, ...]
    lasts: timedelta = LONGEST
    projects: tuple[str, ...] = ()
    sandbox: bool = False


async def create(conn: Connection, order: Order, by: str) -> Minted:
    """Make a token. Raises Refused where it lasts too long, or would write without a remote."""
    if not timedelta(0) < order.lasts <= LONGEST:
        raise Refused("a token lasts a year at most")
    if writes(order.scopes) and not order.remote:
        raise Refused("a token that writes results or checks is bound to one remote: name it (--remote)")
    minted = mint()
    async with conn.transaction():
        await _insert(conn, minted, order, by, None)
        await conn.execute(
            SQL["audit"], by, "token create", minted.id, order.name, {"scopes": [str(s) for s in order.scopes]}
        )
    return minted


async def _insert(conn: Connection, minted: Minted, order: Order, by: str, rotated_from: str | None) -> None:
    await conn.execute(
        SQL["add_token"], minted.id, minted.digest, order.name, order.remote, [str(s) for s in order.scopes],
        list(order.projects), order.sandbox, by, order.lasts.total_seconds(), rotated_from,
    )  # fmt: skip


async def rotate(conn: Connection, id: str, by: str, overlap: timedelta = OVERLAP) -> Minted:
    """A second token like `id`; both hold for `overlap`, then only the new one. Raises Missing, Refused."""
    async with conn.transaction():
        row = await _held(conn, id)
        if await conn.fetchval(SQL["token_successor"], id) is not None:
            raise Refused(f"token {id} has been rotated already; revoke it, or rotate its successor")
        minted = mint()
        order = Order(
            row["name"], row["remote"], parse_scopes(row["scopes"]), row["expires"] - row["created"],
            tuple(row["projects"]), row["sandbox"],
        )  # fmt: skip
        await _insert(conn, minted, order, by, id)
        await conn.execute(SQL["shorten_token"], id, overlap.total_seconds())
        await conn.execute(SQL["audit"], by, "token rotate", id, "", {"to": minted.id})
    return minted


async def revoke(conn: Connection, id: str, by: str, why: str) -> None:
    """From now on the token is refused. Raises Missing for an unknown one, Refused without a reason."""
    if not why.strip():
        raise Refused("say why: it is kept with the token")
    async with conn.transaction():
        await _held(conn, id)
        await conn.execute(SQL["revoke_token"], id, why)
        await conn.execute(SQL["audit"], by, "token revoke", id, why, {})


async def _held(conn: Connection, id: str) -> Any:
    row = await conn.fetchrow(SQL["lock_token"], id)
    if row is None:
        raise Missing(f"no token {id}")
    if row["revoked"] is not None:
        raise Refused(f"token {id} was revoked at {row['revoked']:%Y-%m-%d %H:%M} UTC")
    return row


async def listed(conn: Connection) -> Sequence[Any]:
    """All tokens, newest first, without what they are checked by."""
    return await conn.fetch(SQL["list_tokens"])


async def used(pool: Pool, id: str, address: str) -> None:
    """Keep that the token was used, and from where."""
    await pool.execute(SQL["used_token"], id, address)


async def check(pool: Pool, text: str, now: datetime) -> Token:
    """The token that `text` is. Raises Refused, saying in which way it does not hold."""
    id_ = id_of(text)
    row = await pool.fetchrow(SQL["find_token"], id_) if id_ else None
    # Compared even where there is none: how long a refusal takes tells nothing.
    same = hmac.compare_digest(digest_of(text), bytes(row["digest"]) if row else bytes(32))
    if row is None or id_ is None or not same:
        raise Refused("this is no token of ours; check that all of it was copied")
    if row["revoked"] is not None:
        raise Refused(f"token {id_} was revoked")
    if row["expires"] <= now:
        raise Refused(
            f"token {id_} expired at {row['expires']:%Y-%m-%d %H:%M} UTC; its lab's owner can have it renewed"
        )
    return Token(
        id_, row["name"], row["remote"], parse_scopes(row["scopes"]), tuple(row["projects"]), row["sandbox"],
        row["expires"],
    )  # fmt: skip
