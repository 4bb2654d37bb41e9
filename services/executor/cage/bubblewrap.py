"""Cages by bubblewrap. As root, each command is a user that nobody else is; else a user without any right."""

import asyncio
from pathlib import Path

from services.executor.cage.base import Cage, Line, Ran
from services.executor.cage.cgroups import sweep
from services.executor.cage.folders import Folders
from services.executor.cage.guarded import carry_out
from services.executor.cage.inside import order_for
from services.executor.cage.machine import Machine


class Bubblewrap:
    """See `base.Isolation`. Keeps what it needs below `state`."""

    name = "bubblewrap"

    def __init__(self, machine: Machine, state: Path) -> None:
        self.machine = machine
        self._folders = Folders(state)
        self._opening = asyncio.Lock()
        self.copies = False
        """Whether layers had to be copies, the last time there were any."""

    async def run(
        self,
        cage: Cage,
        argv: tuple[str, ...],
        *,
        stdin: bytes = b"",
        pass_fds: tuple[int, ...] = (),
        heard: Line | None = None,
    ) -> Ran:
        async with self._opening:
            if self._folders.lock < 0:
                sweep(self.machine.parents)
                await self._folders.open()
        order = order_for(cage, argv, self.machine, self._folders.new(), pass_fds)
        ran, copied = await carry_out(order, cage.limits.output, self._folders.lock, stdin, heard)
        self.copies = copied if order.layers else self.copies
        return ran

    def close(self) -> None:
        """Remove what is kept for the next command."""
        self._folders.close()
