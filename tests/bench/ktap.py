"""How fast a nested KTAP log is read, against one regular expression tried on each of its lines.

The log is what the kselftest runner writes around C and shell programs: per program a header, a nested report with
its plan, a dozen results and their chatter (harness lines, ``set -x`` traces, kernel messages), totals and the
runner's result. One line in fourteen is a result. The peer repeats the heart of every simple TAP reader: a
loop over the lines with one `re.match` and the matched groups kept; it builds no tree and checks nothing.
"""

import json
import re
import statistics
import time
from collections.abc import Callable

from shared.formats.ktap import read

_SIZE = 50 << 20
_ROUNDS = 3
_RESULT = re.compile(r"^[# ]*(not )?ok ([0-9]+)(?: -)? ?([^#\n]*)(?:# (.*))?$")
_CHATTER = (
    "# #  RUN           tls.13_aes_gcm.sendfile_{n} ...",
    "# + ip netns exec ns-{n}-x1 ping -c 1 -w 5 192.168.1.{n} -q",
    "# PING 192.168.1.1 (192.168.1.1) 56(84) bytes of data.",
    "# 1 packets transmitted, 1 received, 0% packet loss, time 0ms",
    "[  {n}.123456][  T{n}] br0: port 1(veth0) entered forwarding state",
    "# rtt min/avg/max/mdev = 0.0{n}/0.061/0.061/0.000 ms",
    "#     TEST: Connectivity of trap device                  [ OK ]",
    "[  {n}.223456][  T{n}] 8021q: adding VLAN 0 to HW filter on device bond0",
    "# # tls.c:{n}:sendfile:Expected 5 (5) == recv(self->cfd, buf, st.st_size, MSG_WAITALL) (5)",
    "# #            OK  tls.13_aes_gcm.sendfile_{n}",
    "#   some text, indented, that a program printed for its reader and not for us",
    "# + tc qdisc add dev veth{n} root handle 1: netem delay 10ms",
    "# INFO: mausezahn started with pid {n}",
)


def a_program(number: int, results: int = 12) -> str:
    """The log of one program, as run by the kselftest runner."""
    lines = [
        "# timeout set to 3600",
        f"# selftests: net: prog_{number}.sh",
        "# TAP version 13",
        f"# 1..{results}",
    ]
    for n in range(1, results + 1):
        lines += [line.format(n=n) for line in _CHATTER]
        lines.append(f"# ok {n} tls.13_aes_gcm.sendfile_{n} # time={n}ms")
    lines.append(f"# # Totals: pass:{results} fail:0 xfail:0 xpass:0 skip:0 error:0")
    lines.append(f"ok {number} selftests: net: prog_{number}.sh")
    return "\n".join(lines) + "\n"


def a_log(size: int) -> tuple[str, int]:
    """A log of about `size` characters, and the number of results in it."""
    count = size // len(a_program(1000))
    programs = "".join(a_program(n) for n in range(1, count + 1))
    return f"TAP version 13\n1..{count}\n{programs}", count * 13


def by_regex(log: str) -> int:
    """The peer."""
    found = []
    for line in log.splitlines():
        if match := _RESULT.match(line):
            found.append(match.groups())
    return len(found)


def by_netci(log: str) -> int:
    report = read(log, max_results=10_000_000)
    assert not report.faults, report.faults
    return len(report.points)


def speed(reader: Callable[[str], int], log: str, expected: int) -> float:
    """MB/s, the median of some rounds."""
    took = []
    for _ in range(_ROUNDS):
        begin = time.perf_counter()
        count = reader(log)
        took.append(time.perf_counter() - begin)
        assert count == expected, f"{reader.__name__} found {count} results of {expected}"
    return len(log) / 1e6 / statistics.median(took)


def main() -> None:
    log, count = a_log(_SIZE)
    print(f"{len(log) / 1e6:.0f} MB, {log.count(chr(10))} lines, {count} results")
    ours, peer = speed(by_netci, log, count), speed(by_regex, log, count)
    answer = {"bench": "ktap", "ours": round(ours, 1), "peer": round(peer, 1), "ratio": round(ours / peer, 2)}
    print(json.dumps(answer | {"unit": "MB/s"}))


if __name__ == "__main__":
    main()
