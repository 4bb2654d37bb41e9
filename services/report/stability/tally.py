"""How steadily a test passes in one lab: NIPA's counters, and whether the test may be reported yet.

Pure. The rules are NIPA's: what counts is the first run of a test in each run of its lab, a retry does not make it
better; a lab with devices begins with every test unreported until it has passed more than `STEADY` times in a row.
Two things are not: what says nothing (a skip, a machine that broke) is neither pass nor failure, and a test that fails
`BROKEN` times in a row without a retry that passes has to earn its way back.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

STEADY = 15
BROKEN = 3

_PASSES = ("pass", "xfail")
_SAYS_NOTHING = ("skip", "not-run")

Name = tuple[int, int, int]
"""Group, test and subtest by their numbers in the ledger."""


class Turn(StrEnum):
    """What one run says of a test. FLAKE: it failed, and then passed on retry without a crash."""

    PASS = "pass"
    FLAKE = "flake"
    FAIL = "fail"


class Try(NamedTuple):
    """One attempt of a test or a subtest."""

    name: Name
    attempt: int
    result: str
    infra: bool = False
    crashed: bool = False

    @property
    def judged(self) -> bool:
        return not self.infra and self.result != "not-run"


@dataclass(frozen=True, slots=True)
class Tally:
    """The counters of one test in one lab. `passing` is since when it is steady."""

    autoignore: bool = False
    pass_cnt: int = 0
    fail_cnt: int = 0
    pass_srk: int = 0
    fail_srk: int = 0
    pass_cur: int = 0
    fail_cur: int = 0
    broken_cur: int = 0
    last_update: datetime | None = None
    passing: datetime | None = None

    @property
    def ignored(self) -> bool:
        return self.autoignore and self.passing is None


def turns(tries: Iterable[Try], plain: int) -> dict[Name, Turn]:
    """What a run says of each of its tests; `plain` is the number of the subtest that stands for the test itself.

    Subtests count for the attempt that counts of their test: one that only the retry came to says nothing.
    """
    by_name: dict[Name, list[Try]] = defaultdict(list)
    for one in tries:
        if one.judged:
            by_name[one.name].append(one)
    first = {name[:2]: min(t.attempt for t in tried) for name, tried in by_name.items() if name[2] == plain}
    found = {name: _turn(tried, first.get(name[:2])) for name, tried in by_name.items()}
    return {name: turn for name, turn in found.items() if turn}


def _turn(tried: list[Try], counts: int | None) -> Turn | None:
    tried.sort(key=lambda t: t.attempt)
    one = tried[0]
    if (counts is not None and one.attempt != counts) or one.result in _SAYS_NOTHING:
        return None
    if one.result in _PASSES:
        return Turn.PASS
    healed = any(later.result in _PASSES for later in tried[1:]) and not any(t.crashed for t in tried)
    return Turn.FLAKE if healed else Turn.FAIL


def count(tally: Tally, turn: Turn, at: datetime) -> Tally:
    """The counters after one more run."""
    if turn is Turn.PASS:
        streak = tally.pass_cur + 1
        return replace(
            tally, pass_cnt=tally.pass_cnt + 1, pass_cur=streak, pass_srk=max(tally.pass_srk, streak), fail_cur=0,
            broken_cur=0, last_update=at, passing=tally.passing or (at if streak > STEADY else None),
        )  # fmt: skip
    streak = tally.fail_cur + 1
    broken = tally.broken_cur + 1 if turn is Turn.FAIL else 0
    return replace(
        tally, fail_cnt=tally.fail_cnt + 1, fail_cur=streak, fail_srk=max(tally.fail_srk, streak), pass_cur=0,
        broken_cur=broken, last_update=at, passing=None if broken >= BROKEN else tally.passing,
    )  # fmt: skip


def count_run(
    tallies: Mapping[Name, Tally], said: Mapping[Name, Turn], at: datetime, device: bool
) -> dict[Name, Tally]:
    """The counters that a run changes. Whether a test is ignored at first is settled when it is first seen."""
    unseen = Tally(autoignore=device)
    return {name: count(tallies.get(name, unseen), turn, at) for name, turn in said.items()}
