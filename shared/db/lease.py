"""Named leases: who is the one poller, cutter or poster. A second process stands by."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Never

import structlog

from shared.db.outbox import SQL
from shared.db.pool import AWAY, Pool
from shared.errors import InfraError, Superseded
from shared.race import race

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=float(os.environ.get("NETCI_LEASE", "10")))
"""How long a dead holder is waited for. NETCI_LEASE (seconds, also of work's leases) is for tests that kill often."""

LETTING_GO = 4.0
"""Seconds that giving one thing back may take when a process ends; less than supervision waits (`PATIENCE`)."""

_SHORT, _LONG = 0.5, 30.0


async def alone(
    pool: Pool, name: str, holder: str, body: Callable[[int], Awaitable[Never]], lease: timedelta = LEASE
) -> Never:
    """Run `body(number)` while holding the lease `name`; stand by while another holds it.

    `number` rises with every change of holder. When the lease is lost `body` is cancelled; when the database is
    away long enough for another to have taken it, too. What tells of a database that is away, and time-outs, begin
    `body` anew after a growing wait; other exceptions go to the caller, after the lease has been given back.
    """
    loop, wait = asyncio.get_running_loop(), _SHORT
    while True:
        number = await _won(pool, name, holder, lease.total_seconds())
        log.info("lease: taken", lease=name, number=number)
        began = loop.time()
        try:
            await race(body(number), _keep(pool, name, holder, number, lease.total_seconds()))
        except (Superseded, *AWAY) as exc:
            wait = _SHORT if loop.time() - began > _LONG else min(_LONG, wait * 2)
            log.warning("lease: let go", lease=name, number=number, reason=repr(exc), wait=wait)
        finally:
            await _give_back(pool, name, holder)
        await asyncio.sleep(wait)


@asynccontextmanager
async def held(pool: Pool, name: str, holder: str, lease: timedelta = LEASE) -> AsyncIterator[int]:
    """Wait for the lease `name`, keep it while inside, give it back. Yields its number.

    When the lease is lost inside, the body is cancelled and the caller gets `InfraError`.
    """
    number = await _won(pool, name, holder, lease.total_seconds())
    body = asyncio.current_task()
    assert body is not None
    lost: list[BaseException] = []

    async def guard() -> None:
        try:
            await _keep(pool, name, holder, number, lease.total_seconds())
        except Superseded as exc:
            lost.append(exc)
            body.cancel()

    keeper = asyncio.ensure_future(guard())
    try:
        try:
            yield number
        finally:
            keeper.cancel()
            # If the guard struck just when the body had ended, its cancellation comes out here.
            await asyncio.gather(keeper, return_exceptions=True)
    except asyncio.CancelledError:
        if lost and body.uncancel() == 0:
            raise InfraError(f"the lease of {name} was lost") from lost[0]
        raise
    finally:
        await _give_back(pool, name, holder)


async def _won(pool: Pool, name: str, holder: str, seconds: float) -> int:
    while True:
        asked = asyncio.ensure_future(pool.fetchval(SQL["take_lease"], name, holder, seconds, timeout=10))
        try:
            number = await asyncio.shield(asked)
        except AWAY:
            number = None
        except asyncio.CancelledError:
            # The answer may still be yes. A statement that is cancelled may be carried out after one that gives the
            # lease back on another connection, so its end is awaited.
            await asyncio.wait([asked], timeout=LETTING_GO)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
            await _give_back(pool, name, holder)
            raise
        if number is not None:
            return int(number)
        await asyncio.sleep(min(1.0, seconds / 3))


async def _keep(pool: Pool, name: str, holder: str, number: int, seconds: float) -> Never:
    async def beat() -> bool:
        return bool(await pool.fetchval(SQL["take_lease"], name, holder, seconds) == number)

    await keep_alive(beat, seconds, f"lease {name}")


async def keep_alive(beat: Callable[[], Awaitable[bool]], seconds: float, what: str) -> Never:
    """Call `beat` three times in `seconds`; raise Superseded when it says no, or was not heard for `seconds`.

    The time counts from before the last question that was answered, and waiting for a free connection counts too: a
    holder must never think longer than the database that the lease is its.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while True:
        await asyncio.sleep(seconds / 3)
        asked = loop.time()
        try:
            async with asyncio.timeout(max(0.0, min(seconds / 3, until - asked))):
                if not await beat():
                    raise Superseded(f"{what} is another's by now")
            until = asked + seconds
        except AWAY as exc:
            if loop.time() >= until:
                raise Superseded(f"{what} cannot be kept") from exc


async def _give_back(pool: Pool, name: str, holder: str) -> None:
    try:
        async with asyncio.timeout(LETTING_GO):
            await pool.execute(SQL["drop_lease"], name, holder)
    except AWAY:
        pass  # It runs out by itself.
