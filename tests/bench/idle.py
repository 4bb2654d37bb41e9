"""What netci costs while nothing happens: all rooms in one process with its own database, the default polls, no series.

Memory is shared-adjusted (PSS: what several processes share is divided among them), so that the figures of a family of
processes may be added; that of netci itself is also told as resident. CPU is in percent of one core over the time that
is measured. There is no peer: `peer` is what we set ourselves, 150 MB, and `ratio` how often we fit into it;
`cpu_limit` is the other aim, 1 %.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from shared.practice.config import Tables
from shared.practice.demo.stage import Stage, staged
from tests.support.processes import family
from tests.support.rabbitmq import free_port

SETTLE, LONG = 20.0, 60.0
"""Seconds before it is looked at, in which the first polls and fetches are made, and in which it is."""
MEMORY, CPU = 150.0, 1.0
"""What we set ourselves, in MB and in percent of a core."""


@dataclass(frozen=True)
class Cost:
    """Of some processes: PSS and RSS in MB, seconds of CPU since each began."""

    adjusted: float
    resident: float
    cpu: float


def cost_of(pids: Iterable[int]) -> Cost:
    adjusted = resident = cpu = 0.0
    for pid in pids:
        memory = dict(_sizes(pid))
        adjusted += memory["Pss"]
        resident += memory["Rss"]
        cpu += _seconds(pid)
    return Cost(adjusted, resident, cpu)


def _sizes(pid: int) -> Iterable[tuple[str, float]]:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, size, _ = line.split()
        yield name.rstrip(":"), int(size) * 1024 / 1e6


def _seconds(pid: int) -> float:
    """With its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _servers(pids: Iterable[int]) -> set[int]:
    return {pid for pid in pids if Path(f"/proc/{pid}/comm").read_text().startswith("postgres")}


def as_shipped(tables: Tables) -> None:
    """The practice configuration without what it does more often than the defaults."""
    for key in ("poll", "reconcile", "sync_queue"):
        tables["projects"]["netdev"]["patchwork"].pop(key, None)


async def look(stage: Stage) -> dict[str, Any]:
    """The figures of one stretch of idling. Its database's sessions come and go: theirs is taken from the whole."""
    netci = stage.netci.pid
    await asyncio.sleep(SETTLE)
    began, before = time.monotonic(), {pid: cost_of([pid]) for pid in family(netci)}
    await asyncio.sleep(LONG)
    took, pids = time.monotonic() - began, family(netci)
    after = {pid: cost_of([pid]) for pid in pids}
    servers = _servers(pids)
    found = {}
    for name, mine in (("netci", set(pids) - servers), ("database", servers)):
        spent = sum(after[pid].cpu - (before[pid].cpu if pid in before else 0.0) for pid in mine)
        found[name] = {
            "mb": round(sum(after[pid].adjusted for pid in mine), 1),
            "resident_mb": round(sum(after[pid].resident for pid in mine), 1),
            "cpu_percent": round(100 * spent / took, 2),
            "processes": len(mine),
        }
    return found


async def measure() -> dict[str, Any]:
    async with staged(0, f"127.0.0.1:{free_port()}", adapt=as_shipped) as stage:
        found = await look(stage)
    ours = found["netci"]
    print(f"netci: {ours}; its database: {found['database']}", file=sys.stderr)
    return {
        "bench": "idle", "ours": ours["resident_mb"], "peer": MEMORY, "ratio": round(MEMORY / ours["resident_mb"], 2),
        "unit": "MB", "cpu": ours["cpu_percent"], "cpu_limit": CPU, **found,
    }  # fmt: skip


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    print(json.dumps(asyncio.run(measure())))


if __name__ == "__main__":
    main()
