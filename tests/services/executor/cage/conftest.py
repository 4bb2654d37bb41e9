"""Each body of isolation, with a folder that a command's user can reach."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.executor.cage.at_hand import isolation_for
from services.executor.cage.bare import Bare
from services.executor.cage.bubblewrap import Bubblewrap
from shared.settings import Checks


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder on a disk: pytest's own may be on a tmpfs, and is closed to other users."""
    folder = Path(tempfile.mkdtemp(prefix="netci-cage-", dir="/var/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def caged(place: Path) -> Iterator[Bubblewrap]:
    """The isolation that this machine has."""
    found = isolation_for(Checks(), place / "state")
    assert isinstance(found, Bubblewrap)
    yield found
    found.close()
    assert list((place / "state" / "cages").iterdir()) == []


@pytest.fixture(params=["auto", "bare"])
def isolation(request: pytest.FixtureRequest, place: Path) -> Iterator[Bubblewrap | Bare]:
    """Each body, leaving nothing behind."""
    found = isolation_for(Checks(isolation=request.param), place / "state")
    yield found
    found.close()
    cages = place / "state" / "cages"
    assert not cages.exists() or list(cages.iterdir()) == []
