"""What two commits differ in, and the contents of it, read from a store in portions."""

from collections.abc import AsyncIterator, Sequence

from services.executor.checking.ground import GONE, SUBMODULE, File
from shared.errors import InfraError
from shared.git.objects import Objects
from shared.model.ids import Sha

Row = tuple[bytes, int, str]
"""Path, git's mode, blob; mode `GONE` for what is not there any more."""

_PORTION = 500
_MOST = 1 << 30
"""Bytes of one portion: what a tree may have of larger files is not for us."""


async def difference(store: Objects, old: Sha, new: Sha) -> list[Row]:
    """What must be written to make `new` of `old`."""
    ran = await store.git(
        "diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--end-of-options", old, new,
        max_out=256 << 20, timeout=300,
    )  # fmt: skip
    parts = ran.out.split(b"\0")[:-1]
    return [_row(facts, path) for facts, path in zip(parts[::2], parts[1::2], strict=True)]


def _row(facts: bytes, path: bytes) -> Row:
    _, mode, _, sha, _ = facts.split(b" ")
    return path, int(mode, 8), sha.decode()


async def everything(store: Objects, commit: Sha, *below: str) -> list[Row]:
    """The files of a commit, all or those below some paths."""
    ran = await store.git(
        "ls-tree", "-r", "-z", "--full-tree", commit, "--", *below, max_out=256 << 20, timeout=300
    )  # fmt: skip
    rows = []
    for line in ran.out.split(b"\0")[:-1]:
        facts, _, path = line.partition(b"\t")
        mode, _, sha = facts.split(b" ")
        rows.append((path, int(mode, 8), sha.decode()))
    return rows


async def portions(store: Objects, rows: Sequence[Row]) -> AsyncIterator[list[File]]:
    """The rows with their contents, some hundred at one time."""
    for at in range(0, len(rows), _PORTION):
        some = rows[at : at + _PORTION]
        blobs = await _blobs(store, {sha for _, mode, sha in some if mode not in (GONE, SUBMODULE)})
        yield [File(path, mode, blobs.get(sha, b"")) for path, mode, sha in some]


async def _blobs(store: Objects, wanted: set[str]) -> dict[str, bytes]:
    if not wanted:
        return {}
    asked = "".join(f"{sha}\n" for sha in sorted(wanted))
    ran = await store.git("cat-file", "--batch", stdin=asked.encode(), max_out=_MOST, timeout=300)
    found: dict[str, bytes] = {}
    at, out = 0, ran.out
    while at < len(out):
        end = out.index(b"\n", at)
        words = out[at:end].split(b" ")
        if len(words) != 3 or words[1] != b"blob":
            raise InfraError(f"the store has no blob {words[0].decode('ascii', 'replace')}")
        size = int(words[2])
        found[words[0].decode()] = out[end + 1 : end + 1 + size]
        at = end + 1 + size + 1
    return found
