"""Makefiles that mean harm, on the kernel source: each contained and told as what it is, and the next series' answer,
like what is kept of the base, the same as before.
"""

import asyncio
import hashlib
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from services.executor.builds.builder import builders
from services.executor.cage.at_hand import isolation_for
from services.executor.checking.place import Machine, Place
from services.executor.checking.sink import Task
from services.executor.checks.base import Said
from shared.git.store import Store
from shared.model.ids import Sha
from shared.model.results import Cause, CheckState
from shared.practice.kernel import CACHE, kernel_store
from shared.settings import Checks
from tests.corpus.asked import ask
from tests.corpus.case import CASES, Case, read

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

CHECK = "build_allmodconfig_warn"
FOLDER = CASES / CHECK
BUILDS = CACHE / "corpus" / "harmed"
"""Of our own: what other tests keep of bases meanwhile is no harm."""

MAKEFILE = "drivers/net/netdevsim/Makefile"
HEAD = "# SPDX-License-Identifier: GPL-2.0\n\nobj-$(CONFIG_NETDEVSIM)"
SETTINGS = Checks(output=2 << 20, disk=1536 << 20, processes=64)


@pytest.fixture
async def tight(cages: Path, repo: Path) -> AsyncIterator[Place]:
    """A place with narrow limits."""
    store = Store(repo)
    await store.ensure()
    place = Machine.of(isolation_for(SETTINGS, cages), SETTINGS).place(
        store, CACHE / "corpus" / "place", builders(BUILDS)
    )  # fmt: skip
    yield place
    place.close()


@pytest.fixture(scope="session")
def listener() -> Iterator[socket.socket]:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.setblocking(False)
        yield server


async def answered(case: Case, repo: Path, place: Place) -> Said:
    _, kernel = await kernel_store()
    answers = await ask(case, FOLDER, repo, kernel, place)
    return answers.said[Task(CHECK, 1)]


def evil(command: str, **options: object) -> Case:
    """A series whose Makefile does this while it is read."""
    like = read(FOLDER / "new_warning.toml")
    edit = {"path": MAKEFILE, "old": HEAD, "new": f"$(shell {command})\n{HEAD}"}
    expect = [{"check": CHECK, "patch": 1, "state": "fail", "text": ""}]
    return Case.model_validate({
        "shows": "", "patch": [{"subject": "netdevsim: harm", "edits": [edit]}], "expect": expect,
        "options": {CHECK: {**like.options[CHECK], **options}},
    })  # fmt: skip


def prints() -> dict[str, str]:
    """Of everything that is kept of bases, a digest of name, time and content."""
    found = {}
    for path in sorted(BUILDS.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.suffix != ".lock":
            facts = path.stat()
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path)] = f"{facts.st_mtime_ns} {facts.st_size} {facts.st_mode:o} {digest}"
    return found


PLANT = (
    "for f in /obj/drivers/net/netdevsim/udp_tunnels.o /obj/drivers/net/netdevsim/.udp_tunnels.o.cmd "
    "$$(find /ccache -type f) /obj/include/generated/autoconf.h; do rm -f $$f; echo wrong >$$f; "
    "touch -d 2100-01-01 $$f; done 2>/dev/null; rm -rf /obj/scripts; chmod 000 /obj/drivers"
)
PORT = "{port}"
HARMS = {
    "prints": ("head -c 1073741824 /dev/zero | tr '\\0' x >&2", CheckState.FAIL, "The build printed more than it may"),
    "fills": ("head -c 2147483648 /dev/zero >/obj/big", CheckState.FAIL, "The build wrote more than it may"),
    "sleeps": ("sleep 100000", CheckState.WARNING, "took longer than 15 s"),
    "connects": (f"bash -c 'echo x >/dev/tcp/127.0.0.1/{PORT}'", CheckState.SUCCESS, ""),
    "stays": ("setsid sleep 98765 >/dev/null 2>&1 & echo", CheckState.SUCCESS, ""),
    "plants": (PLANT, CheckState.FAIL, ""),
}


@pytest.mark.parametrize("harm", HARMS)
async def test_harm_is_contained_and_told(harm: str, tight: Place, repo: Path, listener: socket.socket) -> None:
    command, state, text = HARMS[harm]
    command = command.replace(PORT, str(listener.getsockname()[1]))
    good = read(FOLDER / "new_warning.toml")
    before = await answered(good, repo, tight)
    kept = prints()
    said = await answered(evil(command, **({"time_limit": "15s"} if harm == "sleeps" else {})), repo, tight)
    assert said.state is state, said
    assert not text or said.text == text
    assert said.cause is (Cause.TIMEOUT if harm == "sleeps" else None)
    assert prints() == kept
    after = await answered(good, repo, tight)
    assert (after.state, after.text, after.findings) == (before.state, before.text, before.findings)
    assert after.text == good.expect[0].text
    with pytest.raises(BlockingIOError):
        listener.accept()
    assert not lasting()


def lasting() -> list[str]:
    """Processes that a series left."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            found += [folder.name] if b"98765" in words or b"100000" in words.split(b"\0") else []
    return found


async def test_cancelled_a_build_leaves_nothing(tight: Place, repo: Path) -> None:
    _, kernel = await kernel_store()
    kept = prints()
    task = asyncio.create_task(ask(evil("sleep 100000"), FOLDER, repo, Sha(kernel), tight))
    for _ in range(600):
        if lasting():
            break
        await asyncio.sleep(0.1)
    assert lasting()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not lasting()
    assert prints() == kept
    scratch = CACHE / "corpus" / "place" / "scratch"
    assert [one for own in scratch.glob(f"{os.getpid()}-*") for one in own.iterdir() if one.name != "lock"] == []
