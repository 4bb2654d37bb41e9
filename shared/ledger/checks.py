"""Checks of a series: what one run says of it, or of one patch, in one context.

Pending first, settled later. A settled check never goes back to pending; it changes for the better, by a newer attempt
of the same executor, or where it only said that a run was given up. Only the lab that spoke first speaks on in a
context of a series; where our own checks speak, no lab does.
"""

from dataclasses import dataclass

from shared.db.outbox import stage
from shared.db.pool import Connection, Record
from shared.errors import Refused
from shared.events import CheckDone
from shared.ledger.rows import SQL
from shared.model.ids import OWN_REMOTE, RunId
from shared.model.results import CheckState

_WORTH = {CheckState.PENDING: 0, CheckState.FAIL: 1, CheckState.WARNING: 2, CheckState.SUCCESS: 3}


class NotYours(Refused):
    """Another lab speaks in this context."""

    status_hint = 403


@dataclass(frozen=True, slots=True)
class Check:
    """`patch` is the number of a patch in its series, 0 the whole series."""

    project: str
    series: int
    revision: int
    context: str
    state: CheckState
    run: RunId
    patch: int = 0
    text: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Speaker:
    """Whose run said it. One that was given up had no result to tell."""

    remote: str
    executor: str
    attempt: int
    gave_up: bool = False


def replaces(old: CheckState, before: Speaker, new: CheckState, now: Speaker) -> bool:
    """Whether `new`, said `now`, takes the place of `old`. Pure."""
    newer = now.executor == before.executor and now.attempt > before.attempt
    if old is CheckState.PENDING:
        return new is not CheckState.PENDING or newer
    return new is not CheckState.PENDING and (newer or before.gave_up or _WORTH[new] > _WORTH[old])


async def put(conn: Connection, source: str, check: Check) -> bool:
    """Write a check, if it is news; False if what stands, stands. Raises NotYours."""
    c = check
    values = (c.series, c.revision, c.patch, c.context, c.project, str(c.state), c.text[:2000], c.link, c.run)
    if await conn.fetchval(SQL["add_check"], *values) is None:
        row = await conn.fetchrow(SQL["lock_check"], c.series, c.revision, c.patch, c.context)
        now = await conn.fetchrow(SQL["speaker"], c.run)
        assert row is not None, "checks are never deleted"
        assert now is not None, "nor are runs that say one"
        if row["remote"] != now["remote"] and now["remote"] != OWN_REMOTE:
            raise NotYours(f"another lab has said {c.context} of this series; it speaks on, or another context is used")
        same = row["remote"] == now["remote"]
        if same and not replaces(CheckState(row["state"]), _speaker(row), c.state, _speaker(now)):
            return False
        await conn.execute(SQL["change_check"], *values)
    if c.state is not CheckState.PENDING:
        done = CheckDone(
            project=c.project, series=c.series, revision=c.revision, patch=c.patch or None, context=c.context,
            state=c.state,
        )  # fmt: skip
        await stage(conn, source, done)
    return True


def _speaker(row: Record) -> Speaker:
    return Speaker(row["remote"], row["executor"], row["attempt"], row["state_of_run"] == "abandoned")
