"""Whether this machine has room for one more guest. Reads what the kernel says of itself, decides, and waits.

A machine that swaps, or whose disks do not keep up, makes tests fail that have nothing wrong with them.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import structlog

from services.executor.drivers.vm.config import VmConfig
from shared.errors import InfraError

log = structlog.get_logger(__name__)

RESERVE = 256 << 20
"""Bytes of memory that stay with the machine."""
STALLED = 40.0
"""Percent of time in which all work waited for memory or for a disk, over ten seconds (PSI `full`)."""
_AGAIN = 2.0

Reading = Callable[[str], str]


def hindrance(config: VmConfig, read: Reading, processors: int) -> str:
    """Why no guest should be begun now; "" if one may. `read` gives a file of /proc, "" if there is none."""
    load = float((read("loadavg").split() or ["0"])[0])
    if load > config.load * processors:
        return f"the load is {load:g}, above {config.load * processors:g}"
    memory = {line.partition(":")[0]: _bytes(line) for line in read("meminfo").splitlines()}
    free = memory.get("MemAvailable")
    if free is not None and free < config.memory + RESERVE:
        return f"{free >> 20} MiB of memory are left, and a guest needs {(config.memory + RESERVE) >> 20}"
    if (dirty := memory.get("Dirty", 0)) > config.dirty:
        return f"{dirty >> 20} MiB wait to be written, above {config.dirty >> 20}"
    for what in ("memory", "io"):
        if (stalled := _stalled(read(f"pressure/{what}"))) > STALLED:
            return f"work waits for {what} {stalled:g} % of the time"
    return ""


def _bytes(line: str) -> int:
    words = line.split()
    return int(words[1]) << 10 if len(words) > 1 and words[1].isdecimal() else 0


def _stalled(text: str) -> float:
    for line in text.splitlines():
        if line.startswith("full "):
            return float(line.partition("avg10=")[2].split()[0])
    return 0.0


def of_proc(name: str) -> str:
    """A file of /proc."""
    try:
        return Path("/proc", name).read_text("utf-8")
    except OSError:
        return ""


class Governor:
    """Lets guests begin one after another, while there is room."""

    def __init__(self, config: VmConfig, read: Reading = of_proc) -> None:
        self._config, self._read = config, read
        self._turn = asyncio.Lock()
        self._last = 0.0

    async def admit(self) -> None:
        """Return when a guest may begin. Raises InfraError when there was no room for all of the patience."""
        loop = asyncio.get_running_loop()
        patience = self._config.patience.total_seconds()
        until, told = loop.time() + patience, ""
        async with self._turn:
            await asyncio.sleep(self._last + self._config.stagger.total_seconds() - loop.time())
            while why := hindrance(self._config, self._read, os.cpu_count() or 1):
                if loop.time() >= until:
                    raise InfraError(f"no guest could be begun for {patience:.0f} s: {why}")
                if not told:
                    log.info("vm: waits", reason=why)
                told = why
                await asyncio.sleep(_AGAIN)
            self._last = loop.time()
