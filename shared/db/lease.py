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


async def alone(
    pool: Pool, name: str, holder: str, body: Callable[[int], Awaitable[Never]], lease: timedelta = LEASE
) -> Never:
    """Run `body(number)` while holding the lease `name`; stand by while another holds it.

    `number` rises with every change of holder. When the lease is lost `body` is cancelled; when the database is
    away long enough for another to have taken it, too. Other exceptions of `body` go to the caller, after the
    lease has been given back.
    """
    while True:
        number = await _won(pool, name, holder, lease.total_seconds())
        log.info("lease: taken", lease=name, number=number)
        try:
            await race(body(number), _keep(pool, name, holder, number, lease.total_seconds()))
        except (Superseded, *AWAY) as exc:
            log.warning("lease: lost", lease=name, number=number, reason=str(exc))
            await asyncio.sleep(0.5)
        finally:
            await _give_back(pool, name, number)


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
        yield number
    except asyncio.CancelledError:
        if lost and body.uncancel() == 0:
            raise InfraError(f"the lease of {name} was lost") from lost[0]
        raise
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        await _give_back(pool, name, number)


async def _won(pool: Pool, name: str, holder: str, seconds: float) -> int:
    while True:
        try:
            number = await pool.fetchval(SQL["take_lease"], name, holder, seconds)
        except AWAY:
            number = None
        if number is not None:
            return int(number)
        await asyncio.sleep(min(1.0, seconds / 3))


async def _keep(pool: Pool, name: str, holder: str, number: int, seconds: float) -> Never:
    left = seconds
    while True:
        await asyncio.sleep(seconds / 3)
        try:
            if await pool.fetchval(SQL["take_lease"], name, holder, seconds) != number:
                raise Superseded(f"lease {name} is another's")
            left = seconds
        except AWAY:
            left -= seconds / 3
            if left <= 0:
                raise Superseded(f"lease {name} cannot be kept") from None


async def _give_back(pool: Pool, name: str, number: int) -> None:
    try:
        await asyncio.shield(pool.execute(SQL["drop_lease"], name, number, timeout=2))
    except (asyncio.CancelledError, *AWAY):
        pass  # It runs out by itself.
