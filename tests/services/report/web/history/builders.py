"""Weeks of branches with series on them, and what tests came to on each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from services.report.deciding import Deciding
from shared.db.pool import Pool
from shared.floor import Floor
from shared.ledger.write import Ending, Ledger, Opening
from shared.model.results import Case, Result
from tests.services.report.web.builders import a_cut, a_series, chosen

GROUP = "selftests-net"
WORDS: Mapping[str, Sequence[Result]] = {
    "p": (Result.PASS,), "f": (Result.FAIL,), "F": (Result.FAIL, Result.FAIL), "~": (Result.FAIL, Result.PASS),
    "s": (Result.SKIP,),
}  # fmt: skip
"""A test's attempts by a letter; a blank is no result."""


@dataclass
class Past:
    """Branches of one stream, the oldest first, three hours apart; each test's outcomes as letters, one a branch."""

    tests: Mapping[str, str]
    remote: str = "metal"
    executor: str = "vmksft-net"
    series_on: Mapping[int, Sequence[int]] = field(default_factory=dict)
    """The branches, by their place, that a series is on."""
    crash: str = ""
    """What the kernel says where a test fails for good."""

    @property
    def length(self) -> int:
        return max(map(len, self.tests.values()))


def name_of(n: int, stream: str = "net-next") -> str:
    return f"{stream}-2026-11-{1 + n // 8:02}--{n % 8 * 3:02}-00"


def cases_of(past: Past, place: int) -> list[Case]:
    found = []
    for test, letters in past.tests.items():
        for attempt, result in enumerate(WORDS[letters[place]] if letters[place] != " " else ()):
            crashes = (past.crash,) if past.crash and letters[place] == "F" else ()
            log = f"{GROUP}/{test}/{attempt}/stdout"
            found.append(
                Case(GROUP, test, result, seconds=10.0 + place, attempt=attempt, crashes=crashes, log=log)
            )  # fmt: skip
    return found


async def a_past(floor: Floor, owner: Pool, past: Past) -> list[int]:
    """Put it into the tables, and let report judge it. Returns the cuts."""
    begin = datetime.now(UTC).replace(microsecond=0, second=0, minute=0) - timedelta(hours=3 * past.length)
    cuts = []
    for place in range(past.length):
        slot = begin + timedelta(hours=3 * place)
        cut = await a_cut(owner, name_of(place), slot)
        on_it = [series for series, places in past.series_on.items() if place in places]
        for position, series in enumerate(on_it):
            await chosen(owner, cut, series, position)
        await a_run(owner, cut, name_of(place), past, place, slot)
        await judged(floor, owner, cut)
        cuts.append(cut)
    return cuts


async def a_run(owner: Pool, cut: int, branch: str, past: Past, place: int, at: datetime) -> int:
    ledger = Ledger("executor")
    opening = Opening("netdev", past.remote, past.executor, "net-next", branch, cut_id=cut, planned=len(past.tests))
    async with owner.acquire() as conn, conn.transaction():
        run = await ledger.open(conn, opening)
        await ledger.append(conn, run, cases_of(past, place))
        await ledger.finish(conn, run, Ending())
        await conn.execute("update ledger.runs set started = $2, ended = $2 where id = $1", run.id, at)
    return int(run.id)


async def judged(floor: Floor, owner: Pool, cut: int) -> None:
    """What report does when the last run of a branch has ended."""
    async with owner.acquire() as conn, conn.transaction():
        await Deciding(floor.settings).branch(conn, cut, floor.clock())


async def two_series(owner: Pool) -> tuple[int, int]:
    """One of Jane's, and somebody else's."""
    jane = await a_series(owner, 1, "net: sockets: count what is dropped")
    other = await a_series(owner, 2, "tcp: be quick", author_name="Bob", author_email="bob@example.org")
    return jane, other
