"""The static checks of twenty series of five patches, on the kernel source: ours in cages against NIPA's order of work.

The peer runs the same scripts of the tree one after another in a work tree, as NIPA does: for each check the tree is
reset to the base, then patch after patch is put on with `git am` and looked at. Of checks that are a few lines of
Python here, the peer runs one git command, which is the least that a script of its own would need. Neither fetches;
both begin with the work tree there. The judgements of checkpatch and kernel-doc must be the same.
"""

import asyncio
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from services.executor.cage.at_hand import isolation_for
from services.executor.cage.base import Cage, Isolation, Line, Ran
from services.executor.checking.configured import configured
from services.executor.checking.place import Machine, Place
from services.executor.checking.plan import plan
from services.executor.checking.run import carry_out
from services.executor.checking.sink import Task
from services.executor.checking.subjects import subject_of
from services.executor.checks.base import Check, Level, Needs, Said
from shared.formats.mbox import parse_mail
from shared.formats.validate import validate
from shared.git.apply import Applied, apply_series
from shared.git.store import Store
from shared.model.ids import Sha
from shared.practice.kernel import CACHE, kernel_store
from shared.settings import Checking, Checks
from tests.bench.apply import CI, NOW, Mails, bare, format_series, git, work_tree

SERIES, PATCHES, SEED = int(os.environ.get("SERIES", "20")), 5, 20261123
KINDS = (
    "/* a remark */",
    "/**\n * bench_%d() - it\n * @a: that\n */\nstatic int __maybe_unused bench_%d(int b)\n{\n\treturn b;\n}",
    "static int __maybe_unused bench_%d(int a) {\n    return a+%d;\n}",
)
"""What patches add: nothing to say of, a wrong kernel-doc, bad style."""


# The series


async def make_series(kernel: Store, base: Sha, folder: Path) -> list[Mails]:
    """On files of net/ and drivers/net/, as `git format-patch` writes them."""
    chance = random.Random(SEED)
    entries = await kernel.ls(base, "net", "drivers/net", recursive=True)
    files = [entry.path for entry in entries if entry.path.endswith(".c")]
    scratch = bare(folder / "maker.git", kernel)
    heads = [
        commit_series(scratch, base, number, chance.sample(files, PATCHES + 1), chance) for number in range(SERIES)
    ]
    return [format_series(scratch, base, head) for head in heads]


def commit_series(repo: Path, base: Sha, number: int, files: Sequence[str], chance: random.Random) -> str:
    texts = {name: git(repo, "cat-file", "blob", f"{base}:{name}").decode("latin-1") for name in files}
    who, ref, stream = b"Ada Kernel <ada@example.com> 1795424400 +0100", b"refs/heads/s%d" % number, b""
    for patch in range(PATCHES):
        text = (
            f"net: bench: series {number}, patch {patch}\n\nWhy it is.\n\nSigned-off-by: Ada Kernel <ada@example.com>\n"
        )
        start = b"" if patch else b"from %s\n" % base.encode()
        stream += b"commit %s\nauthor %s\ncommitter %s\ndata %d\n%s" % (ref, who, who, len(text), text.encode()) + start
        for name in files[patch : patch + 2]:
            kind = chance.choice(KINDS)
            more = kind.replace("%d", str(chance.randrange(1 << 30)))
            texts[name] += f"\n{more}\n"
            data = texts[name].encode("latin-1")
            stream += b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(data), data)
    git(repo, "fast-import", "--quiet", "--date-format=raw", stdin=stream)
    return ref.decode()


# Ours


@dataclass
class Timed:
    """An isolation that counts what each program took."""

    within: Isolation
    name: str = "timed"
    took: Counter[str] = field(default_factory=Counter)

    async def run(
        self, cage: Cage, argv: tuple[str, ...], *, stdin: bytes = b"", pass_fds: tuple[int, ...] = (),
        heard: Line | None = None,
    ) -> Ran:  # fmt: skip
        start = time.perf_counter()
        ran = await self.within.run(cage, argv, stdin=stdin, pass_fds=pass_fds, heard=heard)
        whole = time.perf_counter() - start
        self.took[Path(argv[0]).name] += ran.seconds  # type: ignore[assignment]
        self.took["cages"] += whole - ran.seconds  # type: ignore[assignment]
        return ran

    def close(self) -> None:
        self.within.close()


@dataclass
class Answers:
    """A sink that keeps all, by series."""

    said: dict[Task, Said] = field(default_factory=dict)

    async def began(self, task: Task) -> None: ...

    async def described(self, task: Task, text: str) -> None: ...

    async def unasked(self, task: Task, why: str) -> None: ...

    async def answered(self, task: Task, said: Said, seconds: float) -> None:
        self.said[task] = said


async def ours(place: Place, base: Sha, checks: Sequence[Check], mails: Mails) -> tuple[float, Answers]:
    """Seconds that one series took to apply, and its answers."""
    start = time.perf_counter()
    done = await apply_series(place.store, base, mails, committer=CI, now=NOW, validate=validate)
    assert isinstance(done, Applied), done
    applying = time.perf_counter() - start
    subject = subject_of(
        "netdev", [parse_mail(mail) for mail in mails], base=base, commits=done.commits, tree="net-next", marked=True
    )
    answers = Answers()
    await carry_out(plan(checks, subject), subject, place, answers)
    assert not [said for said in answers.said.values() if said.cause is not None], "not all could be told"
    return applying, answers


# The peer


