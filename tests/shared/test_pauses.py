"""Pauses: with a reason, audited, seen at once."""

import pytest

from shared.errors import Refused
from shared.pauses import pause, paused, resume
from tests.conftest import Database


async def test_a_pause_holds_until_it_is_undone_and_both_are_audited(database: Database) -> None:
    pool = await database.pool("report")
    async with pool.acquire() as conn:
        await pause(conn, "post", "netdev", "Patchwork moves", "jkm")
        await pause(conn, "post", "netdev", "still moving", "jkm")
        assert await paused(conn, "post", "netdev") == "still moving"
        assert await paused(conn, "post", "bpf") is None
        assert await paused(pool, "stream", "netdev") is None
        assert await resume(conn, "post", "netdev", "done", "jkm")
        assert not await resume(conn, "post", "netdev", "done", "jkm")
        assert await paused(conn, "post", "netdev") is None
    rows = await pool.fetch("select who, what, subject, why from floor.audit order by id")
    assert [tuple(r) for r in rows[:3]] == [
        ("jkm", "pause post", "netdev", "Patchwork moves"),
        ("jkm", "pause post", "netdev", "still moving"),
        ("jkm", "resume post", "netdev", "done"),
    ]


async def test_a_pause_without_a_reason_is_refused(database: Database) -> None:
    pool = await database.pool("report")
    async with pool.acquire() as conn:
        with pytest.raises(Refused, match="say why"):
            await pause(conn, "post", "netdev", "  ", "jkm")
    assert await pool.fetchval("select count(*) from floor.pauses") == 0
