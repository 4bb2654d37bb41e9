"""A NIPA run as it goes into the ledger: its day, its counts, its cases as columns. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.nipa.found import FoundRun
from shared.formats.faults import Faulty
from shared.formats.nipa import read_run
from shared.formats.reported import Reported, name_of
from shared.model.results import Case, Result

AHEAD = timedelta(days=1)
BRANCHER = "brancher"


@dataclass(frozen=True, slots=True)
class Run:
    """One run with the times it had."""

    remote: str
    executor: str
    started: datetime
    ended: datetime
    told: Reported


@dataclass(frozen=True, slots=True)
class Left:
    """A run that is not taken, and why."""

    why: str
    example: str


def read(found: FoundRun, slot: datetime, oldest: datetime, now: datetime) -> Run | Left:
    """A run of a branch of `slot`. What began before `oldest` would be taken away again at once."""
    try:
        told = read_run(found.data)
    except Faulty as exc:
        return Left("cannot be read", f"{found.where}: {exc}")
    remote = name_of(found.remote)
    if remote == BRANCHER or told.executor == BRANCHER:
        return Left("only says that its branch is there", "")
    if not remote:
        return Left("names no remote", found.where)
    if told.branch != found.branch:
        return Left("is filed under another branch than it names", found.where)
    started = told.started or found.started or slot
    if not slot - AHEAD <= started <= now + AHEAD:
        started = slot
    if started < oldest:
        return Left("is older than [keep] cases says to keep", found.branch)
    ended = told.ended or found.ended or started
    return Run(remote, told.executor, started, max(started, min(ended, now + AHEAD)), told)


def counts_of(cases: Iterable[Case]) -> dict[str, int]:
    """How many tests came to what, as the ledger counts them: by the last attempt, flakes beside it."""
    tests: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        if not case.subtest:
            tests.setdefault((case.group, case.test), []).append(case)
    last = {name: max(tries, key=lambda case: case.attempt) for name, tries in tests.items()}
    counts: Counter[str] = Counter(str(case.result) for case in last.values())
    flaky = sum(
        last[name].result is Result.PASS and any(t.result.bad for t in tries) and not any(t.crashes for t in tries)
        for name, tries in tests.items()
    )
    return {**counts, "flaky": flaky}


def names_in(run: Run) -> set[str]:
    return {name for case in run.told.cases for name in (case.group, case.test, case.subtest)}


COLUMNS = (
    "day", "run_id", "grp", "test", "subtest", "attempt", "result", "cause", "seconds", "detail", "crashes", "at",
    "link",
)  # fmt: skip


def records(run: Run, number: int, ids: dict[str, int]) -> list[tuple[Any, ...]]:
    """The cases as rows of `COLUMNS`."""
    day, at = run.started.date(), run.ended
    return [
        (day, number, ids[c.group], ids[c.test], ids[c.subtest], c.attempt, c.result.value,
         c.cause.value if c.cause else None, c.seconds, c.detail, list(c.crashes), at, c.link)
        for c in run.told.cases
    ]  # fmt: skip
