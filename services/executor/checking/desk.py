"""The body of `Desk`: what a check asks of the machine, answered from a cage, a seat and the store."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from services.executor.builds.compare import Comparison
from services.executor.builds.recipe import Recipe
from services.executor.cage.absent import NoCage
from services.executor.cage.base import MIB, Bind, Cage, Layer, Limits, Ran
from services.executor.cage.taken import take
from services.executor.checking.judge import RULES, SCRIPTS, Judge
from services.executor.checking.place import Place, has_tool
from services.executor.checking.questions import question
from services.executor.checking.seat import Seat
from services.executor.checking.watch import Watch
from services.executor.checking.work_git import work_git
from services.executor.checks.base import Builder, Check, Subject
from shared.errors import InfraError, Missing, NetciError, Refused
from shared.git.process import GitError
from shared.git.touched import is_plain
from shared.model.ids import Sha

_GIT_SECONDS, _GIT_BYTES = 60, 32 * MIB
_FILE_BYTES = 64 * MIB


class TimeOver(NetciError):
    """A check took longer than it may. `ran` is what it did last."""

    def __init__(self, text: str, ran: Ran) -> None:
        super().__init__(text)
        self.ran = ran


@dataclass(frozen=True, slots=True)
class Room:
    """What the asks of one commit share. Before a series is applied there is neither seat nor judge."""

    place: Place
    seat: Seat | None = None
    judge: Judge | None = None
    builder: Builder | None = None


class CageDesk:
    """The desk of one ask. `say` takes preliminary descriptions; `folder` lasts as long as the ask."""

    def __init__(
        self, room: Room, check: Check, subject: Subject, folder: Path, say: Callable[[str], None], watch: Watch
    ) -> None:
        self._watch = watch
        self._room, self._check, self._subject = room, check, subject
        self._folder, self._say = folder, say
        self._left = check.time_limit.total_seconds()
        self._runs = 0
        self._took: Mapping[str, bytes] = {}
        self.judged: set[str] = set()
        """What of the base's scripts and rules tools were run by, or with."""
        self.left: list[str] = []
        """What tools left in their results that was not taken, and why."""

    # Tools

    async def run(
        self,
        *argv: str,
        cwd: str = "/src",
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        files: Mapping[str, bytes] | None = None,
        over: Mapping[str, bytes] | None = None,
        writable: bool = False,
        results: bool = False,
        limits: Limits | None = None,
        pass_fds: tuple[int, ...] = (),
        heard: Callable[[bytes], None] | None = None,
        git: bool = False,
        folders: Mapping[str, Path] | None = None,
    ) -> Ran:
        if "/" not in argv[0] and not self.has(argv[0]):
            raise InfraError(f"{argv[0]} is not installed", lasting=True)
        self._runs += 1
        folder = self._folder / str(self._runs)
        _make(folder, 0o755)
        binds = [*self._tree(over or {}, writable, folder, git), *_given(files or {}, folder)]
        if self._room.judge and any("/judge" in word for word in (*argv, cwd, *(env or {}).values())):
            self.judged |= set(SCRIPTS)
        if git:
            binds += await self._git(folder)
        binds += [Bind(source, target) for target, source in (folders or {}).items()]
        if results:
            _make(folder / "results", 0o777)
            binds.append(Bind(folder / "results", "/results", writable=True))
        there = cwd if self._room.seat or not cwd.startswith("/src") else "/"
        cage = Cage(tuple(binds), {**(env or {})}, there, self._limits(limits))
        ran = await self._bounded(cage, argv, stdin, pass_fds, heard)
        if results:
            taken = await asyncio.to_thread(take, folder / "results")
            self._took = taken
            self.left += taken.left
        return ran

    async def _bounded(
        self,
        cage: Cage,
        argv: tuple[str, ...],
        stdin: bytes,
        fds: tuple[int, ...],
        heard: Callable[[bytes], None] | None,
    ) -> Ran:
        """Run it as soon as a hand is free; waiting for one is not the check's time."""
        last = cage.limits.seconds >= self._left
        async with self._hand():
            ran = await self._room.place.isolation.run(cage, argv, stdin=stdin, pass_fds=fds, heard=heard)
        self._left = max(0.0, self._left - ran.seconds)
        if ran.ended == "time" and last:
            raise TimeOver(f"took longer than {self._check.time_limit.total_seconds():g} s", ran)
        return ran

    @asynccontextmanager
    async def _hand(self) -> AsyncIterator[None]:
        with self._watch.paused():
            await self._room.place.hands.acquire()
        try:
            yield
        finally:
            self._room.place.hands.release()

    def _limits(self, asked: Limits | None) -> Limits:
        """What the machine allows, or less; never longer than the check has left."""
        ours = self._room.place.settings
        most = Limits(self._left, ours.memory, ours.processes, ours.output, ours.disk)
        if asked is None:
            return most
        return Limits(
            min(asked.seconds, most.seconds), min(asked.memory, most.memory), min(asked.processes, most.processes),
            min(asked.output, most.output), min(asked.disk, most.disk),
        )  # fmt: skip

    async def _git(self, folder: Path) -> list[Bind | Layer]:
        if self._room.seat is None:
            raise InfraError(self._without("there is no work tree before a series is applied"))
        return await work_git(self._room.place.store, self._room.seat, self._subject, folder)

    def _tree(self, over: Mapping[str, bytes], writable: bool, folder: Path, git: bool) -> list[Bind | Layer]:
        """Work tree and judges, with the base's rules in place of the series', and what shall be shown instead. For
        git the tree is what the commit has: a rule that is not could not be checked out again.
        """
        seat, judge = self._room.seat, self._room.judge
        if seat is None or judge is None:
            return []
        rules = {} if git else self._rules(seat, judge)
        self.judged |= rules.keys()
        shown = {**rules, **over}
        # There is no place to bind a file to that the tree does not have, unless it can be made.
        layered = writable or git or any(not os.path.lexists(seat.tree / path) for path in shown)
        tree: Bind | Layer = Layer(seat.tree, "/src") if layered else Bind(seat.tree, "/src")
        return [tree, Bind(judge.folder, "/judge"), *_over(shown, seat.tree, folder / "over")]

    def _rules(self, seat: Seat, judge: Judge) -> dict[str, bytes]:
        """Rules at the root of the tree that the series changed, as the base has them; empty if it has none."""
        changed = [path for path in replace(self._subject, patch=None).paths if path in RULES]
        there = [path for path in changed if os.path.lexists(seat.tree / path)]
        return {path: (judge.folder / path).read_bytes() if path in judge.rules else b"" for path in there}

    def _without(self, otherwise: str) -> str:
        """Why there is no work tree, or no builder: for want of a cage, or for another reason."""
        isolation = self._room.place.isolation
        return isolation.why if isinstance(isolation, NoCage) else otherwise

    @property
    def took(self) -> Mapping[str, bytes]:
        return self._took

    def has(self, tool: str) -> bool:
        return has_tool(tool, self._room.place.settings)

    # Commits

    async def read(self, commit: Sha, path: str) -> bytes | None:
        entries = await self._room.place.store.ls(commit, path) if _is_plain(path) else []
        plain = any(one.kind == "blob" and one.mode != "120000" and one.path == path for one in entries)
        if not plain:
            return None
        try:
            return await self._room.place.store.read_blob(commit, path, max_bytes=_FILE_BYTES)
        except Missing:
            return None

    async def paths(self, commit: Sha, *below: str) -> tuple[str, ...]:
        entries = await self._room.place.store.ls(commit, *below, recursive=True)
        return tuple(entry.path for entry in entries if entry.kind == "blob")

    async def ask_git(self, *argv: str) -> str:
        words = question(argv)
        try:
            ran = await self._room.place.store.git(*words, timeout=_GIT_SECONDS, max_out=_GIT_BYTES)
        except GitError as exc:
            if exc.rc < 0:
                raise
            raise Refused(exc.stderr.strip()[-500:] or str(exc)) from None
        return ran.text

    def describe(self, text: str) -> None:
        self._say(text)

    @property
    def builder(self) -> Builder:
        if self._room.builder is None:
            raise InfraError(self._without("builds are not available here"))
        return _Unwatched(self._room.builder, self._watch)


