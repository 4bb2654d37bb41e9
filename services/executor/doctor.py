"""What the room needs from its machine and its hosts, looked at. Nothing is changed on any host."""

import asyncio
import shutil
from collections.abc import Sequence

from services.executor.app import bench
from services.executor.cage import at_hand
from services.executor.drivers.base import Driver
from shared.disk import low
from shared.doctor import Finding
from shared.errors import NetciError, Refused
from shared.settings import ExecutorTable, Settings

PATIENCE = 45.0
"""Seconds for all of one host: it may answer no question at all."""

_MENDS = (
    ("host key", "compare the key at the host itself, then put it into known_hosts (ssh-keyscan HOST)"),
    ("accept our key", "put the public half of driver.key_file into authorized_keys of that user"),
)


async def examine(settings: Settings) -> list[Finding]:
    """git, free space, what isolates checks if there are any, each executor's configuration, and every host of it.
    Never raises for what it finds.
    """
    found = [_git(), _disk(settings)]
    if any(project.checking for project in settings.projects.values()):
        found += await at_hand.examine(settings.checks, settings.data)
    for table in settings.executors:
        found += await _executor(settings, table)
    if not settings.executors:
        found.append(Finding(False, "executors", "none is configured", "add [[executors]], or start without this room"))
    return found


def _git() -> Finding:
    path = shutil.which("git")
    if path is None:
        return Finding(False, "git of executor", "not found", "apt install git")
    return Finding(True, "git of executor", path)


def _disk(settings: Settings) -> Finding:
    short = low(settings)
    return Finding(not short, "free space for runs", short, "make room, or lower disk.free" if short else "")


async def _executor(settings: Settings, table: ExecutorTable) -> Sequence[Finding]:
    what = f"executor {table.remote}/{table.name}"
    try:
        ready = bench(settings, table)
    except Refused as exc:
        return [Finding(False, what, str(exc), "correct its suite or driver in the configuration")]
    hosts = ready.driver.hosts
    found = await asyncio.gather(*(_host(f"host {host} of {what}", ready.driver, host) for host in hosts))
    return [Finding(True, what, f"suite {ready.suite.name}, {len(hosts)} hosts"), *found]


async def _host(what: str, driver: Driver, host: str) -> Finding:
    try:
        async with asyncio.timeout(PATIENCE):
            return Finding(True, what, await driver.reach(host))
    except TimeoutError:
        return Finding(False, what, f"no answer in {PATIENCE:.0f} s", "look at the host's console")
    except (NetciError, OSError) as exc:
        # OSError: our own files, as a known_hosts that cannot be read.
        return Finding(False, what, str(exc), _mend(str(exc)))


def _mend(said: str) -> str:
    return next((mend for word, mend in _MENDS if word in said), "is it on, and can this machine reach its SSH port?")
