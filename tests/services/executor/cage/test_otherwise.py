"""Machines that have less: no cgroup that may be written, a file system that can't be under an overlay."""

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path

from services.executor.cage.base import MIB
from services.executor.cage.bubblewrap import Bubblewrap
from services.executor.cage.cgroups import Parents
from tests.services.executor.cage.boxes import LIMITS, a_cage, a_tree, contents, python, running, sh

REPOSITORY = Path(__file__).parents[4]
_COPIES = """
import asyncio, sys
from pathlib import Path
from services.executor.cage.at_hand import isolation_for
from services.executor.cage.base import Bind, Cage, Layer
from shared.settings import Checks

async def main():
    place = Path(sys.argv[1])
    isolation = isolation_for(Checks(), place / "state")
    results = place / "results"
    results.mkdir()
    cage = Cage((Layer(place / "tree", "/src", place / "upper"), Bind(results, "/results", writable=True)), cwd="/src")
    for text in ("id -u; cat secretive; echo one > secretive; echo x > new; mkdir sub; touch /results/a; chmod 0 sub",
                 "chmod 755 sub; echo two >> secretive; cat secretive; ls; rm new; touch sub/x; echo y >> /results/a"):
        ran = await isolation.run(cage, ("sh", "-c", text))
        print(ran.code, ran.merged.decode().split(), isolation.copies)
    isolation.close()
    print((place / "tree" / "secretive").read_text(), (results / "a").read_text().strip())

asyncio.run(main())
"""


async def test_limits_hold_without_cgroups(caged: Bubblewrap) -> None:
    caged.machine = replace(caged.machine, parents=Parents())
    assert (await sh(caged, "echo fine; true & wait")).ok
    ran = await python(caged, "x = bytes(range(256)) * (2 << 20); print(len(x))", a_cage(limits=replace(LIMITS)))
    assert (ran.code, ran.ended) == (1, "exit")
    assert b"MemoryError" in ran.stderr
    ran = await sh(caged, "f() { f | f & }; f & exec sleep 86385")
    # A bomb that burns out before it is counted leaves a sleeper that its time ends.
    assert ran.ended in ("processes", "time")
    assert running("86385") == []
    assert (
        await sh(caged, "cat /dev/zero > /tmp/x; sleep 60", a_cage(limits=replace(LIMITS, disk=MIB)))
    ).ended == "disk"


async def test_a_file_system_without_overlays_is_copied(place: Path) -> None:
    if os.geteuid():
        return  # only root can mount one to try; the road is the same
    mount = 'mount -t ramfs none "$1" && cp -a "$2" "$1/tree" && chmod 755 "$1" && exec "$3" -c "$4" "$1"'
    tree = a_tree(place)
    before = contents(tree)
    (place / "ram").mkdir()
    process = await asyncio.create_subprocess_exec(
        "unshare", "--mount", "--", "sh", "-c", mount, "sh", str(place / "ram"), str(tree), sys.executable, _COPIES,
        stdout=asyncio.subprocess.PIPE, cwd=REPOSITORY, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    said, _ = await process.communicate()
    first, second, left = said.decode().splitlines()
    assert first.startswith("0 ['610")
    assert first.endswith("'for', 'its', 'owner'] True")
    assert second == "0 ['one', 'two', 'Makefile', 'new', 'scripts', 'secretive', 'sub'] True"
    assert left == "for its owner y"
    assert contents(tree) == before
