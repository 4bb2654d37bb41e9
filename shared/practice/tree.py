"""The practice tree as a bare git repository with the heads of two trees: ``main`` is net-next, ``net`` is
net.

One seed is one set of commit ids, on any machine and at any time. Answers where the repository lies and what
its heads are; what stands in the files is tree_files.py's doing.
"""

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared.model.mails import Person
from shared.practice import tree_files
from shared.practice.people import MAINTAINER

FIRST = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
"""When the tree began."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit to be made: `files` are the files that it writes, whole. `author` made it at `date`."""

    title: str
    body: str
    files: Mapping[str, str]
    author: Person
    date: datetime

    @property
    def message(self) -> str:
        return f"{self.title}\n\n{self.body.strip()}\n"


@dataclass(frozen=True, slots=True)
class PracticeTree:
    """A bare repository. `heads` maps ``main`` (net-next) and ``net`` to commit ids, `url` is what git
    clones.

    `tests` are the programs that ``targets = ["net"]`` finds in it.
    """

    path: Path
    heads: Mapping[str, str]
    url: str
    tests: tuple[str, ...]


def build(folder: Path, seed: int = 0) -> PracticeTree:
    """Make the repository in `folder`, which is made if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main", ".")
    git(folder, "config", "gc.auto", "0")
    # Executors ask for commits by id, never for branches by name.
    git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")
    base = add(folder, "refs/heads/main", "", [_first(seed)])[-1]
    net = add(folder, "refs/heads/net", base, _fixes())[-1]
    main = add(folder, "refs/heads/main", base, _features())[-1]
    return PracticeTree(folder, {"main": main, "net": net}, str(folder), tree_files.programs(seed))


def add(folder: Path, ref: str, base: str, commits: Sequence[Commit]) -> list[str]:
    """Put commits on top of `base` ("" begins a history) and let `ref` name the last; gives their ids."""
    marks = folder / f"marks-{os.getpid()}"
    stream = b"".join(_stream(ref, base, commits))
    try:
        git(folder, "fast-import", "--quiet", "--force", f"--export-marks={marks}", stdin=stream)
        ids = dict(line.split() for line in marks.read_text().splitlines())
    finally:
        marks.unlink(missing_ok=True)
    return [ids[f":{number}"] for number in range(1, len(commits) + 1)]


def git(folder: Path, *words: str, stdin: bytes = b"") -> bytes:
    """Run git in a repository of ours; the account's own configuration has no say."""
    env = {
        "PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "TZ": "UTC", "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
    }  # fmt: skip
    done = subprocess.run(
        ["git", *words], cwd=folder, env=env, input=stdin, capture_output=True, timeout=120, check=False
    )
    if done.returncode:
        raise RuntimeError(f"git {words[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _stream(ref: str, base: str, commits: Sequence[Commit]) -> Iterable[bytes]:
    for number, commit in enumerate(commits, 1):
        when = f"{int(commit.date.timestamp())} +0000"
        message = commit.message.encode()
        yield f"commit {ref}\nmark :{number}\n".encode()
        yield f"author {commit.author.name} <{commit.author.email}> {when}\n".encode()
        yield f"committer {commit.author.name} <{commit.author.email}> {when}\n".encode()
        yield f"data {len(message)}\n".encode() + message
        if number == 1 and base:
            yield f"from {base}\n".encode()
        for path, text in sorted(commit.files.items()):
            yield f"M {_mode(path)} inline {path}\ndata {len(text.encode())}\n{text}\n".encode()


def _mode(path: str) -> str:
    script = path.startswith("tools/") and path.endswith((".sh", ".py")) and not path.endswith("/ktap.sh")
    return "100755" if script else "100644"


def _first(seed: int) -> Commit:
    body = "Tables, and tests that compute from them."
    return Commit("Begin the practice tree", body, tree_files.tree(seed), MAINTAINER, FIRST)


def _signed(title: str, body: str, path: str, text: str, hours: int) -> Commit:
    body += f"\n\nSigned-off-by: {MAINTAINER}"
    return Commit(title, body, {path: text}, MAINTAINER, FIRST + timedelta(hours=hours))


def _fixes() -> list[Commit]:
    spdx = "// SPDX-License-Identifier: GPL-2.0\n\n"
    text = spdx + "int loop_xmit(int len)\n{\n\tif (len < 0)\n\t\treturn 0;\n\n\treturn len;\n}\n"
    return [
        _signed("net: loop: refuse negative lengths", "A frame is never that short.", "drivers/net/loop.c", text, 3)
    ]


def _features() -> list[Commit]:
    spdx = "// SPDX-License-Identifier: GPL-2.0\n\n"
    text = spdx + "int netdev_features(void)\n{\n\treturn 1;\n}\n"
    page = "Networking\n==========\n\nOne page for each table. The tests read the tables.\n"
    return [
        _signed("net: core: announce a feature", "There is one now.", "net/core/dev.c", text, 2),
        _signed("docs: networking: name the tests", "They were not.", "Documentation/networking/index.rst", page, 5),
    ]  # fmt: skip
