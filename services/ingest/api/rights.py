"""What a token may write: runs of its own remote, for the executors of its scope. Nothing is told of others'."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

from services.ingest.api.rejected import EXECUTOR
from services.ingest.api.store import SQL
from shared.db.pool import Connection, Record
from shared.errors import Missing, Superseded
from shared.formats.faults import Fault, Faulty
from shared.ledger import OpenRun
from shared.model.ids import RunId
from shared.model.tokens import Right, Token
from shared.web.auth import Forbidden
from shared.web.openapi import Asked

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class Closed(Superseded):
    """The run is closed."""


@dataclass(frozen=True, slots=True)
class Held:
    """A run in hand: locked, open or not, ours to write."""

    row: Record
    run: OpenRun

    def __getitem__(self, key: str) -> Any:
        return self.row[key]


def may_write(asked: Asked, executor: str) -> None:
    """Raises Forbidden unless the token may write results of `executor`, Faulty for what is no executor's name."""
    token = asked.holder
    asked.request[EXECUTOR] = executor[:100]
    if not _NAME.fullmatch(executor):
        raise Faulty(Fault("/executor", "should be letters, digits, . _ and -, at most 100, as vmksft-net"))
    if not token.remote:
        raise Forbidden(f"token {token.id} is bound to no remote: it writes nothing")
    if not token.may(Right.RESULTS, executor):
        raise Forbidden(
            f"token {token.id} may not write results of {executor}; it has {', '.join(map(str, token.scopes))}"
        )


async def seen(conn: Connection, token: Token, run: int) -> Record:
    """A run of the token's remote. Raises Missing for any other, whether there is one or not."""
    row = await conn.fetchrow(SQL["lab_run"], run, token.remote) if token.remote else None
    if row is None:
        raise Missing(f"no run {run} of yours")
    return row


async def held(conn: Connection, asked: Asked, run: int) -> Held:
    """The same, locked and to be written to. Raises Missing, Forbidden."""
    token = asked.holder
    await conn.fetchrow(SQL["lock_lab_run"], run, token.remote)
    row = await seen(conn, token, run)
    if not row["posted"] or row["trial"] != token.sandbox:
        raise Missing(f"no run {run} of yours")
    may_write(asked, row["executor"])
    return Held(row, open_run(row["id"], row["day"]))


def open_run(run: int, day: date) -> OpenRun:
    """A lab's run, which knows no lease."""
    return OpenRun(RunId(run), day, 0, False)


def check_open(held: Held) -> None:
    """Raises Closed for a run that is not open any more."""
    if held["state"] != "open":
        why = f": {held['reason']}" if held["reason"] else ""
        raise Closed(f"run {held['id']} is {held['state']}{why}; what comes now belongs to a new attempt")
