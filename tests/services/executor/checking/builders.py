"""A small repository with odd files, checks that say what they are told, and a sink that keeps what it hears."""

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from services.executor.checking.sink import Task
from services.executor.checking.subjects import subject_of
from services.executor.checks.base import Desk, Level, Needs, Patch, Said, Subject, success
from shared.formats.diff import changes
from shared.formats.subject import parse_subject
from shared.git.store import Store
from shared.model.ids import Sha
from shared.model.mails import Mail, Person

Ask = Callable[[Subject, Desk], Awaitable[Said]]


async def fine(subject: Subject, desk: Desk) -> Said:
    return success("fine")


@dataclass
class Told:
    """A check that does as it is told."""

    name: str
    answer: Ask = fine
    level: Level = Level.PATCH
    needs: Needs = Needs.TREE
    pulls: bool = False
    tools: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    wants: tuple[str, ...] = ()
    time_limit: timedelta = timedelta(minutes=2)
    help: str = "what it is told"

    async def ask(self, subject: Subject, desk: Desk) -> Said:
        return await self.answer(subject, desk)


@dataclass
class Kept:
    """A sink that keeps what it hears, in order. `stop` raises once its task is answered."""

    heard: list[tuple[str, Task]] = field(default_factory=list)
    answers: dict[Task, Said] = field(default_factory=dict)
    described_as: list[str] = field(default_factory=list)
    left: dict[Task, str] = field(default_factory=dict)
    stop: BaseException | None = None

    async def began(self, task: Task) -> None:
        self.heard.append(("began", task))

    async def described(self, task: Task, text: str) -> None:
        self.described_as.append(text)

    async def answered(self, task: Task, said: Said, seconds: float) -> None:
        self.heard.append(("answered", task))
        self.answers[task] = said
        if self.stop:
            raise self.stop

    async def unasked(self, task: Task, why: str) -> None:
        self.left[task] = why


def mail(number: int, diff: str = "", title: str = "net: do it", total: int = 3) -> Mail:
    subject = parse_subject(f"[PATCH net-next {number}/{total}] {title}")
    return Mail(f"m{number}@example.com", subject, Person("Ada", "ada@example.com"), None, "Why.\n", diff, b"raw")


def diff_of(path: str) -> str:
    return f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-a\n+b\n"


def series(*paths: str, pull: str = "") -> Subject:
    """A series whose n-th patch touches the n-th path; commits are named by their number."""
    diffs = [diff_of(path) for path in paths]
    patches = tuple(
        Patch(n, mail(n, diff, total=len(paths)), changes(diff), Sha(f"{n:040x}"), Sha(f"{n - 1:040x}"))
        for n, diff in enumerate(diffs, 1)
    )
    return Subject("netdev", "a series", patches, base=Sha("0" * 40), head=patches[-1].commit, pull=pull)


# A repository


Contents = Mapping[str, bytes | tuple[str, bytes] | None]
"""Path to contents, to None for a deletion, or to git's mode and contents."""


class Repository:
    """A bare store, commits by fast-import."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.store = Store(folder)
        self._number = 0

    async def commit(self, contents: Contents, parent: str = "", message: str = "a commit") -> Sha:
        await self.store.ensure()
        self._number += 1
        ref = f"refs/heads/c{self._number}"
        text = message.encode()
        who = b"Ada Kernel <ada@example.com> 1795424400 +0000"
        stream = b"commit %s\nauthor %s\ncommitter %s\ndata %d\n%s\n" % (ref.encode(), who, who, len(text), text)
        stream += b"from %s\n" % parent.encode() if parent else b""
        for path, what in contents.items():
            name = b'"%s"' % os.fsencode(path).replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
            if what is None:
                stream += b"D %s\n" % name
                continue
            mode, data = what if isinstance(what, tuple) else ("100644", what)
            stream += b"M %s inline %s\ndata %d\n%s\n" % (mode.encode(), name, len(data), data)
        await self.store.git("fast-import", "--quiet", "--force", stdin=stream + b"done\n")
        return await self.store.rev_parse(ref)


def listing(root: Path) -> dict[str, tuple[str, bytes]]:
    """Every file below a folder: its kind and contents."""
    found: dict[str, tuple[str, bytes]] = {}
    for place, folders, files in os.walk(root):
        for name in [*files, *(one for one in folders if Path(place, one).is_symlink())]:
            path = Path(place, name)
            key = str(path.relative_to(root))
            if path.is_symlink():
                found[key] = ("link", os.fsencode(os.readlink(path)))
            else:
                found[key] = ("run" if path.stat().st_mode & 0o100 else "file", path.read_bytes())
    return found


async def applied_series(repository: Repository, base: Sha, *several: Contents) -> Subject:
    """A series on `base`, each patch as git shows it."""
    commits: list[Sha] = []
    for number, contents in enumerate(several, 1):
        commits.append(await repository.commit(contents, commits[-1] if commits else base, f"net: patch {number}"))
    diffs = []
    for before, after in zip([base, *commits], commits, strict=False):
        ran = await repository.store.git("diff", "--no-ext-diff", "--find-renames", "--end-of-options", before, after)
        diffs.append(ran.out.decode("utf-8", "replace"))
    mails = [mail(number, diff, total=len(diffs)) for number, diff in enumerate(diffs, 1)]
    return subject_of("netdev", mails, base=base, commits=commits, tree="net-next")
