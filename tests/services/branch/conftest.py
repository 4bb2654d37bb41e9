"""The world, on a database."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from services.branch.repos import Repos
from services.branch.trees import Trees
from tests.conftest import Database, FloorFor
from tests.services.branch.world import World, a_world

WorldFor = Callable[..., Awaitable[World]]


@pytest.fixture
async def world_for(database: Database, floor_for: FloorFor, tmp_path: Path) -> AsyncIterator[WorldFor]:
    """Makes the world: `await world_for(every="1h")`; its trees are not fetched yet."""
    async with AsyncExitStack() as stack:

        async def make(**how: str) -> World:
            world = a_world(tmp_path, **how)
            world.settings.data.mkdir()
            world.floor = await floor_for("branch", world.settings, world.clock)
            world.owner = await database.pool()
            world.repos = Repos(world.settings)
            stack.callback(world.repos.close)
            world.trees = Trees(world.floor, world.repos)
            return world

        yield make


@pytest.fixture
async def world(world_for: WorldFor) -> World:
    """The world with its trees fetched."""
    made = await world_for()
    for tree in ("net", "next"):
        assert await made.trees.refresh("netdev", tree)
    return made
