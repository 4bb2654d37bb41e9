"""`make acceptance`, its second half: kernels of the branch, built and booted, and the kernel's own tests in guests.

A kernel of the Debian source is built small, from nothing if no former run has left it, and again after one file of
net/ has changed. Two guests at one time run tests of net, and right after each of them `run_kselftest.sh` runs the same
test by hand in the same guest: the two must agree, case by case. In the middle a test panics its machine, one hangs it
and one makes the kernel warn. At the end Debian's own kernel is booted, and root of a guest looks for what it should
not see. The exit code is 0 only if all is as it should be.
"""

import argparse
import asyncio
import contextlib
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel

from services.executor.drivers.base import Capture, Command, Job, Target, shell
from services.executor.drivers.here import Here
from services.executor.drivers.vm.config import VmConfig
from services.executor.drivers.vm.driver import VmDriver
from services.executor.drivers.vm.guest_root import guest_root
from services.executor.recipe import NAME, Recipe
from services.executor.runner import Outcome, Surroundings, carry_out
from services.executor.suites.kselftest import Kselftest, KselftestConfig
from services.executor.trees import Trees, chunks
from shared.clock import wall
from shared.formats.selftests import Spelling
from shared.git.store import Store
from shared.model.ids import Sha
from shared.model.results import Case, Cause, Result
from shared.practice.kernel import CACHE, kernel_store
from shared.settings import Checks
from tests.services.executor.builders import Claims, Kept, a_job, always
from tests.services.executor.checking.builders import Contents, Repository
from tests.support.kernel_package import kernel_package

NET = "tools/testing/selftests/net"
TESTS = (
    "reuseport_bpf", "reuseport_bpf_cpu", "reuseport_bpf_numa", "reuseport_dualstack", "reuseaddr_conflict",
    "reuseport_addr_any.sh", "sk_bind_sendto_listen", "run_netsocktests", "run_afpackettests", "tun", "tap",
    "udpgso.sh", "netdevice.sh", "icmp.sh", "test_vxlan_under_vrf.sh", "cmsg_so_mark.sh", "vrf_strict_mode_test.sh",
    "route_localnet.sh", "fib_rule_tests.sh", "stress_reuseport_listen.sh", "bareudp.sh", "drop_monitor_tests.sh",
    "devlink_port_split.py", "unicast_extensions.sh",
)  # fmt: skip
HURTING: Mapping[str, str] = {
    "netci_hurt_panic.sh": "echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger; sleep 600",
    "netci_hurt_hang.sh": "echo HARDLOCKUP >/sys/kernel/debug/provoke-crash/DIRECT; sleep 600",
    "netci_hurt_warning.sh": "echo WARNING >/sys/kernel/debug/provoke-crash/DIRECT; echo it lives",
}
MARK = "netci acceptance: a file of net has changed"
SOURCES = ("Makefile", "Kbuild", "Kconfig", "arch/x86", "include", "scripts", "tools", "usr")
BUILD = (
    "make -s headers && make -s -C tools/testing/selftests install TARGETS=net INSTALL_PATH=$INSTALL_PATH "
    'KHDR_INCLUDES="-isystem $PWD/usr/include"'
)
LIMIT = timedelta(minutes=4)
FAULTS: list[str] = []


def must(true: object, what: str) -> None:
    """Tell of it, and remember what is not so."""
    print(f"  {'as it should be' if true else 'NOT SO'}: {what}", flush=True)
    if not true:
        FAULTS.append(what)


@asynccontextmanager
async def stage(title: str) -> AsyncIterator[None]:
    begun = time.monotonic()
    print(f"\n{title}", flush=True)
    yield
    print(f"  ({time.monotonic() - begun:.0f} s)", flush=True)


class Tree:
    """The kernel's source with our own tests above it, in the store that benches and acceptance share."""

    def __init__(self, store: Store, repository: Repository, tip: Sha) -> None:
        self.store, self._repository, self.tip = store, repository, tip

    @classmethod
    async def open(cls) -> "Tree":
        store, base = await kernel_store()
        tree = cls(store, Repository(store.path), base)
        makefile = (await store.read_blob(base, f"{NET}/Makefile")).decode()
        # tls.c of this source does not compile with its own headers, and takes the whole installation with it.
        makefile = re.sub(r"^(TEST_GEN_FILES|TEST_GEN_PROGS) \+= tls$", "", makefile, flags=re.MULTILINE)
        makefile = re.sub(r"(?<=[ =])tls(?=[ \n])", "", makefile)
        named = "".join(f"TEST_PROGS += {name}\n" for name in HURTING)
        makefile = makefile.replace("include ../lib.mk", f"{named}include ../lib.mk", 1)
        scripts: Contents = {
            f"{NET}/{name}": ("100755", f"#!/bin/sh\n{text}\n".encode()) for name, text in HURTING.items()
        }
        await tree.change({f"{NET}/Makefile": makefile.encode(), **scripts}, "acceptance tests")
        return tree

    async def change(self, contents: Contents, message: str) -> Sha:
        self.tip = await self._repository.commit(contents, self.tip, message)
        return self.tip


