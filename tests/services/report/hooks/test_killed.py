"""The service as a process, killed in the middle of deliveries: nothing twice within an attempt, nothing lost."""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp.test_utils import unused_port

from services.report.hooks.api import desk_of
from services.report.hooks.manage import Asker, Order
from services.report.hooks.sender import BELL
from shared.clock import wall
from shared.db.bells import HOOKS
from shared.db.outbox import stage
from shared.db.pool import Pool
from shared.practice.receiver import Receiver, receiving
from shared.settings import load
from tests.conftest import Database
from tests.services.report.hooks.world import OURS, TOML, an_arrival, make_key

EVENTS, KILLS = 16, 4


@asynccontextmanager
async def the_service(config: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`netci run report`; killed at the end of the block, as by a machine that loses power."""
    environment = os.environ | {"NETCI_LEASE": "1.5"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services", "--config", str(config), "--log", "warning", "run", "report", env=environment
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()


def configured(folder: Path, dsn: str) -> Path:
    make_key(folder / "webhooks.key")
    text = TOML.format(folder=folder, webhooks=f'[database]\nurl = "{dsn}"')
    config = folder / "netci.toml"
    config.write_text(text.replace("[web]\n", f'[web]\nlisten = "127.0.0.1:{unused_port()}"\n'))
    return config


async def registered(config: Path, owner: Pool, url: str) -> str:
    async with owner.acquire() as conn:
        order = Order(url)
        return (await desk_of(load(config)).add(conn, Asker("operator", all=True), order, wall()))[0]


async def say(owner: Pool, *numbers: int) -> None:
    async with owner.acquire() as conn, conn.transaction():
        await stage(conn, "ingest", *(an_arrival(n) for n in numbers))


async def test_an_attempt_cut_short_is_unknown_and_the_next_is_by_the_schedule(
    database: Database, tmp_path: Path
) -> None:
    owner, config = await database.pool(), configured(tmp_path, database.dsn)
    async with receiving(Receiver(behave=["slow:3600", "200"], host=OURS)) as receiver:
        await registered(config, owner, receiver.url)
        await say(owner, 1)
        async with the_service(config):
            await receiver.until(1)
        async with the_service(config):
            first, second = await receiver.until(2)
            await settled(owner, 1)
    assert (first.id, first.body) == (second.id, second.body)
    log = await owner.fetch("select number, outcome from report.attempts order by number")
    assert [tuple(row) for row in log] == [(1, "unknown"), (2, "delivered")]
    began = [row["began"] for row in await owner.fetch("select began from report.attempts order by number")]
    assert (began[1] - began[0]).total_seconds() >= 5


async def settled(owner: Pool, events: int) -> None:
    async with asyncio.timeout(120):
        while await owner.fetchval("select count(*) from report.deliveries where state = 'delivered'") < events:
            await asyncio.sleep(0.1)


@asynccontextmanager
async def hurrying(owner: Pool) -> AsyncIterator[None]:
    """What waits for its turn in the schedule is due at once meanwhile: a real process has no clock to be set."""

    async def hurry() -> None:
        while True:
            await owner.execute("update report.deliveries set due = now() where state = 'due' and due > now()")
            await owner.execute("update report.hooks set rest_until = now() where rest_until > now()")
            await owner.execute("select pg_notify($1, $2)", HOOKS, BELL)
            await asyncio.sleep(0.2)

    task = asyncio.ensure_future(hurry())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_killed_again_and_again_it_delivers_all_and_repeats_only_by_attempts(
    database: Database, tmp_path: Path
) -> None:
    owner, config = await database.pool(), configured(tmp_path, database.dsn)
    # Every third call hangs until it is cut off: the kill then falls into the middle of an attempt.
    behave = ["200", "500", "slow:3600"] * KILLS + ["200"]
    async with receiving(Receiver(behave=behave, host=OURS)) as receiver, hurrying(owner):
        hook = await registered(config, owner, receiver.url)
        for kill in range(KILLS):
            first = 1 + kill * EVENTS // KILLS
            async with the_service(config):
                await say(owner, *range(first, first + EVENTS // KILLS))
                await receiver.until(3 * (kill + 1), seconds=90)
        async with the_service(config):
            await settled(owner, EVENTS)
    rows = await owner.fetch(
        "select d.event_id, count(*) as attempts, count(*) filter (where outcome = 'unknown') as unknown "
        "from report.deliveries d join report.attempts a on a.delivery_id = d.id where hook_id = $1 group by 1",
        hook,
    )
    told = Counter(call.id for call in receiver.calls)
    assert {str(row["event_id"]) for row in rows} == set(told)
    assert {json.loads(call.body)["data"]["series"] for call in receiver.calls} == set(range(1, EVENTS + 1))
    # A request that came belongs to an attempt that was written down before it went out.
    assert [row for row in rows if told[str(row["event_id"])] > row["attempts"]] == []
    assert sum(row["unknown"] for row in rows) >= KILLS
    assert await owner.fetchval("select count(*) from report.attempts where outcome = 'sending'") == 0