@dataclass(frozen=True, slots=True)
class _Unwatched:
    """A builder: its builds have limits of their own, and one waits for another."""

    builder: Builder
    watch: Watch

    async def compare(self, subject: Subject, recipe: Recipe, say: Callable[[str], None]) -> Comparison:
        with self.watch.paused():
            return await self.builder.compare(subject, recipe, say)


def _given(files: Mapping[str, bytes], folder: Path) -> list[Bind | Layer]:
    """What is read-only below /in."""
    if not files:
        return []
    for name, data in files.items():
        path = folder / "in" / _plain(name)
        for above in reversed(path.relative_to(folder).parents[:-1]):
            _make(folder / above, 0o755)
        path.write_bytes(data)
        path.chmod(0o644)
    return [Bind(folder / "in", "/in")]


def _over(shown: Mapping[str, bytes], tree: Path, folder: Path) -> list[Bind | Layer]:
    """Each file in its place in the tree. Where a whole folder is missing, that folder is what is put there."""
    tops: dict[str, None] = {}
    for path, data in shown.items():
        parts = _plain(path).split("/")
        names = ["/".join(parts[: at + 1]) for at in range(len(parts))]
        tops[next((name for name in names if not os.path.lexists(tree / name)), path)] = None
        for above in ("", *names[:-1]):
            _make(folder / above, 0o755)
        (folder / path).write_bytes(data)
        (folder / path).chmod(0o755 if os.access(tree / path, os.X_OK, follow_symlinks=False) else 0o644)
    return [Bind(folder / top, f"/src/{top}") for top in tops]


def _make(folder: Path, mode: int) -> None:
    folder.mkdir(exist_ok=True, parents=True)
    folder.chmod(mode)


def _is_plain(path: str) -> bool:
    return is_plain(os.fsencode(path))


def _plain(path: str) -> str:
    if not _is_plain(path):
        raise Refused(f"{path!r} is no path in a tree")
    return path
