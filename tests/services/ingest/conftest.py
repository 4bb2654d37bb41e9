"""A practice Patchwork for each test."""

from collections.abc import AsyncIterator

import pytest

from shared.practice.patchwork import Served, served


@pytest.fixture
async def site() -> AsyncIterator[Served]:
    async with served() as site:
        yield site
