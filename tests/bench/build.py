"""Three series of five patches, one for each of three drivers: before and after each patch, ours against NIPA's order.

The peer does what NIPA does with one checkout and one object folder that stay: for each series a reset and a build
of its first patch as baseline, then the configuration and a build at each patch, all with ``ccache gcc``, W=1 and
sparse, and lines with "warn" or "error" counted. NIPA builds each patch's parent once more for the number before;
these builds are made here too, or there would be nothing to compare, but they are not counted against the peer: they
stand in the breakdown. Both begin with empty object folders and compiler caches, and with their work trees there.

Ours goes the whole way of the engine: the cage, the layers, the answers. The verdicts must be the same.
"""

import asyncio
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from services.executor.builds.builder import builders
from services.executor.cage.at_hand import isolation_for
from services.executor.checking.place import Machine, Place
from services.executor.checking.plan import plan
from services.executor.checking.run import carry_out
from services.executor.checking.sink import Task
from services.executor.checks import check_for
from services.executor.checks.base import Patch, Said, Subject
from shared.formats.diff import changes
from shared.formats.mbox import parse_mail, split_mbox
from shared.git.store import Store
from shared.model.ids import Sha
from shared.practice.kernel import CACHE, kernel_store
from shared.settings import Checks
from tests.bench.apply import bare, git, work_tree

ROUNDS = 1
CHECK = "build_allmodconfig_warn"
DRIVERS = ("drivers/net/netdevsim", "drivers/net/team", "drivers/net/vxlan")
FILES = {
    "drivers/net/netdevsim": ("fib.c", "hwstats.c", "health.c"),
    "drivers/net/team": ("team_mode_roundrobin.c", "team_mode_random.c", "team_mode_broadcast.c"),
    "drivers/net/vxlan": ("vxlan_multicast.c", "vxlan_vnifilter.c", "vxlan_core.c"),
}
SYMBOLS = (
    "64BIT=y", "MODULES=y", "NET=y", "INET=y", "NETDEVICES=y", "NET_CORE=y", "DEBUG_FS=y", "PCI=y", "PRINTK=y",
    "NETDEVSIM=m", "NET_TEAM=m", "NET_TEAM_MODE_ROUNDROBIN=m", "NET_TEAM_MODE_RANDOM=m", "NET_TEAM_MODE_BROADCAST=m",
    "VXLAN=m",
)  # fmt: skip
TARGETS = tuple(f"{driver}/" for driver in DRIVERS)
JOBS = 2
UNUSED = b"\nstatic inline int bench_first(void)\n{\n\tint unused = 0;\n\n\treturn 0;\n}\n"
MENDED = UNUSED.replace(b"\tint unused = 0;\n\n", b"")
ADDRESS = b"\nstatic __maybe_unused void *bench_user(void __user *to)\n{\n\treturn to;\n}\n"
REMARK = b"\n/* Of the bench. */\n"
VERDICTS = ("success", "fail", "success", "success", "fail")
"""Of the five patches: a remark, a warning, remarks, the warning mended, a word of sparse."""


# The series


def make_series(repo: Path, base: Sha, driver: str) -> list[Sha]:
    """Five commits on files of one driver."""
    first, second, third = (f"{driver}/{name}" for name in FILES[driver])
    texts = {name: git(repo, "cat-file", "blob", f"{base}:{name}") for name in (first, second, third)}
    steps: list[dict[str, bytes]] = [
        {first: texts[first] + REMARK},
        {second: texts[second] + UNUSED},
        {second: texts[second] + UNUSED + REMARK, third: texts[third] + REMARK},
        {second: texts[second] + MENDED + REMARK},
        {third: texts[third] + REMARK + ADDRESS},
    ]
    commits: list[Sha] = []
    for number, step in enumerate(steps, 1):
        commits.append(_commit(repo, commits[-1] if commits else base, f"{driver}: patch {number}", step))
    return commits


