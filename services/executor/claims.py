"""Several leases at once: all of them or none.

Whoever holds one and waits for another keeps a machine idle that somebody else could use. So the first is waited for as
long as it takes, and the others only for a moment: then all is let go, and begun again with the one that was missing.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

MOMENT = 2.0
"""Seconds that are waited for each but the first."""

Claim = Callable[[str], AbstractAsyncContextManager[int]]


@asynccontextmanager
async def all_of(names: Sequence[str], claim: Claim, moment: float = MOMENT) -> AsyncIterator[int]:
    """Hold the leases of all `names` while inside. Yields the youngest number: it is good for each of them, as numbers
    only rise."""
    order = list(names)
    while True:
        async with AsyncExitStack() as stack:
            numbers = [await stack.enter_async_context(claim(order[0]))]
            missing = await _rest(stack, order[1:], claim, moment, numbers)
            if not missing:
                yield max(numbers)
                return
        order.remove(missing)
        order.insert(0, missing)
        # Two that want the same machines must not follow each other about.
        await asyncio.sleep(random.uniform(0, moment / 4))


async def _rest(stack: AsyncExitStack, names: Sequence[str], claim: Claim, moment: float, numbers: list[int]) -> str:
    """The first that is not to be had for a moment; "" if all are."""
    for name in names:
        try:
            async with asyncio.timeout(moment):
                numbers.append(await stack.enter_async_context(claim(name)))
        except TimeoutError:
            return name
    return ""
