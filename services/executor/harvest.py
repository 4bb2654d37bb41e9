"""The logs of a run: small packs while it is open, one pack with an index when it is closed.

A pack of one attempt is a blob as soon as the attempt ends, so that pages can show it and whoever takes the run over
has it; at the end all are folded into one. Nothing from a test machine is trusted: names are ours, sizes capped.
"""

from collections.abc import Iterable, Mapping

from shared.blobs.pack import member, names, pack

PART = "part/"
"""Artifacts of an open run whose name begins so are attempts' packs: part/<group>/<test>/<number>."""

RUN_LIMIT = 512 << 20
"""Bytes of logs kept of one run, before compression."""


def part_name(group: str, test: str, number: int) -> str:
    return f"{PART}{group}/{test}/{number}"[:500]


def part(files: Mapping[str, bytes]) -> bytes:
    """One attempt's files as a blob."""
    return pack(files)


def whole(parts: Iterable[bytes]) -> bytes:
    """All attempts' files in one pack. What goes over the limit is replaced by a line that says so."""
    files: dict[str, bytes] = {}
    size = 0
    for one in parts:
        for name, length in names(one).items():
            size += length
            files[name] = member(one, name) if size <= RUN_LIMIT else b"(left out: the run's logs are over the limit)\n"
    return pack(files)
