"""A series on a base: each mail becomes the commit that `git am` would make of it, without a work tree.

Cost follows the patch, not the tree. An index that holds only the files that the series speaks of is handed to
`git apply --cached` patch by patch; what changed in it is streamed to one `git fast-import`, which writes the trees
along the changed paths and the commits. Author, date and message come from `git mailinfo`, as in `git am`; the
committer and the time are the caller's. A patch that does not fit is tried as a three-way merge of the versions
that it names.

A patch can be hostile, so nothing here has a work tree: git writes objects, and files in a scratch folder under
names that we chose. It refuses to know where mails come from, which tree to choose, and what is done with the head.
"""

import asyncio
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from shared.errors import NetciError
from shared.git.index import IndexEntry, pack_index, unpack_index
from shared.git.message import Letter, NotAMail, read_letter
from shared.git.names import check_sha
from shared.git.process import GitError, Limits, Ran
from shared.git.small import load
from shared.git.store import Store
from shared.git.stream import GONE, IMPORT, NO_SYNC, Paths, commit_stream
from shared.git.touched import has_endless_name, touched
from shared.model.ids import Sha
from shared.model.mails import Person

Validate = Callable[[bytes], str | None]
"""Says why a diff must not reach git, or None. It gets the diff exactly as git will read it."""