def a_driver(folder: Path, root: Path, store: Store, kernel: object, count: int) -> VmDriver:
    config = VmConfig.model_validate({
        "kind": "vm", "kernel": kernel, "root": root, "pool": "acceptance", "count": count, "load": 100,
        "append": "sysctl.kernel.hung_task_panic=1",
    })  # fmt: skip
    return VmDriver(config, Here(folder, Checks(), store))


class Watched:
    """A driver of which every target that is out is known, so that a test can be run again where it has just run."""

    name: ClassVar[str] = VmDriver.name
    Config: ClassVar[type[BaseModel]] = VmDriver.Config

    def __init__(self, driver: VmDriver) -> None:
        self._driver, self.hosts = driver, driver.hosts
        self.out: dict[str, Target] = {}
        self.leases = 0
        self.most = 0

    @asynccontextmanager
    async def lease(self, job: Job) -> AsyncIterator[Target]:
        async with self._driver.lease(job) as target:
            self.out[job.host] = target
            self.leases += 1
            self.most = max(self.most, len(self.out))
            try:
                yield target
            finally:
                del self.out[job.host]

    async def sound(self, target: Target) -> str:
        return await self._driver.sound(target)

    async def reach(self, host: str) -> str:
        return await self._driver.reach(host)


_POINT = re.compile(r"^# +(?:# +)*(not ok|ok) +\d+ (.*)$", re.MULTILINE)


class ByHand:
    """What `run_kselftest.sh` says of each test, in the guest where ours has just ended."""

    def __init__(self, driver: Watched) -> None:
        self._driver = driver
        self.said: dict[str, tuple[str, Counter[str]]] = {}

    async def __call__(self, test: str, host: str) -> None:
        target = self._driver.out.get(host)
        program = next((name for name in TESTS if _key(name) == test), None)
        if program is None or target is None:
            return
        script = 'cd "$1/install" && ./run_kselftest.sh -t "net:$2" 2>&1 | cat'
        out = Capture()
        await target.dut.run(shell(script, str(target.work), program), timeout=LIMIT, out=out)
        text = out.stdout.decode(errors="replace")
        found = re.search(rf"^(not ok|ok) \d+ selftests: net: {re.escape(program)}(.*)$", text, re.MULTILINE)
        word = _word(found[1], found[2]) if found else "no result"
        # Whoever ran is told last; each point of a nested TAP comes before.
        self.said[test] = word, Counter(_word(mark, rest) for mark, rest in _POINT.findall(text))


def _word(mark: str, rest: str) -> str:
    if "SKIP" in rest:
        return "skip"
    if "XFAIL" in rest:
        return "pass"
    return "pass" if mark == "ok" else "fail"


def _key(program: str) -> str:
    return Spelling().of("net", program)[1]


async def the_run(driver: VmDriver, tree: Tree, folder: Path) -> tuple[Kept, ByHand, Watched, Outcome]:
    table = {
        "kind": "kselftest", "targets": ["net"], "checkout": SOURCES, "build": BUILD, "tests": [*TESTS, *HURTING],
        "time_limit": "4m", "longest": "4m", "time_limits": {"netci_hurt_hang.sh": "20s"}, "slow": 1,
    }  # fmt: skip
    suite = Kselftest(KselftestConfig.model_validate(table))
    trees = Trees(folder, "acceptance")
    trees.store = tree.store
    watched = Watched(driver)
    by_hand = ByHand(watched)
    sink = Kept(on_ended=by_hand)
    async with trees.tar(tree.tip, suite.paths() or ()) as file:
        around = Surroundings(Claims(), lambda: chunks(file), always, wall, patience=0.5)
        job = a_job(wall() + timedelta(hours=2), retries=0)
        told = Recipe("", "", "", "acceptance", str(tree.tip), "", str(tree.store.path), "acceptance/vm", table,
                      {"kind": "vm", **driver.public})  # fmt: skip
        outcome = await carry_out(replace(job, commit=str(tree.tip), recipe=told), watched, suite, sink, around)
    return sink, by_hand, watched, outcome


