"""Commands in cages, by short words, and what of them is left on the machine."""

import os
from collections.abc import Iterator
from pathlib import Path

from services.executor.cage.bare import Bare
from services.executor.cage.base import MIB, Cage, Layer, Limits, Ran
from services.executor.cage.bubblewrap import Bubblewrap
from services.executor.cage.warden.watch import GROUP, group_name

LIMITS = Limits(seconds=60, memory=256 * MIB, processes=64, output=MIB, disk=32 * MIB)
"""Small, so that they are met soon; the seconds are those of a busy machine."""


def a_cage(*binds: Layer, limits: Limits = LIMITS, cwd: str = "/") -> Cage:
    return Cage(binds=binds, limits=limits, cwd=cwd)


async def sh(isolation: Bubblewrap | Bare, text: str, cage: Cage = a_cage(), **more: bytes) -> Ran:  # noqa: B008
    return await isolation.run(cage, ("sh", "-c", text), stdin=more.get("stdin", b""))


async def python(isolation: Bubblewrap | Bare, text: str, cage: Cage = a_cage()) -> Ran:  # noqa: B008
    return await isolation.run(cage, ("python3", "-c", text))


def a_tree(place: Path) -> Path:
    """A tree of the service's own: readable files, one that is its owner's alone, a folder."""
    tree = place / "tree"
    (tree / "scripts").mkdir(parents=True)
    (tree / "Makefile").write_text("all:\n\techo made\n")
    (tree / "secretive").write_text("for its owner")
    (tree / "secretive").chmod(0o600)
    (tree / "scripts" / "checkpatch.pl").write_text("the judge")
    return tree


def contents(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Every file: its mode, owner and text."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.stat().st_uid, path.read_text())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def running(mark: str) -> list[int]:
    """Processes that have `mark` in their command line."""
    return [pid for pid, words in _command_lines() if mark.encode() in words]


def _command_lines() -> Iterator[tuple[int, bytes]]:
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            yield int(name), Path("/proc", name, "cmdline").read_bytes()
        except OSError:
            continue


def groups(isolation: Bubblewrap | Bare) -> list[Path]:
    """cgroups that are left by commands of this pid namespace."""
    parents = set(isolation.machine.parents.folders.values())
    ours = group_name(os.getpid()).split("-")[2]
    found = (group for parent in parents for group in Path(parent).glob(f"{GROUP}{ours}-*"))
    return [group for group in found if not Path("/proc", group.name.split("-")[3]).exists()]