_APPLY = ("apply", "--cached", "-p1", "--whitespace=warn")
_NAMED = re.compile(r"^error: (?:patch failed: )?(?:[a-z ]+')?(.+?)(?::\d+|: .*|' .*|')?$|^U (.+)$", re.MULTILINE)
_OURS = re.compile(
    r"^(?:error|fatal): .*(?:No space left on device|Disk quota exceeded|Read-only file system|Permission denied"
    r"|Input/output error|Cannot allocate memory|Too many open files|out of memory.*)$",
    re.MULTILINE | re.IGNORECASE,
)
_IDS = re.compile(rb"^index [0-9a-f]{7,}\.\.[0-9a-f]{7,}", re.MULTILINE)
# 128 is a fault that git does not get over; the negative ones are signals of a git that broke down over the patch
# (some that are no more than a header of many words do that), not of a machine that ended it.
_ANSWERS = (0, 1, 128, -signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGFPE, -signal.SIGILL)
_PATIENCE = 120
# A few packed kilobytes can claim to be terabytes. The limit costs a process, so it is for such patches only.
_BOMB = Limits(file_bytes=256 << 20, memory_bytes=2 << 30)
_FRUGAL: Mapping[str, str] = {"core.packedGitLimit": "256m", "core.packedGitWindowSize": "16m"}
_CONTROL = re.compile(r"[^\n\t -~\u00a0-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Applied:
    """The series is on its base: `head` is the last of `commits`, one for each mail that is not in `skipped`.

    `skipped` are the numbers (from 1) of mails whose change the base had already. `three_way` says that some patch
    fitted only by a three-way merge. `log` is what `git am` would have told.
    """

    head: Sha
    commits: tuple[Sha, ...]
    log: str
    three_way: bool
    skipped: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class NotApplied:
    """The patch `number` (from 1, in order of the mails) did not go on; nothing of the series did.

    `files` are those in conflict, as far as git named them. `already` says that the base has the change, or a
    commit of this subject, so that the series is likely to have been accepted.
    """

    number: int
    subject: str
    files: tuple[str, ...]
    reason: str
    log: str
    already: bool = False


class _Refusal(NetciError):
    """One patch does not go on."""

    def __init__(self, reason: str, files: Sequence[str] = (), already: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.files, self.already = reason, tuple(files), already


@dataclass(slots=True)
class _Work:
    """A series on its way: the small index as it is now, and what it has given so far."""

    store: Store
    folder: Path
    base: Sha
    paths: dict[bytes, tuple[int, str]]
    known: frozenset[bytes]
    steps: list[tuple[Letter, Paths]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)
    three_way: bool = False

    @property
    def index(self) -> Path:
        return self.folder / "index"

    def tell(self, ran: Ran) -> None:
        """Keep what git said."""
        self.log += [ran.err] if ran.err else []

    def write_index(self) -> None:
        """For git to work on; a git that broke down leaves its lock."""
        self.index.with_name("index.lock").unlink(missing_ok=True)
        rows = (IndexEntry(path, 0, mode, sha) for path, (mode, sha) in self.paths.items())
        self.index.write_bytes(pack_index(rows))

    def read_index(self) -> list[IndexEntry]:
        return unpack_index(self.index.read_bytes())


async def apply_series(
    store: Store,
    base: Sha,
    mails: Sequence[bytes],
    *,
    committer: Person,
    now: datetime,
    validate: Validate,
    three_way: bool = True,
    skip_applied: bool = False,
    look_back: int = 1000,
) -> Applied | NotApplied:
    """Put `mails`, whole messages in order, on `base`, one commit each; all or nothing.

    The commits hang in the store without a ref: whoever wants to keep them sets one. With `skip_applied` a patch
    whose change is in the base already is left out, as `git am --3way` does. `look_back` is how many commits of the
    base are searched for the subject of a patch that does not go on. GitError when git itself is broken.
    """
    check_sha(base)
    if not mails:
        return NotApplied(0, "", (), "the series has no patches", "")
    with store.scratch() as folder:
        letters = await _read_letters(store, folder, mails, now)
        bad = _first_fault(letters, validate)
        if bad:
            return bad
        good = [letter for letter in letters if isinstance(letter, Letter)]
        work = await _prepare(store, folder, base, good)
        for number, letter in enumerate(good, 1):
            refused = await _step(work, number, letter, three_way, skip_applied, look_back)
            if refused:
                return refused
        return await _finish(work, good, committer, now)


async def _read_letters(store: Store, folder: Path, mails: Sequence[bytes], now: datetime) -> list[Letter | NotAMail]:
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(read_letter(store, folder, number, mail, now)) for number, mail in enumerate(mails, 1)
        ]
    return [task.result() for task in tasks]


def _first_fault(letters: Sequence[Letter | NotAMail], validate: Validate) -> NotApplied | None:
    """A mail that is none, has no diff, or has one that must not reach git; before git has seen any."""
    for number, letter in enumerate(letters, 1):
        if isinstance(letter, NotAMail):
            return NotApplied(number, letter.subject, (), letter.reason, letter.reason)
        why = (
            "a path in it is longer or deeper than any can be"
            if has_endless_name(letter.diff)
            else validate(letter.diff)
        )
        if why:
            return NotApplied(number, letter.subject, (), why, f"refused before applying: {why}")
    return None


async def _prepare(store: Store, folder: Path, base: Sha, letters: Sequence[Letter]) -> _Work:
    known = frozenset().union(*(touched(letter.diff) for letter in letters))
    return _Work(store, folder, base, await load(store, base, known), known)


async def _step(
    work: _Work, number: int, letter: Letter, three_way: bool, skip_applied: bool, look_back: int
) -> NotApplied | None:
    work.log.append(f"Applying: {letter.subject}")
    try:
        entries = await _apply(work, letter, three_way)
        changes = _changes(work, entries)
    except _Refusal as refusal:
        present = refusal.already or (await _try(work, letter, "--check", "--reverse")).rc == 0
        if present and skip_applied:
            work.log.append("The base has it already.")
            work.skipped.append(number)
            return None
        already = present or await _accepted(work, letter, look_back)
        text = "\n".join(work.log)
        return NotApplied(number, letter.subject, refusal.files, refusal.reason, text, already)
    work.steps.append((letter, changes))
    work.paths = entries
    return None


async def _apply(work: _Work, letter: Letter, three_way: bool) -> dict[bytes, tuple[int, str]]:
    """The small index after this patch."""
    plain = await _try(work, letter)
    work.tell(plain)
    if plain.rc == 0:
        return _settled(work)
    if not three_way or not _IDS.search(letter.diff):
        raise _refusal(work, plain)
    work.log.append("Falling back to a three-way merge.")
    merged = await _try(work, letter, "--3way")
    work.tell(merged)
    if merged.rc != 0:
        raise _refusal(work, plain, merged)
    entries = _settled(work)
    if entries == work.paths:
        raise _Refusal("the base has this change already", already=True)
    work.three_way = True
    return entries


async def _try(work: _Work, letter: Letter, *flags: str) -> Ran:
    """Run `git apply` on a fresh copy of the small index; exit codes 0, 1 and 128 are answers about the patch."""
    work.write_index()
    env = {"GIT_INDEX_FILE": str(work.index)}
    packed = b"GIT binary patch" in letter.diff
    ran = await work.store.git(
        *_APPLY, *flags, "--", str(letter.diff_file), env=env, ok=_ANSWERS, timeout=_PATIENCE,
        settings=_FRUGAL if packed else None, limits=_BOMB if packed else None,
    )  # fmt: skip
    told = ran.err.replace(str(letter.diff_file), "the diff").replace(str(work.folder), "")
    said = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", told).strip()
    ours = _OURS.search(said)
    if ran.rc and ours and not packed and ours[0].rpartition(": ")[2].encode() not in letter.diff:
        raise GitError(("apply",), ran.rc, said)
    return Ran(ran.rc, b"", said)


def _settled(work: _Work) -> dict[bytes, tuple[int, str]]:
    entries = work.read_index()
    return {entry.path: (entry.mode, entry.sha) for entry in entries}


def _changes(work: _Work, after: Paths) -> Paths:
    """What a patch changed; mode 0 for a file that is gone. Refuses a path that we had not looked up in the base.

    Such a path could be there unseen, and git would have made a new file over it.
    """
    before = work.paths
    changes = {path: value for path, value in after.items() if before.get(path) != value}
    changes |= {path: GONE for path in before if path not in after}
    strange = [path for path in changes if path not in before and path not in work.known]
    if strange:
        names = tuple(path.decode("utf-8", "replace") for path in strange)
        raise _Refusal(f"names a file in a way that is not understood: {names[0]!r}", names)
    return changes


def _refusal(work: _Work, *tries: Ran) -> _Refusal:
    """Why the patch does not go on, in git's words, and the files that git named and the series speaks of."""
    said = "\n".join(ran.err for ran in tries)
    known = {path.decode("utf-8", "replace") for path in work.known}
    named = [one or other for one, other in _NAMED.findall(said)]
    files = tuple(dict.fromkeys(name for name in named if name in known))
    lines = [
        line.removeprefix("error: ") for line in tries[0].err.split("\n") if line.startswith(("error: ", "fatal: "))
    ]
    return _Refusal("; ".join(lines[:5]) or f"git apply ended with {tries[0].rc}", files)


async def _accepted(work: _Work, letter: Letter, look_back: int) -> bool:
    """Whether a late commit of the base has the patch's subject."""
    recent = await work.store.subjects(work.base, limit=look_back)
    return any(subject == letter.subject for _, subject in recent)


async def _finish(work: _Work, letters: Sequence[Letter], committer: Person, now: datetime) -> Applied | NotApplied:
    if not work.steps:
        last = letters[-1]
        text = "\n".join(work.log)
        return NotApplied(last.number, last.subject, (), "the base has all of it already", text, already=True)
    stream = commit_stream(work.store.temporary_ref(), work.base, work.steps, committer, now)
    ran = await work.store.git(*IMPORT, stdin=stream, ok=_ANSWERS, settings=NO_SYNC, timeout=_PATIENCE)
    if ran.rc:
        return _undated(work, ran)
    commits = tuple(Sha(line) for line in ran.text.split("\n"))
    return Applied(commits[-1], commits, "\n".join(work.log), work.three_way, tuple(work.skipped))


def _undated(work: _Work, ran: Ran) -> NotApplied:
    """`git am` dies of a date that it cannot read; all else that fast-import refuses is a fault of ours."""
    for letter, _ in work.steps:
        if "date" in ran.err and letter.date.decode("utf-8", "replace")[:80] in ran.err:
            reason = f"git cannot read the date {letter.date.decode('utf-8', 'replace')!r}"
            return NotApplied(letter.number, letter.subject, (), reason, "\n".join([*work.log, reason]))
    raise GitError(("fast-import",), ran.rc, ran.err)
