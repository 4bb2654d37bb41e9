"""One piece of work against guards that can only raise: deadline, lost lease, no longer wanted."""

import asyncio
from collections.abc import Awaitable
from typing import Never, TypeVar

T = TypeVar("T")


async def race(work: Awaitable[T], *guards: Awaitable[Never]) -> T:
    """Return what `work` returns, or raise what the first guard raises.

    The losers are cancelled and awaited before this returns, so nothing of them runs on.
    """
    main = asyncio.ensure_future(work)
    others = [asyncio.ensure_future(guard) for guard in guards]
    try:
        await asyncio.wait([main, *others], return_when=asyncio.FIRST_COMPLETED)
        for other in others:
            # A guard that raised at the same moment wins: its lease or deadline is what counts outside.
            if other.done() and (error := other.exception()) is not None:
                raise error
        return await main
    finally:
        for task in (main, *others):
            task.cancel()
        await asyncio.gather(main, *others, return_exceptions=True)
