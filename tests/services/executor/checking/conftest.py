"""A place with a real cage on a small repository."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.executor.cage.at_hand import isolation_for
from services.executor.checking.place import Machine, Place
from services.executor.checks.base import Subject
from shared.model.ids import Sha
from shared.settings import Checks
from tests.services.executor.checking.builders import Contents, Repository, applied_series

TREE: Contents = {
    "Makefile": b"all:\n", "net/core/dev.c": b"one\ntwo\nthree\nfour\nfive\n",
    "scripts/judge.sh": ("100755", b"#!/bin/sh\necho base\n"), ".mailmap": b"Ada <ada@example.com>\n",
}  # fmt: skip


@dataclass
class World:
    """A place, and series on one base in it."""

    place: Place
    repository: Repository
    base: Sha

    async def series(self, *changes: Contents) -> Subject:
        """A series whose patches make these changes, one after another."""
        return await applied_series(self.repository, self.base, *changes)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    repository = Repository(tmp_path / "store.git")
    base = await repository.commit(TREE)
    settings = Checks(hands=2)
    isolation = isolation_for(settings, tmp_path / "cages")
    place = Machine.of(isolation, settings).place(repository.store, tmp_path / "place")
    yield World(place, repository, base)
    place.close()
    isolation.close()
    repository.store.close()
