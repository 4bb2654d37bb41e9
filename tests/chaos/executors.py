"""`make chaos EXECUTORS=20`: what befalls machines and executors while they work, so many rounds of each trouble.

The executor is a process of its own, which is killed with SIGKILL and begun again as long as it takes; hosts are
processes of their own, whose connections are cut, that are frozen with SIGSTOP, whose clocks are years ahead, whose
disks are full; guests are QEMU. In the end each test must have come to what it comes to without any trouble, nothing
may be blamed on a test that a machine did, and no process and no guest may be left.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from services.executor.drivers.here import Here
from services.executor.drivers.rack import DriverConfig, driver_for
from services.executor.drivers.vm.guest_root import guest_root
from services.executor.endings import Ending
from services.executor.resume import History, past
from services.executor.runner import RunJob, Surroundings, carry_out
from services.executor.schedule import Task
from services.executor.suites.attempt import Attempt
from shared.clock import wall
from shared.model.results import Case, Cause, Result
from shared.practice.hosts import served_hosts
from shared.practice.kernel import CACHE
from tests.services.executor.builders import Shells, always, no_tree
from tests.support.kernel_package import kernel_package

TESTS: Mapping[str, tuple[str, str]] = {
    # name: what is run, what it comes to
    "a_pass": ("sleep 0.2; echo ok 1 a", "pass"),
    "b_fail": ("sleep 0.2; exit 1", "fail"),
    "c_skip": ("exit 4", "skip"),
    "d_long": ("sleep 1.5", "pass"),
    "e_says": ("seq 20000; sleep 0.3", "pass"),
    "f_leaves": ("setsid sleep 300 & sleep 0.1", "pass"),
}
LIMIT = 240.0
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
STEPS = ("claim", "planned", "began", "ended", "host")
"""Where an executor is killed, besides at any time: just after it has done that."""


# The executor


class Journal:
    """See `services.executor.sink.Sink`: a file of lines, each on the disk before it counts."""

    def __init__(self, path: Path, dies_at: str) -> None:
        self._path, self._dies_at = path, dies_at
        self._interrupted: dict[tuple[str, str, int], int] = {}

    def _say(self, kind: str, **facts: Any) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps({"kind": kind, **facts}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.step(kind)

    def step(self, name: str) -> None:
        if self._dies_at == name:
            os.kill(os.getpid(), signal.SIGKILL)

    async def stands(self) -> History:
        rows = lines(self._path)
        done = [row for row in rows if row["kind"] == "ended"]
        finished = [Case("shells", row["test"], Result(row["result"]), attempt=row["number"]) for row in done]
        ended = {(row["test"], row["number"]) for row in done}
        broken: dict[tuple[str, str, int], int] = {}
        for row in rows:
            if row["kind"] == "began" and (row["test"], row["number"]) not in ended:
                key = ("shells", row["test"], row["number"])
                broken[key] = broken.get(key, 0) + 1
        # A test is given up when owner after owner dies with it; here that is not what is looked at.
        return History(finished, {key: min(1, count) for key, count in broken.items()}, {}, {})

    async def planned(self, tests: int, expected_end: datetime) -> None:
        self._say("planned", tests=tests)

    async def began(self, task: Task, host: str) -> None:
        self._say("began", test=task.key[1], number=task.number, host=host)

    async def ended(self, attempt: Attempt, host: str, expected_end: datetime) -> None:
        case = attempt.cases[0]
        self._say(
            "ended", test=attempt.test, number=attempt.number, result=str(case.result), cause=str(case.cause or "")
        )

    async def not_run(self, cases: Sequence[Case]) -> None:
        for case in cases:
            self._say("not_run", test=case.test, why=case.detail, cause=str(case.cause or ""))

    async def host(self, address: str, state: str, reason: str) -> None:
        self._say("host", host=address, state=state, reason=reason)

    async def end(self, ending: Ending) -> None:
        return


async def executor(folder: Path, lease: int, dies_at: str) -> None:
    """One owner of the run: what a former one left, it goes on with."""
    said = json.loads((folder / "driver.json").read_text())
    driver = driver_for(TypeAdapter(DriverConfig).validate_python(said), Here(folder / "state"))
    sink = Journal(folder / "journal", dies_at)
    numbers = iter(range(lease * 1000, lease * 1000 + 1000))

    @asynccontextmanager
    async def claim(address: str) -> AsyncIterator[int]:
        sink.step("claim")
        yield next(numbers)

    history = await sink.stands()
    job = RunJob("chaos", "c" * 40, "b", "", wall() + timedelta(seconds=LIMIT), 1, past(history, 1))
    suite = Shells({name: text for name, (text, _) in TESTS.items()}, limit=timedelta(seconds=60))
    await carry_out(job, driver, suite, sink, Surroundings(claim, no_tree, always, wall, patience=0.3))


def lines(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text().splitlines()]
    except FileNotFoundError:
        return []


# Hosts


@dataclass
class Hosts:
    """Two practice hosts, in a process of their own."""

    process: asyncio.subprocess.Process
    told: Mapping[str, Any]
    homes: tuple[Path, Path]

    async def ask(self, word: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{word}\n".encode())
        await self.process.stdin.drain()
        return (await self.process.stdout.readline()).decode().strip()

    @property
    def driver(self) -> dict[str, Any]:
        """The table of a driver that has them."""
        return {
            "kind": "ssh", "hosts": self.told["addresses"], "key_file": self.told["key_file"],
            "host_keys": self.told["known"], "connect_timeout": "5s", "keepalive_interval": "1s",
            "keepalive_count": 3, "kill_grace": "1s",
        }  # fmt: skip


async def serve_hosts(folder: Path, faketime: str) -> None:
    """Their program: what it is told on standard input is the number of one whose connections are to be cut, or
    anything else; it answers with how many processes are alive on both."""
    env = {"LD_PRELOAD": FAKETIME, "FAKETIME": faketime} if faketime else {}
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with served_hosts(2, folder, env) as fleet:
        known = [host.known_hosts_line for host in fleet.hosts]
        told = {"addresses": fleet.addresses, "key_file": str(fleet.key_file), "known": known}
        print(json.dumps(told), flush=True)
        while word := (await reader.readline()).decode().strip():
            if word in "01":
                fleet.hosts[int(word)].cut()
            print(sum(len(host.processes()) for host in fleet.hosts), flush=True)


@asynccontextmanager
async def hosts(folder: Path, faketime: str = "") -> AsyncIterator[Hosts]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.chaos.executors", "--hosts", str(folder), "--faketime", faketime,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield Hosts(process, json.loads(await process.stdout.readline()), (folder / "host1", folder / "host2"))
    finally:
        process.send_signal(signal.SIGCONT)
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(20):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


# Troubles

Trouble = Callable[[Hosts, random.Random], Awaitable[None]]


async def cut(made: Hosts, rng: random.Random) -> None:
    # A test that loses three machines is given up, as it may be to blame.
    for _ in range(2):
        await asyncio.sleep(rng.uniform(0.1, 2.0))
        await made.ask(rng.choice("01"))


async def freeze(made: Hosts, rng: random.Random) -> None:
    """Both hosts, for longer than it takes to give them up."""
    await asyncio.sleep(rng.uniform(0.2, 1.5))
    made.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(rng.uniform(5, 8))
    made.process.send_signal(signal.SIGCONT)


async def fill(made: Hosts, rng: random.Random) -> None:
    """No byte more fits on the disk of a host, for a while."""
    await asyncio.sleep(rng.uniform(0.0, 1.0))
    await asyncio.to_thread(_fill, ballast := made.homes[0] / "ballast")
    await asyncio.sleep(rng.uniform(2, 4))
    ballast.unlink()


def _fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass


async def nothing(made: Hosts, rng: random.Random) -> None:
    return


async def owners(folder: Path, rng: random.Random, kills: int, steps: Sequence[str]) -> int:
    """Executor after executor until one comes to the end; gives how many were killed."""
    killed = 0
    for lease in range(1, 40):
        dies_at = rng.choice(steps) if killed < kills and steps else ""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.chaos.executors", "--executor", str(folder), "--lease", str(lease),
            "--dies-at", dies_at, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            if killed < kills and not dies_at:
                try:
                    async with asyncio.timeout(rng.uniform(0.8, 14)):
                        await process.wait()
                except TimeoutError:
                    process.kill()
            async with asyncio.timeout(LIMIT):
                await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode == 0:
            return killed
        killed += process.returncode == -signal.SIGKILL
        if process.returncode not in (-signal.SIGKILL, 1):
            raise AssertionError(f"an executor ended with {process.returncode}")
    raise AssertionError("forty executors and none came to the end")


def judge(folder: Path) -> list[str]:
    """What is not as it should be."""
    rows, faults = lines(folder / "journal"), []
    first: dict[str, str] = {}
    for row in rows:
        if row["kind"] == "ended" and row["number"] == 0:
            if row["test"] in first:
                faults.append(f"{row['test']} has two results")
            first[row["test"]] = row["result"]
            if row["cause"] == str(Cause.INFRA):
                faults.append(f"{row['test']} is blamed for a machine")
        if row["kind"] == "not_run":
            faults.append(f"{row['test']} was not run: {row['why']}")
    wanted = {name: result for name, (_, result) in TESTS.items()}
    return faults + ([] if first == wanted else [f"came to {first}, not {wanted}"])


async def ssh_round(trouble: str, folder: Path, rng: random.Random) -> tuple[list[str], str]:
    act: Trouble = {"cut": cut, "freeze": freeze, "disk": fill}.get(trouble, nothing)
    async with AsyncExitStack() as stack:
        if trouble == "disk":
            (folder / "host1").mkdir()
            await _run("mount", "-t", "tmpfs", "-o", "size=512k", "none", str(folder / "host1"))
            stack.push_async_callback(_run, "umount", "-l", str(folder / "host1"))
        made = await stack.enter_async_context(hosts(folder, "+800d" if trouble == "clock" else ""))
        (folder / "driver.json").write_text(json.dumps(made.driver))
        acting = asyncio.ensure_future(act(made, rng))
        killed = await owners(folder, rng, 3 if trouble == "kill" else 0, STEPS)
        await acting
        left = await made.ask("how many")
    return judge(folder) + ([f"{left} processes are left on a host"] if left != "0" else []), f"{killed} killed"


async def _run(*words: str) -> str:
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    return said.decode().strip()


async def vm_round(folder: Path, rng: random.Random) -> tuple[list[str], str]:
    """Executors with guests are killed at any time, also while one boots."""
    root = await guest_root(CACHE)
    table = {"kind": "vm", "kernel": str(kernel_package()), "root": str(root), "pool": "chaos", "load": 1000}
    (folder / "driver.json").write_text(json.dumps(table))
    # What a package holds is unpacked once for all rounds.
    (folder / "state").mkdir()
    (folder / "state" / "kernels").symlink_to(_kernels())
    killed = await owners(folder, rng, 2, ())
    await asyncio.sleep(1)
    left = await asyncio.to_thread(_seeing, folder)
    return judge(folder) + ([f"processes are left: {left}"] if left else []), f"{killed} killed"


def _seeing(folder: Path) -> list[str]:
    """Processes that have something below the folder mounted, as cages and guests have."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder) in (process / "mountinfo").read_text():
                found.append((process / "comm").read_text().strip())
        except OSError:
            continue
    return found


