"""The part of a base that a series can meet: what an index must hold so that git judges as with the whole tree."""

import os
from collections.abc import Iterator, Sequence

from shared.git.objects import Objects
from shared.model.ids import Sha

_TREE = 0o040000


async def load(store: Objects, base: Sha, known: frozenset[bytes]) -> dict[bytes, tuple[int, str]]:
    """What the base has at these paths: files; files and links where the paths want folders; folders, whole.

    The last two are there so that git sees every clash of a file with a folder that it would see in the full index.
    """
    found: dict[bytes, tuple[int, str]] = {}
    trees: set[bytes] = set()
    for path, mode, sha in await _look_up(store, base, sorted(known), "-t"):
        if mode == _TREE:
            trees.add(path)
        else:
            found[path] = mode, sha
    # A folder that is not there may be there as a file or a link, in the patch's way.
    parents = {path[:i] for path in known - found.keys() for i in range(len(path)) if path[i] == 0x2F}
    for names, flag in ((parents - trees, "-t"), (known & trees, "-r")):
        rows = await _look_up(store, base, sorted(names), flag)
        # With -t every folder on the way is told too; in an index, such an entry would stand for all that is in it.
        found |= {path: (mode, sha) for path, mode, sha in rows if mode != _TREE}
    return found


async def _look_up(store: Objects, base: Sha, paths: Sequence[bytes], flag: str) -> list[tuple[bytes, int, str]]:
    rows: list[tuple[bytes, int, str]] = []
    for some in _portions(paths):
        names = [os.fsdecode(path) for path in some]
        ran = await store.git("ls-tree", "-z", "--full-tree", flag, base, "--", *names)
        for line in ran.out.split(b"\0")[:-1]:
            facts, _, path = line.partition(b"\t")
            mode, _, sha = facts.split(b" ")
            rows.append((path, int(mode, 8), sha.decode()))
    return rows


def _portions(paths: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Some hundred paths each: a command line has its limits."""
    return (paths[at : at + 200] for at in range(0, len(paths), 200))
