from pathlib import Path

import pytest

from tests.conftest import Database, FloorFor
from tests.services.executor.check_queue.world import World, some_settings


@pytest.fixture
async def world(database: Database, floor_for: FloorFor, tmp_path: Path) -> World:
    floor = await floor_for("checks", some_settings(tmp_path))
    return World(floor, await database.pool(""))
