"""How much longer a run takes than it must: 755 tests of realistic lengths over 26 hosts, by the executor's own core.

The hosts are a process of their own, real SSH servers with real shells. The bound is what no scheduler can beat: the
longest test, or the sum of all over 26. The peer is what one would write by hand: the same tests, longest first, from a
common list, each by the `ssh` client over a control connection that is open already. What a test costs besides its own
time is compared with what it costs the peer, in the same run on the same hosts.
"""

import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from services.executor.drivers.ssh import SshDriver
from services.executor.drivers.ssh_config import SshConfig
from services.executor.runner import Surroundings, carry_out
from services.executor.schedule import Past
from shared.clock import wall
from tests.services.executor.builders import GROUP, Claims, Kept, Shells, a_job, always, no_tree

TESTS = int(os.environ.get("TESTS", "755"))
HOSTS = int(os.environ.get("HOSTS", "26"))
SECONDS = float(os.environ.get("SECONDS", "90"))
"""What the run takes at least."""

HOSTS_PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from shared.practice.hosts import served_hosts
async def main():
    async with served_hosts(int(sys.argv[1]), Path(sys.argv[2])) as fleet:
        print(json.dumps([*fleet.addresses]), flush=True)
        await asyncio.to_thread(sys.stdin.read)
asyncio.run(main())
"""


def lengths(count: int, sum_of_all: float) -> list[float]:
    """Seconds of tests as selftests have them: most take moments, some minutes; none is longer than the run must be."""
    rng = random.Random(11)
    drawn = sorted((rng.lognormvariate(0, 1.3) for _ in range(count)), reverse=True)
    most = sum_of_all / HOSTS * 0.6
    scale = sum_of_all / sum(drawn)
    return [round(min(one * scale, most), 3) for one in drawn]


async def ours(hosts: Sequence[str], folder: Path, tests: dict[str, float]) -> tuple[float, float]:
    """Makespan, and what a test costs besides its time; both in seconds."""
    config = {"hosts": hosts, "key_file": folder / "id_ed25519", "known_hosts": folder / "known_hosts"}
    driver = SshDriver(SshConfig.model_validate(config))
    suite = Shells({name: f"exec sleep {took}" for name, took in tests.items()}, limit=timedelta(minutes=10))
    past = Past(seconds={(GROUP, name): took for name, took in tests.items()})
    began: dict[str, float] = {}
    costs: list[float] = []
    free: dict[str, float] = {}

    async def on_began(test: str, host: str) -> None:
        began[test] = free.get(host) or time.monotonic()

    async def on_ended(test: str, host: str) -> None:
        free[host] = time.monotonic()
        costs.append(free[host] - began[test] - tests[test])

    sink = Kept(on_began=on_began, on_ended=on_ended)
    around = Surroundings(Claims(), no_tree, always, wall)
    begun = time.monotonic()
    await carry_out(a_job(past=past), driver, suite, sink, around)
    took = time.monotonic() - begun
    assert len(sink.results) == len(tests), len(sink.results)
    assert all(str(result) == "pass" for result in sink.results.values()), sink.results
    return took, statistics.mean(costs)


async def by_hand(hosts: Sequence[str], folder: Path, tests: dict[str, float]) -> tuple[float, float]:
    """The same by `ssh`."""
    (folder / "ctl").mkdir(exist_ok=True)
    options = ["-F", "none", "-i", str(folder / "id_ed25519"), "-o", f"UserKnownHostsFile={folder / 'known_hosts'}",
               "-o", f"ControlPath={folder / 'ctl'}/%p"]  # fmt: skip

    def words(host: str) -> list[str]:
        name, _, port = host.rpartition(":")
        return ["ssh", *options, "-p", port, name]

    await asyncio.to_thread(_each, [[*words(host), "-o", "ControlMaster=yes", "-o", "ControlPersist=600", "true"]
                                    for host in hosts])  # fmt: skip
    left = list(tests.items())[::-1]
    costs: list[float] = []

    async def lane(host: str) -> None:
        while left:
            _, took = left.pop()
            begin = time.monotonic()
            process = await asyncio.create_subprocess_exec(
                *words(host), f"exec sleep {took}", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
            )
            await process.communicate()
            assert process.returncode == 0, process.returncode
            costs.append(time.monotonic() - begin - took)

    begun = time.monotonic()
    await asyncio.gather(*(lane(host) for host in hosts))
    took = time.monotonic() - begun
    await asyncio.to_thread(_each, [[*words(host), "-O", "exit"] for host in hosts])
    return took, statistics.mean(costs)


def _each(commands: Sequence[Sequence[str]]) -> None:
    for words in commands:
        subprocess.run(
            words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="netci-bench-") as folder:
        home = Path(folder) / "hosts"
        home.mkdir()
        words = [sys.executable, "-c", HOSTS_PROGRAM, str(HOSTS), str(home)]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as served:
            assert served.stdout is not None
            hosts = json.loads(served.stdout.readline())
            drawn = lengths(TESTS, SECONDS * HOSTS)
            tests = {f"t{number:03}": took for number, took in enumerate(drawn)}
            bound = max(sum(drawn) / HOSTS, drawn[0])
            print(
                f"{TESTS} tests of {min(drawn):.2f} to {drawn[0]:.1f} s over {HOSTS} hosts; bound {bound:.1f} s",
                flush=True,
            )
            peer_took, peer_cost = asyncio.run(by_hand(hosts, home, tests))
            print(f"ssh by hand: {peer_took:.1f} s, {peer_cost * 1000:.1f} ms a test", flush=True)
            took, cost = asyncio.run(ours(hosts, home, tests))
            print(f"netci: {took:.1f} s, {cost * 1000:.1f} ms a test", flush=True)
            served.communicate("", timeout=60)
    answer = {"bench": "schedule", "ours": round(took, 1), "peer": round(bound, 1), "ratio": round(took / bound, 3),
              "unit": "s", "overhead_ms": round(cost * 1000, 1), "ssh_overhead_ms": round(peer_cost * 1000, 1),
              "overhead_ratio": round(cost / peer_cost, 2), "by_ssh": round(peer_took, 1)}  # fmt: skip
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
