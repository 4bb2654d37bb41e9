"""Which failures are known, and so do not count. Pure.

A rule names what fails by globs: the test, the crash, or both; in which stream, lab and group. It has a reason and an
owner, and an end: what nobody looks after any more counts again. What it matches is shown as known, never left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.report.flakes import Standing
from services.report.rollup import TestName, TestOutcome
from shared.errors import Refused
from shared.formats.globs import matches

MOST = timedelta(days=366)
SCOPE = ("stream", "remote", "executor", "group", "test", "crash")


@dataclass(frozen=True, slots=True)
class Where:
    """The run that a failure is of."""

    stream: str
    remote: str
    executor: str


@dataclass(frozen=True, slots=True)
class KnownIssue:
    """A rule. Its scope (`SCOPE`) are globs of ``*`` and ``?``; "" is any."""

    project: str
    reason: str
    owner: str
    expires: datetime
    stream: str = ""
    remote: str = ""
    executor: str = ""
    group: str = ""
    test: str = ""
    crash: str = ""
    link: str = ""
    id: int = 0

    def matches(self, where: Where, name: TestName, crashes: Sequence[str]) -> bool:
        """Whether a failure is this one. With `crash` each crash that the test left must be it."""
        scope = (
            (where.stream, self.stream), (where.remote, self.remote), (where.executor, self.executor),
            (name.group, self.group), (name.test, self.test),
        )  # fmt: skip
        if not all(not glob or matches(text, glob) for text, glob in scope):
            return False
        return not self.crash or (bool(crashes) and all(matches(crash, self.crash) for crash in crashes))


def checked(issue: KnownIssue, now: datetime) -> KnownIssue:
    """The same. Raises Refused for a rule that would hide everything, has no reason or owner, or no end."""
    wide = [glob for glob in (issue.test, issue.crash) if glob.strip("*?")]
    if not wide:
        raise Refused("test, crash: name at least one of them, by more than stars: a rule for everything says nothing")
    for field in (*SCOPE, "reason", "owner", "link"):
        if "\0" in getattr(issue, field):
            raise Refused(f"{field}: a NUL is in it")
    for field in ("reason", "owner"):
        if not getattr(issue, field).strip():
            raise Refused(f"{field}: who reads that a failure is known wants to know it")
    if issue.link and not issue.link.startswith(("https://", "http://")):
        raise Refused("link: an address that begins with https:// or http://")
    if issue.expires <= now:
        raise Refused(f"expires: {issue.expires:%Y-%m-%d %H:%M} is over")
    if issue.expires > now + MOST - timedelta(minutes=1):
        raise Refused("expires: a year at most; what is looked after can be said again")
    return issue


def known_of(issues: Iterable[KnownIssue], where: Where, found: Iterable[TestOutcome]) -> Mapping[TestName, int]:
    """By failing test the number of the first rule that it is known by."""
    rules = sorted(issues, key=lambda issue: issue.id)
    by_test: dict[TestName, int] = {}
    for one in found:
        if one.outcome.standing is Standing.FAIL:
            match = next((rule.id for rule in rules if rule.matches(where, one.name, one.crashes)), None)
            if match is not None:
                by_test[one.name] = match
    return by_test
