"""The logs of a run: small packs while it is open, one pack with an index when it is closed.

A pack of one attempt is a blob as soon as the attempt ends, so that pages can show it and whoever takes the run over
has it; at the end all are folded into one, without unpacking any. Nothing from a test machine is trusted: names are
ours, sizes capped.
"""

from collections.abc import Mapping

from shared.blobs.pack import Gathering, pack

PART = "part/"
"""Artifacts of an open run whose name begins so are attempts' packs: part/<group>/<test>/<number>."""

RUN_LIMIT = 64 << 20
"""Bytes of logs kept of one run, compressed. It is also what folding them takes of memory, twice over."""

LEFT_OUT = b"(left out: the run's logs are over the limit)\n"


def part_name(group: str, test: str, number: int) -> str:
    return f"{PART}{group}/{test}/{number}"


def part(files: Mapping[str, bytes]) -> bytes:
    """One attempt's files as a blob."""
    return pack(files)


def gathering(about: str, limit: int = RUN_LIMIT) -> Gathering:
    """Takes attempts' packs one at a time and gives the run's. What goes over the limit says so instead.

    `about` is a line on the run. It also makes the bytes the run's own: the pack of a run of one attempt would
    be that attempt's pack else, and have its visibility.
    """
    whole = Gathering(limit, LEFT_OUT)
    whole.put("run", about.encode() + b"\n")
    return whole
