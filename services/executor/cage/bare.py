"""No cage at all: commands run as the service's own user, with the network, the service's files and whatever else it
may touch. For machines that may be lost, and only if the configuration says so.

Limits hold as far as the machine can keep them, and all that a command began is ended with it, as long as it doesn't
mean to get away. There being no places inside, the places' names in arguments, variables and the working folder are
replaced by where things really are, and back again in what is printed. A tree that is written to, or that has
something shown in it, is a copy.
"""

import asyncio
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from services.executor.cage.base import Bind, Cage, Layer, Line, Ran
from services.executor.cage.cgroups import sweep
from services.executor.cage.folders import Folders
from services.executor.cage.guarded import carry_out
from services.executor.cage.inside import HOME, command, environment, limited
from services.executor.cage.machine import Machine
from services.executor.cage.warden.order import BARE, DATA, STAGE, Order
from shared.errors import InfraError


class Bare:
    """See `base.Isolation`. Keeps what it needs below `state`."""

    name = "bare"

    def __init__(self, machine: Machine, state: Path) -> None:
        self.machine = machine
        self._folders = Folders(state)
        self._opening = asyncio.Lock()
        self.copies = True

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
        order, places = bare_order(cage, argv, self.machine, self._folders.new(), pass_fds)
        listener = (lambda piece: heard(places.outside_in(piece))) if heard else None
        ran, _ = await carry_out(order, cage.limits.output, self._folders.lock, stdin, listener)
        back = places.outside_in
        return replace(ran, stdout=back(ran.stdout), stderr=back(ran.stderr), merged=back(ran.merged))

    def close(self) -> None:
        """Remove what is kept for the next command."""
        self._folders.close()


@dataclass(frozen=True, slots=True)
class Places:
    """Where a cage's places really are."""

    real: Mapping[str, str]

    def inside_out(self, text: str) -> str:
        """Names of places, at the beginning of a word or after an option's letter, as real paths."""
        names = "|".join(re.escape(name) for name in sorted(self.real, key=len, reverse=True))
        pattern = rf"(?:(?<![\w./-])|(?<=(?<!\w)-[A-Za-z]))(?:{names})(?=/|[^\w.-]|$)"
        return re.sub(pattern, lambda found: self.real[found.group()], text)

    def outside_in(self, data: bytes) -> bytes:
        for name, path in sorted(self.real.items(), key=lambda item: -len(item[1])):
            data = data.replace(os.fsencode(path), os.fsencode(name))
        return data


def bare_order(
    cage: Cage, argv: tuple[str, ...], machine: Machine, folder: Path, fds: tuple[int, ...] = ()
) -> tuple[Order, Places]:  # fmt: skip
    """What a warden is told, and where things are. Raises InfraError for what can't be shown without a cage."""
    real = {"/tmp": f"{folder}/{STAGE}/tmp", HOME: f"{folder}/{STAGE}/home"}
    layers: list[tuple[str, str]] = []
    copies: dict[str, int] = {}
    over: list[tuple[int, str, str]] = []
    for bind in cage.binds:
        outer = next((target for target in copies if bind.target.startswith(f"{target}/")), None)
        if outer is not None:
            over.append((copies[outer], _copied(bind), bind.target.removeprefix(f"{outer}/")))
        elif isinstance(bind, Layer) or _has_something_in_it(bind, cage):
            lower = bind.lower if isinstance(bind, Layer) else bind.source
            upper = (isinstance(bind, Layer) and bind.upper) or folder / f"upper{len(layers)}"
            copies[bind.target] = len(layers)
            layers.append((str(lower), str(upper)))
            real[bind.target] = f"{upper}/{DATA}"
        else:
            real[bind.target] = str(bind.source)
    places = Places(real)
    env = environment(cage, machine.path, HOME, "/tmp")
    words = command(
        machine,
        tuple(map(places.inside_out, argv)),
        {name: places.inside_out(value) for name, value in env.items()},
        places.inside_out(cage.cwd),
    )
    order = Order(
        mode=BARE,
        folder=str(folder),
        argv=(*limited(machine, cage.limits), *words),
        outer=1,
        ours=1,
        env={},
        seconds=cage.limits.seconds,
        memory=cage.limits.memory,
        processes=cage.limits.processes,
        disk=cage.limits.disk,
        layers=tuple(layers),
        over=tuple(over),
        writable=tuple(str(bind.source) for bind in cage.binds if isinstance(bind, Bind) and bind.writable),
        fds=fds,
        groups=machine.parents.folders,
        unified=machine.parents.version == 2,
    )
    return order, places


def _has_something_in_it(outer: Bind, cage: Cage) -> bool:
    return any(bind.target.startswith(f"{outer.target}/") for bind in cage.binds)


def _copied(bind: Bind | Layer) -> str:
    if isinstance(bind, Layer) or bind.writable:
        raise InfraError(f"{bind.target} can't be written inside of another place without a cage")
    return str(bind.source)
