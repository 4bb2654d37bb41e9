"""The places in the source for the functions of a kernel's report, given the kernel's own image with its symbols.

The image was built from strangers' patches, so what reads it (`nm` and `addr2line` of binutils) runs in a cage. What a
report says of itself is only looked up: names go in on standard input, addresses are made here. Written as
``scripts/decode_stacktrace.sh`` of the kernel writes them, inlined callers after what they inlined. A function that the
image has several times is told by its size; one that cannot be told stays as it is, and so do modules'.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.executor.cage.base import Bind, Cage, Isolation, Limits
from shared.errors import InfraError
from shared.formats.clean import plain

MIB = 1 << 20
LIMITS = Limits(seconds=300, memory=4096 * MIB, processes=16, output=8 * MIB, disk=MIB)
"""A vmlinux with debug information is over a gigabyte."""

_IMAGE = "/image/vmlinux"
_SPOT = re.compile(
    r"(?P<name>[A-Za-z_$][\w.$]{0,127})\+0x(?P<offset>[0-9a-f]{1,8})/0x(?P<size>[0-9a-f]{1,8})"
    r"(?! \[)(?=[ )]|$)"
)
_PLACE = re.compile(r"(?P<file>.+):(?P<line>[0-9]+)(?: \(discriminator [0-9]+\))?")
_SYMBOL = re.compile(r"([0-9a-f]+) ([0-9a-f]+) [tTwWvV] (\S+)")
_EXACT = re.compile(r"R?IP: |EIP: |pc : |PC is at |epc|NIP|BUG: |WARNING: |Krnl PSW")
_PADDING = 64
"""Bytes: how much larger than in the image a function may be in a report, which counts to the next one."""

# The names come in on standard input: $1 is the image, and no word of a report is on a command line.
_NM = 'cat >/tmp/names && nm -S --defined-only "$1" | grep -wFf /tmp/names'


@dataclass(frozen=True, slots=True)
class Spot:
    """``name+0xoffset/0xsize`` as a report has it. `exact`: an instruction's own place, else where a call returns."""

    name: str
    offset: int
    size: int
    exact: bool


async def symbolise(lines: Sequence[str], image: Path, isolation: Isolation, *, root: str = "") -> tuple[str, ...]:
    """`lines` of a report with places for functions, as far as `image` has them.

    `root` is the folder that the kernel was built in, to be left out of file names. Raises InfraError if the tools
    cannot run; a broken image only leaves the lines as they are.
    """
    spots = {spot for line in lines for _, spot in _spots(line)}
    if not spots:
        return tuple(lines)
    cage = Cage((Bind(image, _IMAGE),), limits=LIMITS)
    addresses = _addresses(spots, await _symbols(spots, cage, isolation))
    places = await _places(sorted(set(addresses.values())), cage, isolation, root)
    known = {spot: places[address] for spot, address in addresses.items() if places.get(address)}
    return tuple(_with_places(line, known) for line in lines)


def _spots(line: str) -> list[tuple[re.Match[str], Spot]]:
    exact = _EXACT.match(line.lstrip()) is not None
    return [
        (found, Spot(found["name"], int(found["offset"], 16), int(found["size"], 16), exact))
        for found in _SPOT.finditer(line)
    ]


async def _symbols(spots: Iterable[Spot], cage: Cage, isolation: Isolation) -> Mapping[str, Sequence[tuple[int, int]]]:
    """Address and size of each function of these names."""
    names = "".join(f"{name}\n" for name in sorted({spot.name for spot in spots}))
    ran = await isolation.run(cage, ("sh", "-c", _NM, "sh", _IMAGE), stdin=names.encode())
    if ran.code == 127 or (not ran.stdout and b"not found" in ran.stderr):
        raise InfraError("nm is not installed: install binutils")
    found: dict[str, list[tuple[int, int]]] = {}
    for line in ran.stdout.decode("ascii", "replace").splitlines():
        if symbol := _SYMBOL.fullmatch(line):
            found.setdefault(symbol[3], []).append((int(symbol[1], 16), int(symbol[2], 16)))
    return found


def _addresses(spots: Iterable[Spot], symbols: Mapping[str, Sequence[tuple[int, int]]]) -> dict[Spot, int]:
    """Where each spot is in the image. A call returns behind itself: one byte before is still in it."""
    found = {}
    for spot in spots:
        near = sorted((spot.size - size, address) for address, size in symbols.get(spot.name, ()) if size <= spot.size)
        if near and near[0][0] < _PADDING and (len(near) == 1 or near[0][0] < near[1][0]):
            back = 0 if spot.exact or spot.offset == 0 else 1
            found[spot] = near[0][1] + spot.offset - back
    return found


async def _places(addresses: Sequence[int], cage: Cage, isolation: Isolation, root: str) -> dict[int, str]:
    """``file:line`` of each address, with those of the callers it was inlined in."""
    if not addresses:
        return {}
    asked = "".join(f"{address:#x}\n" for address in addresses)
    ran = await isolation.run(cage, ("addr2line", "-a", "-i", "-e", _IMAGE), stdin=asked.encode())
    if ran.code == 127:
        raise InfraError("addr2line is not installed: install binutils")
    found: dict[int, list[str]] = {}
    at: list[str] = []
    for line in ran.stdout.decode("utf-8", "replace").splitlines():
        if re.fullmatch(r"0x[0-9a-f]{1,16}", line):
            at = found.setdefault(int(line, 16), [])
        elif (place := _PLACE.fullmatch(line)) and place["file"] != "??":
            at.append(f"{_below(place['file'], root)}:{place['line']}")
    return {address: " ".join(at[:8]) for address, at in found.items()}


def _below(file: str, root: str) -> str:
    prefix = root.rstrip("/") + "/"
    return plain(file.removeprefix(prefix) if root else file)[:200]


def _with_places(line: str, known: Mapping[Spot, str]) -> str:
    for found, spot in reversed(_spots(line)):
        if place := known.get(spot):
            line = f"{line[: found.start()]}{spot.name} ({place}){line[found.end() :]}"
    return line