def _kernels() -> Path:
    folder = CACHE / "vm-tests" / "kernels"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


TROUBLES = ("cut", "freeze", "clock", "disk", "kill", "guests")


async def play(rounds: int, only: Sequence[str], seed: int) -> int:
    bad = 0
    for trouble in only or TROUBLES:
        for number in range(rounds):
            folder = Path(tempfile.mkdtemp(prefix="netci-x-", dir="/var/tmp"))
            folder.chmod(0o755)
            rng, begun = random.Random(f"{seed} {trouble} {number}"), time.monotonic()
            try:
                faults, told = await (vm_round(folder, rng) if trouble == "guests" else ssh_round(trouble, folder, rng))
            except Exception as exc:
                faults, told = [f"{type(exc).__name__}: {exc}"], ""
            word = "; ".join(faults) or f"as without it{', ' + told if told else ''}"
            print(f"{trouble} {number + 1}: {word} ({time.monotonic() - begun:.0f} s)", flush=True)
            bad += bool(faults)
            if faults:
                print((folder / "journal").read_text() if (folder / "journal").exists() else "no journal", flush=True)
            shutil.rmtree(folder, ignore_errors=True)
    print(
        "executors: " + ("every round came to what it comes to without trouble" if not bad else f"{bad} rounds FAILED")
    )
    return 1 if bad else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.executors", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help=f"some of {','.join(TROUBLES)}")
    parser.add_argument("--hosts", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--faketime", default="", help=argparse.SUPPRESS)
    parser.add_argument("--executor", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--lease", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--dies-at", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.hosts:
        asyncio.run(serve_hosts(options.hosts, options.faketime))
        return 0
    if options.executor:
        asyncio.run(executor(options.executor, options.lease, options.dies_at))
        return 0
    if os.geteuid():
        print("a full disk is a file system of its own: run it as root", file=sys.stderr)
        return 2
    return asyncio.run(play(options.rounds, [one for one in options.only.split(",") if one], options.seed))


if __name__ == "__main__":
    sys.exit(main())
