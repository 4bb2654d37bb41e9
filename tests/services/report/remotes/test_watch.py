"""Owners are told once of each change, and at most once a minute of rejections."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.report.remotes.watch import Watching
from shared.db.pool import AWAY, Pool
from shared.ledger import Ledger, Opening
from shared.ledger.write import Ending
from shared.settings import parse
from tests.conftest import Database, FloorFor
from tests.services.report.web.builders import CONFIG, a_cut

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
WAITING = "from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"

LAB = """
[[remotes]]
name = "nipa-lab"
streams = ["net-next"]
executors = ["nic"]
manifest = "https://lab.example.org/results.json"
"""


@dataclass
class Watched:
    """The watching of one room, its clock, and the tables as the owner sees them."""

    watching: Watching
    owner: Pool
    now: list[datetime]

    async def at(self, now: datetime) -> list[tuple[Any, ...]]:
        """Look at the time `now`; what was told by it: remote, executor, what, count."""
        self.now[0] = now
        before = await self.owner.fetchval("select count(*) from told")
        await self.watching.once()
        rows = await self.owner.fetch("select body, visibility from told order by id")
        return [_said(row) for row in rows[before:]]

    async def cut(self, hours_ago: float) -> int:
        when = NOW - hours_ago * HOUR
        return await a_cut(self.owner, f"net-next-{when:%Y-%m-%d--%H-%M}", when)

    async def run(self, cut: int, remote: str = "nipa-lab", executor: str = "nic", end: bool = True) -> None:
        async with self.owner.acquire() as conn, conn.transaction():
            ledger = Ledger("ingest")
            opening = Opening("netdev", remote, executor, "net-next", "b", cut, expected_end=NOW + HOUR)
            held = await ledger.open(conn, opening)
            if end:
                await ledger.finish(conn, held, Ending())

    async def reject(self, remote: str = "nipa-lab") -> None:
        await self.owner.execute(
            "insert into ingest.rejections (remote, path, status, detail) values ($1, '/x', 422, 'no')", remote
        )


def _said(row: Any) -> tuple[Any, ...]:
    data = row["body"]["data"]
    assert row["visibility"] == "project"
    assert data["project"] == "netdev"
    return data["remote"], data["executor"], data["what"], data["count"]


@pytest.fixture
async def watched(database: Database, floor_for: FloorFor, tmp_path: Path) -> Watched:
    settings = parse(CONFIG.format(data=tmp_path, port=1, url="https://example.org/x.git", free=0) + LAB)
    now = [NOW]
    floor = await floor_for("report", settings, lambda: now[0])
    owner = await database.pool()
    # What was staged, wherever it is by now.
    await owner.execute(
        "create table told (id bigint generated always as identity, body jsonb, visibility text);"
        "create function tell() returns trigger language plpgsql security definer as $$ begin "
        "if new.type like '%remote.changed%' then insert into public.told (body, visibility) "
        "values (new.body, new.body->>'visibility'); end if; return new; end $$;"
        "create trigger tell after insert on floor.outbox for each row execute function tell()"
    )
    return Watched(Watching(floor), owner, now)


async def test_late_then_silent_then_recovered_each_told_once(watched: Watched) -> None:
    await watched.cut(2)
    assert await watched.at(NOW) == []
    late = NOW + 2 * HOUR
    assert await watched.at(late) == [
        ("metal", "vmksft-net", "late", 0), ("nipa-lab", "nic", "late", 0),
    ]  # fmt: skip
    assert await watched.at(late) == []
    await watched.cut(1.5)
    newest = await watched.cut(1)
    told = await watched.at(late + HOUR)
    assert sorted(told) == [("metal", "vmksft-net", "silent", 0), ("nipa-lab", "nic", "silent", 0)]
    await watched.run(newest)
    assert await watched.at(late + HOUR) == [("nipa-lab", "nic", "recovered", 0)]
    assert await watched.at(late + HOUR) == []


async def test_two_who_look_at_the_same_moment_tell_it_once(watched: Watched) -> None:
    await watched.cut(2)
    await watched.at(NOW)
    watched.now[0] = NOW + 2 * HOUR
    await asyncio.gather(*(watched.watching.once() for _ in range(4)))
    assert await watched.owner.fetchval("select count(*) from told") == 2


async def test_one_who_is_killed_before_its_end_has_told_nothing_and_the_next_tells_it_once(watched: Watched) -> None:
    await watched.cut(2)
    await watched.at(NOW)
    watched.now[0] = NOW + 2 * HOUR
    async with watched.owner.acquire() as conn, conn.transaction():
        # It has to wait where it writes down what it tells, and is killed there.
        await conn.execute("lock table floor.outbox in exclusive mode")
        looking = asyncio.ensure_future(watched.watching.once())
        await _waits(watched.owner)
        await conn.execute(f"select pg_terminate_backend(pid) {WAITING}")
    with pytest.raises(AWAY):
        await looking
    assert await watched.owner.fetchval("select count(*) from told") == 0
    late = NOW + 2 * HOUR
    assert [what for _, _, what, _ in await watched.at(late)] == ["late", "late"]
    assert await watched.at(late) == []


async def _waits(owner: Pool) -> None:
    async with asyncio.timeout(30):
        while not await owner.fetchval(f"select count(*) {WAITING}"):
            await asyncio.sleep(0.02)


async def test_what_is_seen_first_is_no_change(watched: Watched) -> None:
    for hours in (7, 6, 5, 4):
        await watched.cut(hours)
    assert await watched.at(NOW) == []
    rows = await watched.owner.fetch("select remote, standing from report.standings where executor <> '' order by 1")
    assert [tuple(row) for row in rows] == [("metal", "silent"), ("nipa-lab", "silent")]


async def test_a_manifest_in_trouble_for_long_is_a_silent_remote(watched: Watched) -> None:
    await watched.owner.execute(
        "insert into ingest.manifests (remote, url, trouble, since) values ('nipa-lab', 'u', 'answers 500', $1)", NOW
    )
    assert await watched.at(NOW + timedelta(minutes=14)) == []
    assert await watched.at(NOW + timedelta(minutes=15)) == [("nipa-lab", "", "silent", 0)]
    await watched.owner.execute("update ingest.manifests set trouble = '', since = null")
    assert await watched.at(NOW + timedelta(minutes=16)) == [("nipa-lab", "", "recovered", 0)]


async def test_rejections_are_told_once_a_minute_with_their_number(watched: Watched) -> None:
    await watched.reject()
    await watched.reject("metal")
    assert await watched.at(NOW) == [("metal", "", "rejected", 1), ("nipa-lab", "", "rejected", 1)]
    for _ in range(3):
        await watched.reject()
    assert await watched.at(NOW + timedelta(seconds=59)) == []
    assert await watched.at(NOW + timedelta(seconds=60)) == [("nipa-lab", "", "rejected", 3)]
    assert await watched.at(NOW + timedelta(hours=1)) == []


async def test_trials_and_tries_make_nobody_well(watched: Watched) -> None:
    cut = await watched.cut(2)
    await watched.at(NOW)
    await watched.run(cut)
    await watched.owner.execute("update ledger.runs set visibility = 'operator'")
    assert ("nipa-lab", "nic", "late", 0) in await watched.at(NOW + 2 * HOUR)


async def test_who_is_not_expected_any_more_is_forgotten(watched: Watched) -> None:
    await watched.at(NOW)
    await watched.owner.execute("insert into report.standings values ('gone', 'x', 'net-next', 'silent', now())")
    assert await watched.at(NOW) == []
    assert await watched.owner.fetchval("select count(*) from report.standings where remote = 'gone'") == 0