def compare(sink: Kept, by_hand: ByHand) -> None:
    rows = {case.test: case for case in sink.cases if not case.subtest}
    below: dict[str, list[Case]] = {}
    for case in sink.cases:
        if case.subtest:
            below.setdefault(case.test, []).append(case)
    agreed, nested = 0, 0
    print(f"  {'test':28} {'netci':8} {'by hand':8} {'cases':>5} {'seconds':>8}")
    for program in TESTS:
        test = _key(program)
        word, points = by_hand.said.get(test, ("not run", Counter()))
        row = rows.get(test)
        ours = str(row.result) if row else "not run"
        mine = Counter(str(one.result) for one in below.get(test, ()))
        same = ours == word and word not in ("not run", "no result") and mine == points
        agreed += same
        nested += bool(mine)
        seconds = f"{row.seconds:8.1f}" if row and row.seconds is not None else ""
        mark = "" if same else f"   differs: {dict(mine)} and {dict(points)}"
        print(f"  {program:28} {ours:8} {word:8} {sum(mine.values()):>5} {seconds}{mark}", flush=True)
    must(agreed == len(TESTS), f"{agreed} of {len(TESTS)} tests agree with run_kselftest.sh in the same guest")
    must(agreed >= 20 and nested >= 2, f"at least 20 do, {nested} of them with cases of their own")


def hurt(sink: Kept, watched: Watched, outcome: Outcome) -> None:
    cases = {case.test: case for case in sink.cases if not case.subtest}
    for name, words in (("panic", "sysrq"), ("warning", "lkdtm_WARNING"), ("hang", "stopped answering")):
        case = cases.get(_key(f"netci_hurt_{name}.sh"))
        told = "; ".join(case.crashes) if case else "no case"
        print(f"  {name}: {told}")
        good = case is not None and case.result is Result.FAIL and case.cause is Cause.CRASH
        must(good and words.lower() in told.lower(), f"the {name} is its own test's, and told as {words}")
    prints = [data for name, data in sink.files.items() if name.endswith("/crashes")]
    must(any(b"fingerprint" in data for data in prints), "crashes are kept with their fingerprints")
    listed = len(TESTS) + len(HURTING)
    must(outcome.tests == listed and outcome.late == 0, f"all of {listed} tests ran ({outcome.tests} were listed)")
    must(watched.most == 2, "two guests ran at one time")
    must(watched.leases >= 4, f"guests were replaced: {watched.leases} were booted")
    must("broken" not in sink.hosts.values(), "no machine was called broken for what a test did")


async def said(target: Target, text: str) -> str:
    out = Capture()
    await target.dut.run(shell(text), timeout=timedelta(minutes=1), out=out)
    return (out.stdout + out.stderr).decode(errors="replace")


LOOK = """
ls /sys/class/net | tr '\\n' ' '
for path in "$@"; do [ -e "$path" ] && echo "SEEN $path"; done
for tag in netci-root netci-seed netci-work; do
    mkdir -p /tmp/m && mount -t 9p -o trans=virtio,version=9p2000.L "$tag" /tmp/m 2>/dev/null || continue
    for path in "$@"; do [ -e "/tmp/m/../../../..$path" ] && [ "$(stat -c %d "/tmp/m/../../../..$path")" != \
        "$(stat -c %d "$path" 2>/dev/null)" ] && echo "SEEN BY 9P $path"; done
    touch /tmp/m/written 2>/dev/null && echo "WRITTEN $tag"
    umount /tmp/m
done
for port in 22 5432 5672 8000; do (echo >"/dev/tcp/10.0.2.2/$port") 2>/dev/null && echo "REACHED $port"; done
echo end
"""


async def shut_in(target: Target, secrets: list[Path]) -> None:
    out = Capture()
    words = ("bash", "-c", LOOK, "bash", *map(str, secrets))
    await target.dut.run(Command(words), timeout=timedelta(minutes=2), out=out)
    text = (out.stdout + out.stderr).decode(errors="replace")
    must(text.strip().endswith("end") and not re.search("SEEN|WRITTEN|REACHED", text),
         f"root of a guest sees nothing of this machine, and reaches no port of it: {text.split()}")  # fmt: skip


