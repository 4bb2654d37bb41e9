"""How fast a console is searched for crashes, against one regular expression over the same bytes.

The console is what a machine prints while it runs network selftests: kernel messages with stamps, a test's own lines,
and now and then a crash, one in ten thousand lines. The peer does what a watcher of consoles does at the least: it
finds the words that begin a crash, and neither where it ends nor what to call it.
"""

import json
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from shared.formats.oops import OopsReader

_SIZE = 50 << 20
_CHUNK = 64 << 10
_ROUNDS = 3
_CONSOLES = Path(__file__).parents[1] / "golden" / "console"
_CRASH = (_CONSOLES / "kasan-uaf-6.1.log").read_bytes()
_EVERY = 10_000
_PEER = re.compile(
    rb"BUG: |WARNING: |Oops|Call Trace:|RIP: |Kernel panic|INFO: |unreferenced object 0x|ref_tracker: |UBSAN: "
    rb"|general protection fault|Unable to handle kernel"
)
_CHATTER = (
    b"[  %d.123456][  T%d] br0: port 1(veth0) entered forwarding state\n",
    b"# PING 192.168.%d.1 (192.168.1.1) %d(84) bytes of data.\n",
    b"[  %d.223456][  T%d] 8021q: adding VLAN 0 to HW filter on device bond0\n",
    b"# + ip netns exec ns-%d-x1 ping -c 1 -w 5 192.168.1.%d -q\n",
    b"#     TEST: Connectivity of trap device %d %d                  [ OK ]\n",
    b"ok %d tls.13_aes_gcm.sendfile_%d # time=3ms\n",
)


def a_console(size: int) -> tuple[bytes, int]:
    """A console of about `size` bytes, and the number of crashes on it."""
    part = b"".join(_CHATTER[n % len(_CHATTER)] % (n, n) for n in range(_EVERY)) + _CRASH
    count = max(1, size // len(part))
    return part * count, count


def by_regex(console: bytes) -> int:
    """The peer: the KASAN reports it saw begin."""
    return sum(1 for found in _PEER.finditer(console) if found[0] == b"BUG: ")


def by_netci(console: bytes) -> int:
    reader = OopsReader(most=1_000_000)
    pieces = (console[at : at + _CHUNK] for at in range(0, len(console), _CHUNK))
    return sum(len(reader.feed(piece)) for piece in pieces) + len(reader.end())


def speed(reader: Callable[[bytes], int], console: bytes, expected: int) -> float:
    """MB/s, the median of some rounds."""
    took = []
    for _ in range(_ROUNDS):
        begin = time.perf_counter()
        count = reader(console)
        took.append(time.perf_counter() - begin)
        assert count == expected, f"{reader.__name__} found {count} crashes of {expected}"
    return len(console) / 1e6 / statistics.median(took)


def main() -> None:
    console, count = a_console(_SIZE)
    print(f"{len(console) / 1e6:.0f} MB, {console.count(10)} lines, {count} crashes")
    ours, peer = speed(by_netci, console, count), speed(by_regex, console, count)
    answer = {"bench": "oops", "ours": round(ours, 1), "peer": round(peer, 1), "ratio": round(ours / peer, 2)}
    print(json.dumps(answer | {"unit": "MB/s"}))


if __name__ == "__main__":
    main()
