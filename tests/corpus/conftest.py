"""One store, one work tree and one cage for the whole corpus.

Store and work tree stay in the cache folder from run to run, as the kernel source does: to write 78,600 files takes a
minute, and to remove them another. Commits of the corpus have the same ids each time.
"""

import shutil
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.executor.builds.builder import builders
from services.executor.cage.at_hand import isolation_for
from services.executor.checking.place import Machine, Place
from shared.git.store import Store
from shared.practice.kernel import CACHE, import_kernel
from shared.settings import Checks
from tests.corpus.ground import scratch

BUILDERS = builders(CACHE / "corpus" / "builds")


@pytest.fixture(scope="session")
def cages() -> Iterator[Path]:
    """Where cages keep what they need."""
    path = Path(tempfile.mkdtemp(prefix="netci-corpus-", dir="/var/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def repo() -> Path:
    return scratch(CACHE / "corpus" / "commits.git", import_kernel(CACHE).resolve())


@pytest.fixture(scope="session")
def tools(cages: Path) -> Path:
    """A folder with the tools that no package of the distribution has."""
    path = cages / "tools"
    path.mkdir()
    shutil.copy(Path(sysconfig.get_path("scripts")) / "ruff", path)
    return path


@pytest.fixture
async def place(cages: Path, repo: Path, tools: Path) -> Place:
    """Of each test its own, for it belongs to the test's event loop; the folders behind it are the same."""
    store = Store(repo)
    await store.ensure()
    settings = Checks(path=(tools,))
    return Machine.of(isolation_for(settings, cages), settings).place(store, CACHE / "corpus" / "place", BUILDERS)
