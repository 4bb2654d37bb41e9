"""Who speaks in a context of a series: labs as they come first, our own checks before any."""

import pytest

from shared.db.pool import Connection
from shared.ledger import Check
from shared.ledger.checks import NotYours
from shared.ledger.write import Ledger, Opening
from shared.model.ids import OWN_REMOTE, RunId
from shared.model.results import CheckState
from tests.conftest import Database

LEDGER = Ledger("executor")


async def a_run(conn: Connection, remote: str, attempt: int = 0) -> RunId:
    opening = Opening(project="netdev", remote=remote, executor="checks", series_id=7, attempt=attempt)
    return (await LEDGER.open(conn, opening)).id


def a_check(run: RunId, state: CheckState, text: str = "") -> Check:
    return Check("netdev", 7, 1, "kdoc", state, run, patch=2, text=text)


async def test_what_our_own_checks_say_takes_the_place_of_a_labs(database: Database) -> None:
    pool = await database.pool("executor")
    async with pool.acquire() as conn, conn.transaction():
        lab, ours = await a_run(conn, "vendor"), await a_run(conn, OWN_REMOTE)
        assert await LEDGER.check(conn, a_check(lab, CheckState.SUCCESS))
        assert await LEDGER.check(conn, a_check(ours, CheckState.FAIL, "ours"))
        assert not await LEDGER.check(conn, a_check(ours, CheckState.FAIL, "the same again"))
        with pytest.raises(NotYours):
            await LEDGER.check(conn, a_check(lab, CheckState.SUCCESS))
        stands = await conn.fetchrow("select state, text, run_id from ledger.checks")
    assert stands is not None
    assert tuple(stands) == ("fail", "ours", ours)


async def test_a_recheck_turns_a_settled_one_either_way(database: Database) -> None:
    pool = await database.pool("executor")
    async with pool.acquire() as conn, conn.transaction():
        for attempt, state in enumerate((CheckState.SUCCESS, CheckState.FAIL, CheckState.SUCCESS)):
            assert await LEDGER.check(conn, a_check(await a_run(conn, OWN_REMOTE, attempt), state))
        assert await conn.fetchval("select state from ledger.checks") == "success"