def _commit(repo: Path, parent: Sha, subject: str, files: Mapping[str, bytes]) -> Sha:
    who = b"Ada Kernel <ada@example.com> 1795424400 +0100"
    message = f"{subject}\n\nWhy.\n\nSigned-off-by: Ada Kernel <ada@example.com>\n".encode()
    stream = b"commit refs/heads/made\nauthor %s\ncommitter %s\ndata %d\n%sfrom %s\n" % (
        who, who, len(message), message, parent.encode(),
    )  # fmt: skip
    for name, data in files.items():
        stream += b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(data), data)
    git(repo, "fast-import", "--quiet", "--force", "--date-format=raw", stdin=stream)
    return Sha(git(repo, "rev-parse", "refs/heads/made").decode().strip())


def subject_of(repo: Path, base: Sha, commits: Sequence[Sha]) -> Subject:
    mails = [parse_mail(raw) for raw in split_mbox(git(repo, "format-patch", "--stdout", f"{base}..{commits[-1]}"))]
    patches = tuple(
        Patch(number, mail, changes(mail.diff), commit, parent)
        for number, (mail, commit, parent) in enumerate(zip(mails, commits, (base, *commits), strict=False), 1)
    )
    return Subject("bench", mails[0].subject.title, patches, base=base, head=commits[-1])


# Where the time goes


@dataclass
class Clock:
    """Seconds by what they went into."""

    spent: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.spent[what] += time.perf_counter() - start

    def __str__(self) -> str:
        return ", ".join(f"{what} {seconds:.1f}" for what, seconds in self.spent.items())


# Ours


@dataclass
class Answers:
    said: dict[int, Said] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)

    async def began(self, task: Task) -> None: ...

    async def described(self, task: Task, text: str) -> None: ...

    async def answered(self, task: Task, said: Said, seconds: float) -> None:
        self.said[task.patch], self.seconds[task.patch] = said, seconds

    async def unasked(self, task: Task, why: str) -> None:
        raise AssertionError(why)


async def ours(place: Place, subjects: Sequence[Subject], clock: Clock) -> list[tuple[str, ...]]:
    """The verdicts of each series."""
    options = {"kconfig": "tinyconfig", "symbols": SYMBOLS, "targets": TARGETS}
    checks = [check_for(CHECK, options, "bench")]
    found = []
    for number, subject in enumerate(subjects):
        answers = Answers()
        with clock.of("all"):
            await carry_out(plan(checks, subject), subject, place, answers)
        clock.spent["of it the first patch with the base" if not number else "of it other first patches"] += (
            answers.seconds[1]
        )  # fmt: skip
        clock.spent["of it other patches"] += sum(answers.seconds.values()) - answers.seconds[1]
        found.append(tuple(str(answers.said[n].state) for n in sorted(answers.said)))
    return found


# NIPA's order


