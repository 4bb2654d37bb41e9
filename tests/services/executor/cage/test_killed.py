"""The service is killed, at any moment: nothing of its commands is left, or it is removed at the next start."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Literal

import pytest

from services.executor.cage.at_hand import isolation_for
from services.executor.cage.folders import Folders
from shared.settings import Checks
from tests.services.executor.cage.boxes import a_tree, groups, running, sh

REPOSITORY = Path(__file__).parents[4]
pytestmark = pytest.mark.timeout(180)
_SERVICE = """
import asyncio, sys
from pathlib import Path
from typing import Literal
from services.executor.cage.at_hand import isolation_for
from services.executor.cage.base import Cage, Layer
from shared.settings import Checks

async def main():
    place = Path(sys.argv[1])
    isolation = isolation_for(Checks(isolation=sys.argv[2]), place / "state")
    cage = Cage((Layer(place / "tree", "/src"),), cwd="/src")
    command = ("sh", "-c", "echo begun; setsid sleep " + sys.argv[3] + " & echo x > new; sleep " + sys.argv[3])
    await isolation.run(cage, command, heard=lambda piece: print("begun", flush=True))

asyncio.run(main())
"""


async def _service(place: Path, kind: str, mark: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", _SERVICE, str(place), kind, mark,
        stdout=asyncio.subprocess.PIPE, cwd=REPOSITORY, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip


async def _gone(mark: str) -> bool:
    """Within a generous while: it is the kernel and the wardens who see to it."""
    for _ in range(400):
        if not running(mark):
            return True
        await asyncio.sleep(0.05)
    return False


async def _next_start(place: Path, kind: Literal["auto", "bare"]) -> None:
    """Start anew, until the wardens that still clean up have done so; nothing is left then."""
    for _ in range(100):
        isolation = isolation_for(Checks(isolation=kind), place / "state")
        assert (await sh(isolation, "true")).ok
        isolation.close()
        if not (left := list((place / "state" / "cages").iterdir())) and not groups(isolation):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"left behind: {left} {groups(isolation)}")


@pytest.mark.parametrize("kind", ["auto", "bare"])
async def test_killed_in_the_middle(place: Path, kind: Literal["auto", "bare"]) -> None:
    a_tree(place)
    service = await _service(place, kind, "86388")
    assert service.stdout is not None
    assert await service.stdout.readline() == b"begun\n"
    service.kill()
    await service.wait()
    assert await _gone("sleep\0" + "86388")
    await _next_start(place, kind)
    assert str(place) not in Path("/proc/mounts").read_text()


async def test_killed_at_any_moment(place: Path) -> None:
    a_tree(place)
    for step in range(8):
        service = await _service(place, "auto", "86387")
        await asyncio.sleep(0.3 + step * 0.05)
        service.kill()
        await service.wait()
    assert await _gone("86387")
    await _next_start(place, "auto")


async def test_what_another_holds_is_left_alone(place: Path) -> None:
    one, other = Folders(place), Folders(place)
    await one.open()
    (one.new()).mkdir()
    await other.open()
    assert len(list((place / "cages").iterdir())) == 2
    os.close(one.lock)
    third = Folders(place)
    await third.open()
    assert len(list((place / "cages").iterdir())) == 2
    for folders in (other, third):
        folders.close()


async def test_a_folder_that_is_being_made_is_left_alone(place: Path) -> None:
    made = place / "cages" / "1-young"
    made.mkdir(parents=True)
    folders = Folders(place)
    await folders.open()
    assert made.exists()
    os.utime(made, (0, 0))
    again = Folders(place)
    await again.open()
    assert not made.exists()
    folders.close()
    again.close()
