"""What is known of each run that a manifest names, and what is to be done about it next.

Pure: from what was known, what the manifest says and the time, to what is known now and the next step. It refuses to
know how files are fetched and how runs are recorded.

Theory of operation. A manifest holds a run twice: first without an address (it is running), then with that of its
file. `waits` is a run of which the ledger has nothing yet; `open` one that we opened because it was said to be
running; `taken`, `refused` and `lost` are ends, until the manifest says something new. What it says anew of a run that
has ended is another attempt: the ledger closes a run once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from shared.formats.nipa import Entry
from shared.formats.run_model import ATTEMPTS

NEVER = datetime(9999, 1, 1, tzinfo=UTC)

LOOKS = (timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6))
"""After how long a file that was taken is looked at again: labs have been seen to rewrite them."""

PATIENCE = timedelta(days=1)
"""For how long a file that cannot be read is tried again. One that is being uploaded is whole a little later."""
SLOWEST = timedelta(hours=1)

MOST = 5000
"""Entries of a manifest that are read, newest last. NIPA's own programs keep 500."""


class State(StrEnum):
    WAITS = "waits"
    OPEN = "open"
    TAKEN = "taken"
    REFUSED = "refused"
    LOST = "lost"


class Step(StrEnum):
    """What a run needs next."""

    REST = "rest"
    OPEN = "open"
    TAKE = "take"
    COMPARE = "compare"
    LOSE = "lose"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a manifest, as it is remembered.

    `overdue` is whether its expected end has passed, `gone` since when the manifest lacks it, `due` when it is looked
    at next, `since` when its present trouble began; `began`, `digest`, `etag` and `modified` are of the file that was
    taken.
    """

    executor: str
    branch: str
    url: str | None = None
    state: State = State.WAITS
    attempt: int = 0
    run_id: int | None = None
    opened: datetime | None = None
    gone: datetime | None = None
    due: datetime = NEVER
    tries: int = 0
    since: datetime | None = None
    reason: str = ""
    began: str = ""
    digest: str = ""
    etag: str = ""
    modified: str = ""
    overdue: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return self.executor, self.branch

    @property
    def name(self) -> str:
        return f"{self.executor} on {self.branch}"

    @property
    def ended(self) -> bool:
        return self.state not in (State.WAITS, State.OPEN)


def entries_by_run(entries: Iterable[Entry]) -> dict[tuple[str, str], Entry]:
    """One entry a run: of several the one with an address, of these the last."""
    found: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        key = (entry.executor, entry.branch)
        if entry.url or key not in found or not found[key].url:
            found[key] = entry
    return dict(list(found.items())[-MOST:])


def compare(known: Mapping[tuple[str, str], Run], entries: Iterable[Entry], now: datetime) -> list[Run]:
    """The runs of which the manifest says something that was not known."""
    said = entries_by_run(entries)
    heard = [heard_of(known.get(key), entry, now) for key, entry in said.items()]
    missing = [replace(run, gone=now) for key, run in known.items() if key not in said and run.gone is None]
    return [run for run in heard if run != known.get(run.key)] + missing


def heard_of(run: Run | None, entry: Entry, now: datetime) -> Run:
    """The run after the manifest named it."""
    if run is None:
        return Run(entry.executor, entry.branch, entry.url, due=now)
    if run.url == entry.url and run.gone is None:
        return run
    back = replace(run, url=entry.url, gone=None)
    if run.url == entry.url and run.state is not State.LOST:
        return back
    fresh = replace(back, due=now, tries=0, since=None)
    if not run.ended or (run.state is State.TAKEN and entry.url):
        # Of one that was taken, the new file is compared first: a lab that has moved has not run everything again.
        return fresh
    return again(fresh)


def again(run: Run) -> Run:
    """The same run begun once more; one that never reached the ledger simply begins."""
    if run.run_id is None:
        return replace(run, state=State.WAITS, reason="")
    if run.attempt + 1 >= ATTEMPTS:
        return replace(run, due=NEVER, reason=f"begun more than {ATTEMPTS} times: no longer looked at")
    return replace(run, state=State.WAITS, attempt=run.attempt + 1, run_id=None, opened=None, reason="")


@dataclass(frozen=True, slots=True)
class Times:
    """How long a lab may be silent before its run is given up, and how long a run may take at all."""

    silence: timedelta
    longest: timedelta


def next_step(run: Run, now: datetime, times: Times, heard: datetime | None = None) -> tuple[Step, str]:
    """What to do about a run that is due, and why where that is an end. `heard` is when the manifest was last seen."""
    match run.state:
        case State.OPEN if run.gone and now - run.gone >= times.silence:
            return Step.LOSE, f"gone from the manifest since {run.gone:%Y-%m-%d %H:%M} UTC"
        case State.OPEN if run.url is None and run.opened and now - run.opened >= times.longest:
            return Step.LOSE, f"said to be running since {run.opened:%Y-%m-%d %H:%M} UTC, without an end"
        case State.OPEN if run.overdue and heard and now - heard >= times.silence:
            return Step.LOSE, f"the manifest has not been seen since {heard:%Y-%m-%d %H:%M} UTC"
        case State.OPEN | State.WAITS if run.gone:
            return Step.REST, ""
        case State.OPEN | State.WAITS if run.url:
            return Step.TAKE, ""
        case State.WAITS:
            return Step.OPEN, ""
        case State.TAKEN if run.url and not run.gone:
            return Step.COMPARE, ""
        case _:
            return Step.REST, ""


def opened(run: Run, run_id: int, now: datetime) -> Run:
    return replace(run, state=State.OPEN, run_id=run_id, opened=now, since=None, tries=0, reason="")


def taken(run: Run, run_id: int | None, began: str, digest: str, note: str, now: datetime) -> Run:
    """The run whose file was taken. `note` is what was odd about it."""
    return replace(
        run, state=State.TAKEN, run_id=run_id or run.run_id, began=began, digest=digest, due=now + LOOKS[0], tries=1,
        since=None, reason=note,
    )  # fmt: skip


def looked(run: Run, now: datetime) -> Run:
    """The run whose file was compared: the next look is later, after the last there is none."""
    wait = LOOKS[run.tries] if run.tries < len(LOOKS) else None
    return replace(run, due=now + wait if wait else NEVER, tries=run.tries + 1)


def changed(run: Run, digest: str, now: datetime) -> tuple[Run, bool]:
    """The run whose file is another by now, and whether that is news."""
    why = f"the file has changed since it was taken (sha256 {digest[:12]}); what was taken first stays"
    return replace(looked(run, now), reason=why), run.reason != why


def lost(run: Run, why: str) -> Run:
    return replace(run, state=State.LOST, reason=why, since=None, due=NEVER)


def failed(run: Run, why: str, now: datetime, wait: timedelta) -> Run:
    """The run whose file could not be had: tried again ever more slowly, and given up after `PATIENCE`."""
    since = run.since or now
    if now - since >= PATIENCE:
        return replace(run, state=State.REFUSED, reason=why, since=since, due=NEVER)
    pause = min(SLOWEST, max(wait, wait * 2 ** min(run.tries, 12)))
    return replace(run, reason=why, since=since, tries=run.tries + 1, due=now + pause)