class Peer:
    """One checkout, one object folder, one compiler cache."""

    def __init__(self, tree: Path, folder: Path, clock: Clock) -> None:
        self.tree, self.objects, self.clock = tree, folder / "obj", clock
        self.objects.mkdir()
        self.env = {**os.environ, "CCACHE_DIR": str(folder / "ccache"), "LANG": "C", "LC_ALL": "C"}

    def _run(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(words, cwd=self.tree, env=self.env, capture_output=True, check=False)

    def configure(self) -> None:
        self._run("make", "CC=ccache gcc", f"O={self.objects}", "tinyconfig")
        switches = [word for symbol in SYMBOLS for word in _switch(symbol)]
        self._run("scripts/config", "--file", f"{self.objects}/.config", *switches)

    def build(self) -> tuple[int, bool]:
        """Lines that speak of warnings or errors, and whether make was content."""
        words = ["make", "CC=ccache gcc", f"O={self.objects}", "-Oline", "-j", str(JOBS), "W=1", "C=1", *TARGETS]
        ran = self._run("sh", "-c", 'yes "" | "$@"', "build", *words)
        return len(re.findall(rb"(?im)^.*(?:warn|error).*$", ran.stderr)), ran.returncode == 0

    def series(self, base: Sha, commits: Sequence[Sha]) -> tuple[str, ...]:
        with self.clock.of("reset"):
            git(self.tree, "reset", "--quiet", "--hard", base)
        with self.clock.of("baselines"):
            git(self.tree, "checkout", "--quiet", "--detach", commits[0])
            self.configure()
            self.build()
        return tuple(self.patch(parent, commit) for parent, commit in zip((base, *commits), commits, strict=False))

    def patch(self, parent: Sha, commit: Sha) -> str:
        with self.clock.of("parents (not counted)"):
            # There and back, so that what the patch changes is built again, and what is said of it counted.
            git(self.tree, "checkout", "--quiet", "--detach", commit)
            git(self.tree, "checkout", "--quiet", "--detach", parent)
            self.configure()
            before, _ = self.build()
        with self.clock.of("patches"):
            git(self.tree, "checkout", "--quiet", "--detach", commit)
            self.configure()
            after, built = self.build()
        return "fail" if after > before or not built else "success"


def _switch(symbol: str) -> tuple[str, str]:
    name, _, value = symbol.partition("=")
    return ("-m" if value == "m" else "-e"), name


# The measure


async def measure() -> dict[str, object]:
    kernel, base = await kernel_store()
    tree = work_tree(kernel, base)
    mine: list[float] = []
    theirs: list[float] = []
    place_folder = CACHE / "bench-build"
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="netci-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        repo = bare(folder / "commits.git", kernel)
        series = [make_series(repo, base, driver) for driver in DRIVERS]
        (tree / ".git/objects/info/alternates").write_text(f"{kernel.path}/objects\n{repo}/objects\n")
        subjects = [subject_of(repo, base, commits) for commits in series]
        for number in range(ROUNDS):
            a, b = await _round(folder, number, repo, base, subjects, tree, series, place_folder)
            mine.append(a)
            theirs.append(b)
    a, b = statistics.median(mine), statistics.median(theirs)
    return {"bench": "build", "ours": round(a, 1), "peer": round(b, 1), "ratio": round(b / a, 2), "unit": "s"}


async def _round(
    folder: Path, number: int, repo: Path, base: Sha, subjects: Sequence[Subject], tree: Path,
    series: Sequence[Sequence[Sha]], place_folder: Path,
) -> tuple[float, float]:  # fmt: skip
    store = Store(repo)
    await store.ensure()
    settings = Checks(hands=JOBS)
    cache = folder / f"builds-{number}"
    place = Machine.of(isolation_for(settings, folder / "cages"), settings).place(store, place_folder, builders(cache))
    async with place.seats.take(base), place.seats.take(base):
        """Both work trees are there before, as the peer's is."""
    clock, peer_clock = Clock(), Clock()
    verdicts = await ours(place, subjects, clock)
    place.close()
    store.close()
    (folder / f"peer-{number}").mkdir()
    peer = Peer(tree, folder / f"peer-{number}", peer_clock)
    git(tree, "reset", "--quiet", "--hard", base)
    peers = [peer.series(base, commits) for commits in series]
    git(tree, "checkout", "--quiet", "--detach", base)
    shutil.rmtree(folder / f"peer-{number}")
    a = clock.spent["all"]
    b = sum(seconds for what, seconds in peer_clock.spent.items() if "not counted" not in what)
    print(f"round {number}: ours {a:.1f} s ({clock}); NIPA's order {b:.1f} s ({peer_clock})", file=sys.stderr)
    assert verdicts == peers == [VERDICTS] * len(series), (verdicts, peers)
    return a, b


def main() -> None:
    """Print the measured medians as JSON."""
    print(json.dumps(asyncio.run(measure())))


if __name__ == "__main__":
    main()