async def reproduced(sink: Kept, test: str, root: Path, work: Path) -> None:
    """`netci repro` on the files of one test, as somebody has them who has kept them."""
    there = next(str(case.result) for case in sink.cases if case.test == test and not case.subtest)
    with tempfile.TemporaryDirectory(prefix="netci-recipe-", dir="/var/tmp") as folder:
        for name, data in sink.files.items():
            if name.split("/")[1] in (test, "kernel"):
                file = Path(folder, name)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
        words = ("repro", f"{folder}/selftests-net/{test}/0/{NAME}", "--root", str(root), "--work", str(work))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services", "--log", "warning", *words, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await process.communicate()
    print("".join(f"    {line}\n" for line in said.decode(errors="replace").splitlines()), end="")
    must(process.returncode == 0, f"{test} came to {there} there, and comes to the same here")


async def walk(options: argparse.Namespace) -> int:
    state = CACHE / "acceptance-guests"
    if options.fresh:
        state = Path(tempfile.mkdtemp(prefix="netci-guests-", dir="/var/tmp"))
    state.mkdir(parents=True, exist_ok=True)
    state.chmod(0o755)
    root = await guest_root(CACHE, ("ethtool", "socat", "libnuma1"))
    config = {"source": "tinyconfig", "modules": False, "suite": False,
              "fragments": [str(Path(__file__).with_name("small.config"))]}  # fmt: skip
    tree = await Tree.open()
    driver = a_driver(state, root, tree.store, config, 2)
    secret = Path(tempfile.mkdtemp(prefix="netci-secret-", dir="/var/tmp"))
    (secret / "key").write_text("nobody's business\n")

    async with stage("A kernel of the branch, built small"):
        begun = time.monotonic()
        kernel = await driver.kernel(Job("acceptance", 1, "", str(tree.tip)))
        took = time.monotonic() - begun
        print(f"  {kernel.release}, {kernel.facts}: {took:.0f} s now, {kernel.seconds:.0f} s when it was built")
        must(
            "kernel_lacks" not in kernel.facts, f"it has all that was asked for {kernel.facts.get('kernel_lacks', '')}"
        )
    async with stage("Two guests, the kernel's own tests, and three that hurt"):
        sink, by_hand, watched, outcome = await the_run(driver, tree, state)
        must(outcome.built, "the tests were built")
        if not outcome.built:
            print(next(iter(sink.files.values())).decode(errors="replace")[-3000:])
            return 1
        compare(sink, by_hand)
        hurt(sink, watched, outcome)
    async with stage("A failed and a passed result, reproduced by the command from their recipes"):
        for test in ("devlink-port-split-py", "tun"):
            await reproduced(sink, test, root, state if not options.fresh else state / "fresh")
    async with stage("One file of net/ has changed"):
        text = (await tree.store.read_blob(tree.tip, "net/core/sock_diag.c")).decode()
        mark = f"{MARK} {options.number}"
        text += f'\nstatic int __init netci_mark(void)\n{{\n\tpr_info("{mark}\\n");\n\treturn 0;\n}}\n'
        text += "late_initcall(netci_mark);\n"
        await tree.change({"net/core/sock_diag.c": text.encode()}, "one file of net")
        begun = time.monotonic()
        kernel = await driver.kernel(Job("acceptance", 1, "", str(tree.tip)))
        print(f"  built in {time.monotonic() - begun:.0f} s ({kernel.seconds:.0f} s of it the build)")
        async with driver.lease(Job("changed", 1, driver.hosts[0], str(tree.tip))) as target:
            must(mark in await said(target, "dmesg"), "the guest's kernel says so")
            await shut_in(target, [secret / "key", Path("/work"), state, CACHE, Path("/var/lib/postgresql")])
    async with stage("Debian's own kernel"):
        debian = a_driver(state, root, tree.store, kernel_package(), 1)
        async with debian.lease(Job("debian", 1, debian.hosts[0])) as target:
            release = (await said(target, "uname -r")).strip()
            must(release.endswith("-amd64"), f"it runs {release}")
    (secret / "key").unlink()
    secret.rmdir()
    print(f"\nguests: {'passed' if not FAULTS else 'FAILED'}")
    for fault in FAULTS:
        print(f"  not so: {fault}")
    return 1 if FAULTS else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.guests", description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="build from nothing, in a folder of its own")
    options = parser.parse_args()
    options.number = int(time.time())
    with contextlib.suppress(KeyboardInterrupt):
        return asyncio.run(walk(options))
    return 130


if __name__ == "__main__":
    sys.exit(main())