class Peer:
    """A work tree, and a command for each check."""

    def __init__(self, tree: Path, base: Sha, options: Sequence[str]) -> None:
        self.tree, self.base, self.options = tree, base, options
        self.took: Counter[str] = Counter()
        self.totals: list[tuple[int, ...]] = []
        self.complaints: list[int] = []

    def series(self, mails: Mails, checks: Sequence[Check]) -> None:
        scripts: Mapping[str, Callable[[bytes], None]] = {
            "checkpatch": self.checkpatch, "kdoc": self.kdoc, "cc_maintainers": self.cc_maintainers,
        }  # fmt: skip
        for check in checks:
            self.timed("git reset", lambda: self.git("reset", "--quiet", "--hard", self.base))
            if check.level is Level.SERIES:
                continue
            look = scripts.get(check.name, lambda _: self.git("show", "HEAD"))
            for mail in mails:
                self.timed("git am", lambda mail=mail: self.git("am", "--quiet", stdin=mail))  # type: ignore[misc]
                self.timed(check.name, lambda look=look, mail=mail: look(mail))  # type: ignore[misc]

    def timed(self, what: str, act: Callable[[], object]) -> None:
        start = time.perf_counter()
        act()
        self.took[what] += time.perf_counter() - start  # type: ignore[assignment]

    def git(self, *words: str, stdin: bytes = b"") -> None:
        git(self.tree, *words, stdin=stdin)

    def script(self, *words: str) -> str:
        ran = subprocess.run(
            words,
            cwd=self.tree,
            capture_output=True,
            check=False,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        )
        return (ran.stdout + ran.stderr).decode("utf-8", "replace")

    def checkpatch(self, mail: bytes) -> None:
        output = self.script("./scripts/checkpatch.pl", *self.options, "--color=never", "-g", "HEAD")
        found = re.search(r"^total: (\d+) errors, (\d+) warnings, (\d+) checks", output, re.M)
        assert found, output
        self.totals.append(tuple(map(int, found.groups())))

    def kdoc(self, mail: bytes) -> None:
        ran = git(self.tree, "show", "--pretty=", "--name-only", "HEAD").decode()
        files = ran.split()
        self.git("checkout", "--quiet", "HEAD~")
        before = self.script("./scripts/kernel-doc", "-none", *files).count("warning:")
        self.git("checkout", "--quiet", "-")
        after = self.script("./scripts/kernel-doc", "-none", *files).count("warning:")
        self.complaints += [before, after]

    def cc_maintainers(self, mail: bytes) -> None:
        file = self.tree / ".git" / "mail"
        file.write_bytes(mail)
        self.script("./scripts/get_maintainer.pl", "--git-min-percent", "35", "--nogit-fallback", str(file))


# Both


def static() -> tuple[Check, ...]:
    return tuple(check for check in configured(Checking(preset="netdev"), "bench") if check.needs is not Needs.BUILD)


def judged(answers: Answers) -> tuple[list[tuple[int, ...]], list[int]]:
    """What checkpatch and kernel-doc said of each patch, as the peer counts it."""
    patches = range(1, PATCHES + 1)
    style = [answers.said[Task("checkpatch", number)].counts for number in patches]
    docs = [answers.said[Task("kdoc", number)].counts for number in patches]
    totals: list[tuple[int, ...]] = [(one["errors"], one["warnings"], one["checks"]) for one in style]
    return totals, [count for one in docs for count in (one["before"], one["after"])]


async def measure() -> dict[str, object]:
    kernel, base = await kernel_store()
    checks = static()
    (checkpatch,) = (check for check in checks if check.name == "checkpatch")
    peer = Peer(work_tree(kernel, base), base, checkpatch.config.options)  # type: ignore[attr-defined]
    folder = CACHE / "bench-checks"
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        series = await make_series(kernel, base, Path(name))
        store = Store(bare(Path(name) / "ours.git", kernel))
        await store.ensure()
        settings = Checks()
        isolation = Timed(isolation_for(settings, folder))
        place = Machine.of(isolation, settings).place(store, folder)
        async with place.seats.take(base):
            pass
        took, applying, answered = 0.0, 0.0, []
        for mails in series:
            start = time.perf_counter()
            once, answers = await ours(place, base, checks, mails)
            took, applying = took + time.perf_counter() - start, applying + once
            answered.append(judged(answers))
        start = time.perf_counter()
        for mails in series:
            peer.series(mails, checks)
        theirs = time.perf_counter() - start
        place.close()
        isolation.close()
        store.close()
    hands = place.hands_at_all
    tell(f"ours, in seconds of {hands} hands", {"applying": applying, **isolation.took})
    tell("peer, in seconds", peer.took)
    assert [one for totals, _ in answered for one in totals] == peer.totals, "checkpatch says something else"
    counts = [one for _, some in answered for one in some]
    assert counts == peer.complaints, f"kernel-doc says something else: {counts} {peer.complaints}"
    whole = {"ours": round(took, 1), "peer": round(theirs, 1), "ratio": round(theirs / took, 2), "unit": "s"}
    return {"bench": "checks", **whole, "series": SERIES, "patches": PATCHES, "checks": len(checks)}


def tell(title: str, took: Mapping[str, float]) -> None:
    print(f"{title}:", file=sys.stderr)
    for what, seconds in sorted(took.items(), key=lambda one: -one[1]):
        print(f"  {what:<20} {seconds:8.1f}", file=sys.stderr)


def main() -> None:
    """Print what was measured as JSON."""
    print(json.dumps(asyncio.run(measure())))


if __name__ == "__main__":
    main()
