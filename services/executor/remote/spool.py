"""What a lab has before it and what it has to say, on its own disk: a folder for each run.

Theory of operation. A run's folder has two journals. `journal` is what happened here: the order, tests that began,
and records that are to be posted. `sent` is what the server made of them. A record is posted until there is a line
about it in `sent`; its key for the server (`Idempotency-Key`) and its bytes are the same at each try, so a try whose
answer was lost does no harm. When all is posted the folder goes, and only its name stays in `known`, so that the same
branch, heard of again, is not tested again. What the server refused is kept below `rejected`.

A server that closed the run meanwhile, as it heard nothing of us for too long, is told everything once more as
another attempt: then `sent` has a line `anew`, and what stands before it counts no longer.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from services.executor.remote.branch import Branch
from services.executor.remote.journal import Journal, Record, replace, sync_folder
from shared.errors import Refused

log = structlog.get_logger(__name__)

POSTED = ("open", "expect", "cases", "artifact", "end")
"""The kinds of records that go to the server, in the order in which they stand."""

ATTEMPTS = 10
"""Of one run on the server; what comes after is kept as rejected."""


def key_of(branch: Branch, executor: str) -> str:
    """A run's name: fit for a folder, here and on hosts, whatever the branch is called."""
    readable = re.sub(r"[^A-Za-z0-9_.-]", "-", f"{executor}-{branch.name}")[:100].strip(".-")
    mark = hashlib.sha256(f"{branch.name}\0{branch.commit}\0{executor}".encode()).hexdigest()[:10]
    return f"{readable}-{mark}"


class SpooledRun:
    """One run's folder."""

    def __init__(self, folder: Path, mend: bool = True) -> None:
        self.folder = folder
        self.key = folder.name
        self.journal = Journal(folder / "journal", mend)
        self.sent = Journal(folder / "sent", mend)

    # What it is

    @property
    def order(self) -> Record:
        return next(self.journal.of("order"))

    @property
    def branch(self) -> Branch:
        return Branch.of(self.order["branch"])

    @property
    def executor(self) -> str:
        return str(self.order["executor"])

    @property
    def begun(self) -> bool:
        return self.journal.has("open")

    @property
    def over(self) -> bool:
        """Whether nothing more will be added."""
        return self.journal.has("end") or self.journal.has("dropped")

    # What the server knows

    @property
    def attempt(self) -> int:
        return max((int(r["attempt"]) for r in self.sent.of("anew")), default=0)

    @property
    def _answers(self) -> dict[int, Record]:
        """By record, since the run was last begun anew."""
        found: dict[int, Record] = {}
        for record in list(self.sent.records.values()):
            if record["kind"] == "anew":
                found = {n: answer for n, answer in found.items() if answer["kind"] == "rejected"}
            else:
                found[record["of"]] = record
        return found

    @property
    def run_id(self) -> str | None:
        """What the server calls the run; None before it was told of it."""
        return self._named("run") or None

    @property
    def page(self) -> str:
        """Where others see the run; "" if nobody does."""
        return self._named("page")

    def _named(self, what: str) -> str:
        answered = [r for r in self._answers.values() if r.get("run") is not None]
        return str(answered[-1].get(what, "")) if answered else ""

    def unsent(self) -> list[tuple[int, Record]]:
        """What is to be posted, in order."""
        answers = self._answers
        posted = [(n, r) for n, r in list(self.journal.records.items()) if r["kind"] in POSTED]
        # Of expectations only the last is of interest.
        last = max((n for n, r in posted if r["kind"] == "expect"), default=-1)
        return [(n, r) for n, r in posted if n not in answers and (r["kind"] != "expect" or n == last)]

    def idempotency_key(self, number: int) -> str:
        turns = sum(1 for _ in self.sent.of("anew"))
        return f"{self.order['ident']}-{turns}-{number}"

    def taken(self, number: int, run: str | None = None, page: str = "") -> None:
        named = {} if run is None else {"run": run, "page": page}
        self.sent.append({"kind": "taken", "of": number} | named)

    def begin_anew(self, attempt: int) -> None:
        self.sent.append({"kind": "anew", "attempt": attempt})

    def reject(self, number: int, why: str) -> None:
        """Keep what the server refused, with its reason, where it outlasts the run's folder."""
        record = self.journal.records[number]
        place = self.folder.parent.parent / "rejected" / self.key
        text = json.dumps(
            {"why": why, "branch": self.branch.name, "executor": self.executor, "record": record}, indent=1
        )
        replace(place / f"{number:04}.json", text.encode())
        if record["kind"] == "artifact":
            shutil.copy(self.folder / record["file"], place / f"{number:04}-{Path(record['file']).name}")
        self.sent.append({"kind": "rejected", "of": number, "why": why})

    @property
    def rejections(self) -> list[Record]:
        return list(self.sent.of("rejected"))


