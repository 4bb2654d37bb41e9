"""The filters of the pages of histories, from their query strings. Pure.

The matrix keeps NIPA's names (``flakes.html?br-cnt=88&tn-needle=mptcp&min-flip=0&pw-n=0&sort-streak=1``).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from services.report.web.filters import counted_by, flag, number
from shared.errors import Refused

NAME = 512
NIPA_BRANCHES = 100
BRANCHES = 30
MOST_BRANCHES = 400
MOST_RUNS = 400


@dataclass(frozen=True, slots=True)
class Among:
    """Which labs and tests; empty means all."""

    needle: str = ""
    remote: str = ""
    executor: str = ""
    stream: str = ""
    counted: bool | None = None
    """Only remotes that count for verdicts, or only those that do not."""

    def remotes(self, counting: Collection[str]) -> tuple[list[str] | None, bool]:
        """The remotes that count, or None for all; and whether those are meant that do not."""
        return (None if self.counted is None else list(counting)), self.counted is False

    @property
    def pairs(self) -> list[tuple[str, str]]:
        found = [("needle", self.needle), ("remote", self.remote), ("executor", self.executor), ("stream", self.stream)]
        counted = [("pw-n" if self.counted else "pw-y", "0")] if self.counted is not None else []
        return [pair for pair in found if pair[1]] + counted


@dataclass(frozen=True, slots=True)
class Matrix:
    """The matrix of tests and branches."""

    among: Among = Among()
    branches: int = BRANCHES
    flips: int = 1
    """At least so many changes between passing and failing; 0: whatever was no pass."""
    by_streak: bool = False
    """Those first that have passed for longest."""
    steady: bool = False
    """Without tests of devices that are ignored until they are steady."""

    @property
    def query(self) -> str:
        """As a query string, without what is default."""
        pairs = self.among.pairs
        pairs += [("br-cnt", str(self.branches))] if self.branches != BRANCHES else []
        pairs += [("min-flip", str(self.flips))] if self.flips != 1 else []
        pairs += [("sort-streak", "1")] if self.by_streak else []
        pairs += [("hw-stable", "1")] if self.steady else []
        return urlencode(pairs)


def parse_among(query: Mapping[str, str]) -> Among:
    """Raises Refused."""
    counted = counted_by(flag(query, "pw-y", True), flag(query, "pw-n", True))
    return Among(
        _first(query, "needle", "tn-needle"), _first(query, "remote", "ld-remote"), _first(query, "executor"),
        _first(query, "stream", "br-pfx"), counted,
    )  # fmt: skip


def parse_matrix(query: Mapping[str, str], branches: int = BRANCHES) -> Matrix:
    """`branches` is how many are shown where it is not asked for. Raises Refused."""
    return Matrix(
        parse_among(query), number(query, "br-cnt", branches, MOST_BRANCHES), _flips(query.get("min-flip", "")),
        flag(query, "sort-streak", False), flag(query, "hw-stable", False),
    )  # fmt: skip


def _flips(text: str) -> int:
    if not text.strip():
        return 1
    if not text.strip().isascii() or not text.strip().isdigit():
        raise Refused(f"min-flip: a whole number is needed, not {text[:40]!r}")
    return min(int(text.strip()[:9]), MOST_BRANCHES)


@dataclass(frozen=True, slots=True)
class History:
    """One test, in some labs."""

    group: str
    test: str
    remote: str = ""
    executor: str = ""
    stream: str = ""
    runs: int = 0
    """So many of the newest of each lab; 0: fewer the more labs there are."""


def parse_history(query: Mapping[str, str]) -> History:
    """Raises Refused without a test."""
    group, test = _first(query, "group"), _first(query, "test")
    if not test:
        raise Refused(
            "test: which one? A test is named by its group and its name, as test?group=selftests-net&test=tls"
        )
    return History(
        group, test, _first(query, "remote"), _first(query, "executor"), _first(query, "stream"),
        number(query, "runs", 0, MOST_RUNS),
    )  # fmt: skip


def _first(query: Mapping[str, str], *names: str) -> str:
    """The first of these that is given. A name longer than any that is kept names nothing."""
    return next((query[name].strip()[:NAME] for name in names if query.get(name, "").strip()), "")
