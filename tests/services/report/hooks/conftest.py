"""A world of webhooks, and receivers that it may reach."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from shared.practice.receiver import Receiver, receiving
from tests.conftest import Database, FloorFor
from tests.services.branch.world import Clock
from tests.services.report.hooks.world import OURS, World, a_clock, a_world, some_settings

WorldFor = Callable[..., Awaitable[World]]
ReceiverFor = Callable[..., Awaitable[Receiver]]


@pytest.fixture
async def world_for(database: Database, floor_for: FloorFor, tmp_path: Path) -> AsyncIterator[WorldFor]:
    async with AsyncExitStack() as stack:

        async def make(webhooks: str = "", patience: float = 10, clock: Clock | None = None) -> World:
            clock = clock or a_clock()
            floor = await floor_for("report", some_settings(tmp_path, webhooks), clock)
            return await a_world(stack, floor, await database.pool(), clock, patience)

        yield make


@pytest.fixture
async def world(world_for: WorldFor) -> World:
    return await world_for()


@pytest.fixture
async def receiver_for(world: World) -> AsyncIterator[ReceiverFor]:
    """Receivers on an address of ours, with the world's clock; arguments are how they behave."""
    async with AsyncExitStack() as stack:

        async def make(*behave: str, host: str = OURS) -> Receiver:
            receiver = Receiver(behave=list(behave) or ["200"], host=host, clock=lambda: world.clock().timestamp())
            return await stack.enter_async_context(receiving(receiver))

        yield make
