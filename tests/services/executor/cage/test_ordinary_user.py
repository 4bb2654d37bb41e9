"""The same promises where the service is no root: commands are of its own user, in a user namespace."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from tests.support.nobody import NOBODY, as_nobody

_TESTS = "test_isolation.py", "test_hostile.py", "test_killed.py", "test_at_hand.py", "test_otherwise.py"


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_an_ordinary_user_is_promised_the_same(place: Path) -> None:
    if os.geteuid():
        return  # then all the others have shown it
    place.chmod(0o755)
    home = place / "home"
    home.mkdir()
    shutil.chown(home, NOBODY, NOBODY)
    files = [f"tests/services/executor/cage/{name}" for name in _TESTS]
    command, env = as_nobody(place, home, ["-m", "pytest", "-q", "-p", "no:cacheprovider", *files])
    process = await asyncio.create_subprocess_exec(
        *command, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()[-5000:]
    assert b"passed" in said
