"""Whether a guest is as it was when it was new: asked of it after each test, judged by what it said first. Pure.

What counts: taint of the kernel, interfaces and network namespaces that a test left, processes that are not ours, and
whatever an operator's script finds. Nothing of it changes a result; the next test gets a new guest.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from services.executor.drivers.base import MIB, Command, shell
from shared.formats.clean import cut, plain

LOOK = """
echo "taint $(cat /proc/sys/kernel/tainted 2>/dev/null)"
for link in /sys/class/net/*; do [ -e "$link" ] && echo "link ${link##*/}"; done
for space in /run/netns/* /var/run/netns/*; do [ -e "$space" ] && echo "netns ${space##*/}"; done
# Ours are this shell, the shell that called it, and whatever leads to them.
mine=" $$ "
pid=$$
while [ "$pid" -gt 1 ] 2>/dev/null; do
    read -r line 2>/dev/null <"/proc/$pid/stat" || break
    set -- ${line##*) }
    pid=$2
    # Not the first process: whoever lost its parent is a child of that.
    [ "$pid" -gt 1 ] && mine="$mine$pid "
done
for stat in /proc/[0-9]*/stat; do
    read -r line 2>/dev/null <"$stat" || continue
    pid=${stat#/proc/}
    pid=${pid%/stat}
    set -- ${line##*) }
    # A thread of the kernel has no parent but its own; a dead process is nobody's burden.
    case $1 in Z | X) continue ;; esac
    [ "$2" = 2 ] && continue
    [ "$pid" = 2 ] && continue
    case "$mine" in *" $pid "* | *" $2 "*) continue ;; esac
    name=${line#*(}
    echo "process $pid ${name%)*}"
done
true
"""

LEAKS = "if [ -w /sys/kernel/debug/kmemleak ]; then echo scan >/sys/kernel/debug/kmemleak; fi 2>/dev/null"
"""Run before a test's kernel log is read, so that a leak is that test's. The kernel says in its log how many it found;
only memory that has been lost for seconds counts as lost."""

FALLBACK = re.compile(
    r"(sit|tunl|ip6tnl|gre|gretap|erspan|ip6gre|ip6_vti|ip_vti|ip6gretap)0|lo|teql0|bond0|dummy0|ifb[01]"
)
"""Interfaces that a kernel makes by itself when a module is loaded."""

_FLAGS = "PFSRMBUDAWCIOELKXTN"
"""Letters of a kernel's taint, by bit (``Documentation/admin-guide/tainted-kernels.rst``)."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a guest said of itself."""

    taint: int = 0
    links: frozenset[str] = frozenset()
    spaces: frozenset[str] = frozenset()
    processes: frozenset[tuple[str, str]] = frozenset()


def look() -> Command:
    """What to run for it."""
    return shell(LOOK, cap=MIB)


def read(said: bytes) -> Look:
    """Never raises: a guest may say anything."""
    taint, links, spaces, processes = 0, set(), set(), set()
    for line in said.decode(errors="replace").splitlines()[:5000]:
        word, _, rest = line.partition(" ")
        if word == "taint" and rest.isdecimal() and len(rest) < 12:
            taint = int(rest)
        elif word == "link":
            links.add(rest[:64])
        elif word == "netns":
            spaces.add(rest[:256])
        elif word == "process":
            pid, _, name = rest.partition(" ")
            processes.add((pid[:12], name[:64]))
    return Look(taint, frozenset(links), frozenset(spaces), frozenset(processes))


def worn(new: Look, now: Look) -> str:
    """What is wrong now that was not when it was new; "" if nothing is."""
    return cut(plain("; ".join(_complaints(new, now))), 300)


def _complaints(new: Look, now: Look) -> Iterable[str]:
    if more := now.taint & ~new.taint:
        yield f"its kernel is tainted: {letters(more)}"
    if links := sorted(link for link in now.links - new.links if not FALLBACK.fullmatch(link)):
        yield f"interfaces were left: {_some(links)}"
    if gone := sorted(new.links - now.links):
        yield f"interfaces are gone: {_some(gone)}"
    if spaces := sorted(now.spaces - new.spaces):
        yield f"network namespaces were left: {_some(spaces)}"
    if processes := sorted(name for _, name in now.processes - new.processes):
        yield f"processes were left: {_some(processes)}"


def letters(taint: int) -> str:
    """As the kernel writes them."""
    return "".join(_FLAGS[bit] if bit < len(_FLAGS) else f"({bit})" for bit in range(64) if taint >> bit & 1)


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def script(text: str) -> Command:
    """An operator's own."""
    return shell(text, cap=MIB)


def complaint(said: bytes, code: int | None) -> str:
    """What it said is why; its exit code, if it said nothing."""
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    return cut(plain("its health script: " + (lines[-1] if lines else f"exit {code}")), 300)