@contextlib.contextmanager
def owned(folder: Path) -> Iterator["Spool"]:
    """The spool, for the one process that works in it. Raises Refused if there is another."""
    try:
        (folder / "runs").mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        raise Refused(f"data = {str(folder)!r}: {exc.strerror}; name a folder that this user may write") from None
    lock = os.open(folder / "owner", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _lock(lock):
            raise Refused(f"another netci remote works in {folder}")
        yield Spool(folder)
    finally:
        os.close(lock)


def is_owned(folder: Path) -> bool:
    """Whether a process works in it now."""
    try:
        lock = os.open(folder / "owner", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _lock(lock)
    finally:
        os.close(lock)


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Spool:
    """All runs of this machine, and what was heard of. One process at a time has it; others may only look at it."""

    def __init__(self, folder: Path, mend: bool = True) -> None:
        """Without `mend` nothing is changed, and what another process writes at that moment may be missing."""
        self.folder = folder
        self.runs: dict[str, SpooledRun] = {}
        self._changed = asyncio.Event()
        self.known = Journal(folder / "known", mend)
        for place in sorted((folder / "runs").glob("*"), key=lambda p: p.name):
            run = SpooledRun(place, mend)
            if run.journal.has("order"):
                self.runs[run.key] = run
            elif mend:
                # We were killed before its first line was on disk: the branch will be heard of again.
                shutil.rmtree(place, ignore_errors=True)
        if mend:
            for run in list(self.runs.values()):
                self.clean(run)

    # News

    def stir(self) -> None:
        """Something was added: whoever waits looks again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def news(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass

    # Orders

    def order(self, branch: Branch, executor: str, deadline: datetime) -> bool:
        """Put a branch before an executor; False if it was heard of before."""
        key = key_of(branch, executor)
        if key in self.runs or any(record["key"] == key for record in self.known.of("order")):
            return False
        place = self.folder / "runs" / key
        place.mkdir(mode=0o700, exist_ok=True)
        sync_folder(place.parent)
        run = SpooledRun(place)
        run.journal.append({
            "kind": "order", "branch": branch.plain(), "executor": executor, "deadline": deadline.isoformat(),
            "ident": secrets.token_hex(8),
        })  # fmt: skip
        self.runs[key] = run
        # After the run's own: killed in between, we find the run; the other way round it would be lost.
        self.known.append({"kind": "order", "key": key})
        self.stir()
        return True

    def of(self, executor: str) -> list[SpooledRun]:
        return [run for run in self.runs.values() if run.executor == executor and not run.over]

    def pending(self) -> Iterator[tuple[SpooledRun, Sequence[tuple[int, Record]]]]:
        """Runs with something to post, in the order in which they were heard of."""
        for run in sorted(self.runs.values(), key=lambda r: (r.branch.announced, r.key)):
            if unsent := run.unsent():
                yield run, unsent

    def clean(self, run: SpooledRun) -> bool:
        """Forget a run of which everything is told; False if that is not so yet."""
        if not run.over or run.unsent():
            return False
        del self.runs[run.key]
        shutil.rmtree(run.folder, ignore_errors=True)
        return True

    # Small things that outlast a restart

    def read(self, name: str) -> str:
        try:
            return (self.folder / name).read_text("utf-8")
        except (FileNotFoundError, UnicodeDecodeError):
            return ""

    def write(self, name: str, text: str) -> None:
        replace(self.folder / name, text.encode())

    def rejected(self) -> list[dict[str, Any]]:
        """What the server refused and nobody has taken away yet."""
        found = []
        for file in sorted((self.folder / "rejected").glob("*/*.json")):
            kept = json.loads(file.read_text("utf-8"))
            found.append(
                {"file": str(file), "kind": kept["record"]["kind"]}
                | {k: kept[k] for k in ("branch", "executor", "why")}
            )
        return found
