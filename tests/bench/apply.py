"""Sixty series of three patches, on the kernel source: ours against one `git am` process a patch in a work tree.

The peer repeats what a CI does that applies mails in a checkout: `git am` for each patch, with `gc.auto=0` and a
warm cache; going back to the base between two series is not counted against it. Every round has series of its own,
so that neither finds objects of the round before. The commits must be the same, ids and all.
"""

import asyncio
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from shared.git.apply import Applied, apply_series
from shared.git.store import Store
from shared.model.ids import Sha
from shared.model.mails import Person
from shared.practice.kernel import CACHE, kernel_store

SERIES, PATCHES, ROUNDS, SEED = 60, 3, 3, 20261123
CI = Person("netci", "ci@example.org")
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

Mails = Sequence[bytes]

_ENV = {
    **{key: value for key, value in os.environ.items() if not key.startswith("GIT_")},
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "gc.auto",
    "GIT_CONFIG_VALUE_0": "0",
    "GIT_COMMITTER_NAME": CI.name,
    "GIT_COMMITTER_EMAIL": CI.email,
    "GIT_COMMITTER_DATE": "Mon, 23 Nov 2026 09:00:00 +0000",
    "LC_ALL": "C",
}


def git(folder: Path, *args: str, stdin: bytes = b"") -> bytes:
    """Run the machine's git as a developer would."""
    ran = subprocess.run(["git", *args], cwd=folder, env=_ENV, input=stdin, capture_output=True, check=False)
    if ran.returncode:
        raise RuntimeError(f"git {args[0]}: {ran.stderr.decode(errors='replace')}")
    return ran.stdout


# The series


async def make_series(kernel: Store, base: Sha, folder: Path, seed: int) -> list[Mails]:
    """Series on files of net/ and drivers/net/, as `git format-patch` writes them."""
    chance = random.Random(seed)
    entries = await kernel.ls(base, "net", "drivers/net", recursive=True)
    files = [entry.path for entry in entries if entry.path.endswith(".c")]
    scratch = bare(folder / f"maker-{seed}.git", kernel)
    heads = [commit_series(scratch, base, number, chance.sample(files, 4), chance) for number in range(SERIES)]
    return [format_series(scratch, base, head) for head in heads]


def commit_series(repo: Path, base: Sha, number: int, files: Sequence[str], chance: random.Random) -> str:
    """Three commits, each on two of the files."""
    texts = {name: git(repo, "cat-file", "blob", f"{base}:{name}").split(b"\n") for name in files}
    who = b"Ada Kernel <ada@example.com> 1795424400 +0100"
    ref = b"refs/heads/s%d" % number
    stream = b""
    for patch in range(PATCHES):
        message = b"net: series %d, patch %d\n\nWhy.\n\nSigned-off-by: Ada Kernel <ada@example.com>\n" % (number, patch)
        start = b"" if patch else b"from %s\n" % base.encode()
        stream += b"commit %s\nauthor %s\ncommitter %s\ndata %d\n%s" % (ref, who, who, len(message), message) + start
        for name in (files[patch], files[patch + 1]):
            lines = texts[name]
            lines.insert(
                chance.randrange(len(lines)),
                b"/* series %d patch %d, %d */" % (number, patch, chance.randrange(1 << 30)),
            )
            data = b"\n".join(lines)
            stream += b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(data), data)
    git(repo, "fast-import", "--quiet", "--date-format=raw", stdin=stream)
    return ref.decode()


def format_series(repo: Path, base: Sha, head: str) -> Mails:
    text = git(repo, "format-patch", "--stdout", f"{base}..{head}")
    return [b"From " + part for part in (b"\n" + text).split(b"\nFrom ")[1:]]


def bare(path: Path, kernel: Store) -> Path:
    """A new bare repository that borrows the kernel's objects."""
    git(path.parent, "init", "--quiet", "--bare", "--template=", str(path))
    (path / "objects" / "info").mkdir(parents=True, exist_ok=True)
    (path / "objects" / "info" / "alternates").write_text(f"{kernel.path}/objects\n")
    (path / "netci.owner").touch()
    return path


# Ours and the peer


async def ours(store: Store, base: Sha, series: Sequence[Mails]) -> tuple[float, list[str]]:
    """Seconds, and the head of each series."""
    heads: list[str] = []
    start = time.perf_counter()
    for mails in series:
        done = await apply_series(store, base, mails, committer=CI, now=NOW, validate=lambda _: None)
        assert isinstance(done, Applied), done
        heads.append(done.head)
    return time.perf_counter() - start, heads


def work_tree(kernel: Store, base: Sha) -> Path:
    """A checkout of the kernel, kept in the cache; without what an earlier run left."""
    path = CACHE / "kernel.tree"
    if not (path / ".git" / "netci.done").exists():
        shutil.rmtree(path, ignore_errors=True)
        git(CACHE, "clone", "--quiet", "--shared", "--branch", "main", str(kernel.path), str(path))
        (path / ".git" / "netci.done").touch()
    git(path, "checkout", "--quiet", "--detach", base)
    for objects in (path / ".git" / "objects").glob("??"):
        shutil.rmtree(objects)
    return path


def peer(tree: Path, base: Sha, series: Sequence[Mails]) -> tuple[float, list[str]]:
    """Seconds, and the head of each series."""
    took, heads = 0.0, []
    for mails in series:
        git(tree, "reset", "--quiet", "--hard", base)
        start = time.perf_counter()
        for mail in mails:
            git(tree, "am", "--quiet", stdin=mail)
        took += time.perf_counter() - start
        heads.append(git(tree, "rev-parse", "HEAD").decode().strip())
    git(tree, "reset", "--quiet", "--hard", base)
    return took, heads


async def measure() -> dict[str, object]:
    """Three rounds of each, after one that only warms up; the medians."""
    kernel, base = await kernel_store()
    tree = work_tree(kernel, base)
    mine: list[float] = []
    theirs: list[float] = []
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        store = Store(bare(Path(name) / "ours.git", kernel))
        await store.ensure()
        for number in range(ROUNDS + 1):
            series = await make_series(kernel, base, Path(name), SEED + number)
            took, heads = await ours(store, base, series if number else series[:10])
            theirs_took, theirs_heads = peer(tree, base, series if number else series[:10])
            assert heads == theirs_heads, "the commits differ"
            mine += [took] if number else []
            theirs += [theirs_took] if number else []
            print(f"round {number}: ours {took:.2f} s, git am {theirs_took:.2f} s", file=sys.stderr)
        store.close()
    a, b = statistics.median(mine), statistics.median(theirs)
    return {"bench": "apply", "ours": round(a, 3), "peer": round(b, 3), "ratio": round(b / a, 2), "unit": "s"}


def main() -> None:
    """Print the measured medians as JSON."""
    print(json.dumps(asyncio.run(measure())))


if __name__ == "__main__":
    main()
