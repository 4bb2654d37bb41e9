"""Fragments of a kernel's configuration, as ``scripts/kconfig/merge_config.sh`` takes them. Pure.

Answers with symbols for a recipe, the last word on each. Refuses to know which symbols there are: only a tree does.
"""

import re
from collections.abc import Iterable

from shared.errors import Refused

_SET = re.compile(r'CONFIG_([A-Za-z0-9_]+)=([ymn]|-?\d+|0[xX][0-9A-Fa-f]+|"[^"\\]*")')
_OFF = re.compile(r"#\s*CONFIG_([A-Za-z0-9_]+) is not set")

DEBUG = (
    "KASAN=y", "KASAN_GENERIC=y", "UBSAN=y", "PROVE_LOCKING=y", "PROVE_RCU=y", "DEBUG_ATOMIC_SLEEP=y",
    "DEBUG_OBJECTS=y", "DEBUG_OBJECTS_TIMERS=y", "DEBUG_OBJECTS_WORK=y", "DEBUG_KMEMLEAK=y", "DEBUG_NET=y",
    "REF_TRACKER=y", "NET_DEV_REFCNT_TRACKER=y", "NET_NS_REFCNT_TRACKER=y", "DEBUG_LIST=y", "DEBUG_VM=y",
    "DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT=y",
)  # fmt: skip
"""What a debug variant of a kernel is built with: what finds bugs that tests alone do not see, and places for them."""


def read(text: str, where: str) -> tuple[str, ...]:
    """The symbols that a fragment sets, ``NAME=value``. Raises Refused, naming the line, for one that sets nothing."""
    found = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if match := _SET.fullmatch(line):
            found.append(f"{match[1]}={match[2]}")
        elif match := _OFF.fullmatch(line):
            found.append(f"{match[1]}=n")
        elif line and not line.startswith("#"):
            raise Refused(f"{where}:{number}: {line[:80]!r} sets no symbol: CONFIG_FOO=y, or # CONFIG_FOO is not set")
    return tuple(found)


def merged(*fragments: Iterable[str], modules: bool = True) -> tuple[str, ...]:
    """All of them, the last word on each symbol. Without `modules`, what would be one is built in."""
    last: dict[str, str] = {}
    for symbol in (one for fragment in fragments for one in fragment):
        name, _, value = symbol.partition("=")
        last[name] = "y" if value == "m" and not modules else value
    if not modules:
        last["MODULES"] = "n"
    return tuple(f"{name}={value}" for name, value in last.items())
