"""The front over a seeded database."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.floor import Floor
from tests.conftest import Database, FloorFor
from tests.services.report.web.builders import World, seed, served, settings_for


@dataclass
class Site:
    """A running front: its address, what was seeded, its floor."""

    url: str
    world: World
    floor: Floor


@pytest.fixture
async def site(database: Database, floor_for: FloorFor, tmp_path: Path) -> AsyncIterator[Site]:
    floor = await floor_for("report", settings_for(tmp_path))
    world = await seed(floor, await database.pool())
    async with served(floor) as url:
        yield Site(url, world, floor)
