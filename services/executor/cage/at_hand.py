"""Which isolation this machine gets, and what it is made of, for `netci doctor` and the status page."""

import asyncio
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

from services.executor.cage.bare import Bare
from services.executor.cage.base import Bind, Cage, Layer, Limits
from services.executor.cage.bubblewrap import Bubblewrap
from services.executor.cage.folders import remove
from services.executor.cage.machine import Machine, fitting_mode, look
from services.executor.cage.warden.order import BARE, DROP
from shared.doctor import Finding
from shared.errors import InfraError
from shared.settings import Checks

_TRY = "cat /tree/held && echo tried > /tree/held && echo tried > /results/left"
_WHAT = "isolation of checks"


OTHERWISE = 'to run them without a cage, say checks.isolation = "bare"'
"""What an operator is told where there is none."""


def isolation_for(checks: Checks, state: Path, otherwise: str = OTHERWISE) -> Bubblewrap | Bare:
    """What `checks` asks for (see `base.Isolation`), keeping what it needs below `state`. Raises InfraError, which
    says what is missing and what can be done `otherwise`, if there is none: running bare has to be asked for.
    """
    bare = checks.isolation == "bare"
    first, last = map(int, checks.users.split("-"))
    try:
        mode = BARE if bare else fitting_mode()
        machine = look(mode, checks.path, (first, last))
    except InfraError as exc:
        raise exc if bare else InfraError(f"{exc}; {otherwise}") from None
    return Bare(machine, state) if mode == BARE else Bubblewrap(machine, state)


def words(machine: Machine) -> list[str]:
    """What checks run under here, a line each."""
    return [_who(machine), *_limits(machine)]


def _who(machine: Machine) -> str:
    if machine.mode == BARE:
        return 'none (checks.isolation = "bare"): patches run as this service\'s own user, with network and files'
    if machine.mode == DROP:
        return f"bubblewrap; each command is a user of its own, of {machine.users[0] + 1} to {machine.users[1]}"
    return "bubblewrap; commands are this service's user, without any right, in a user namespace"


def _limits(machine: Machine) -> Iterator[str]:
    parents = machine.parents
    for controller, what, otherwise in (
        ("memory", "memory", "of each process alone, by rlimit"),
        ("pids", "processes", "counted" if machine.mode == BARE else "by rlimit"),
    ):
        if controller in parents:
            yield f"{what}: by cgroup v{parents.version}, below {parents.folders[controller]}"
        else:
            yield f"{what}: {otherwise}, as no cgroup may be written"
    if machine.mode != BARE and not machine.seccomp:
        yield "no filter of system calls is known for this architecture"


async def examine(checks: Checks, data: Path) -> list[Finding]:
    """Whether checks can be isolated here, tried, and by what. Never raises for what it finds."""
    try:
        with tempfile.TemporaryDirectory(prefix="cage-", dir=data if data.is_dir() else None) as folder:
            return await _tried(checks, Path(folder))
    except (InfraError, OSError) as exc:
        return [Finding(False, _WHAT, str(exc), "docs/how-to/isolation.md says what it needs")]


async def _tried(checks: Checks, folder: Path) -> list[Finding]:
    isolation = isolation_for(checks, folder / "state")
    tree, results = folder / "tree", folder / "results"
    for made in (tree, results):
        made.mkdir()
    (tree / "held").write_text("as it was")
    cage = Cage((Layer(tree, "/tree"), Bind(results, "/results", writable=True)), limits=Limits(seconds=20))
    try:
        ran = await isolation.run(cage, ("sh", "-c", _TRY))
    finally:
        isolation.close()
    machine = isolation.machine
    found = [Finding(True, _WHAT, line) for line in words(machine)]
    found.append(Finding(True, "layers of checks", "copies of the tree: slow" if isolation.copies else "overlays"))
    if ran.ended != "exit" or not (results / "left").exists() or (tree / "held").read_text() != "as it was":
        found.append(Finding(False, _WHAT, f"a command in it went wrong: {ran.merged[-300:]!r}", "see the how-to"))
    await asyncio.gather(*(remove(path) for path in (tree, results)))
    return [*found, *_not_enough(checks, machine)]


def _not_enough(checks: Checks, machine: Machine) -> Iterator[Finding]:
    """A range that is too small, or has users in it that the machine knows: they are somebody's."""
    if machine.mode != DROP:
        return
    taken = [entry.pw_name for entry in pwd.getpwall() if machine.users[0] <= entry.pw_uid <= machine.users[1]]
    if checks.hands > machine.users[1] - machine.users[0]:
        yield Finding(False, "users of checks", "fewer than checks.hands", "give checks.users a larger range")
    if taken:
        yield Finding(False, "users of checks", f"{', '.join(taken)} is in the range", "give checks.users another one")
