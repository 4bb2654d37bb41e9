"""Which of a kernel's reports count, and which are let pass for a reason that somebody has written down. Pure.

Nothing vanishes: what is let pass comes back beside what counts, with the reason.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from shared.formats.oops_kinds import NOTES
from shared.formats.oops_report import Report


@dataclass(frozen=True, slots=True)
class Rule:
    """Reports whose title, fingerprint or NIPA's fingerprint is like the glob `pattern` do not count."""

    pattern: str
    reason: str

    def takes(self, report: Report) -> bool:
        return any(fnmatchcase(name, self.pattern) for name in (report.title, report.fingerprint, report.nipa) if name)


@dataclass(frozen=True, slots=True)
class Judged:
    """`crashes` count. `passed` do not, each for its reason. What is told twice stands once, in order."""

    crashes: tuple[Report, ...] = ()
    passed: tuple[tuple[Report, str], ...] = ()


def judge(reports: Iterable[Report], rules: Sequence[Rule] = ()) -> Judged:
    """Part the reports. Of several with one title and fingerprint, the first is taken."""
    once = {(report.title, report.fingerprint): report for report in reversed(list(reports))}
    crashes, passed = [], []
    for report in sorted(once.values(), key=lambda one: one.offset):
        if reason := _pardon(report, rules):
            passed.append((report, reason))
        else:
            crashes.append(report)
    return Judged(tuple(crashes), tuple(passed))


def _pardon(report: Report, rules: Sequence[Rule]) -> str:
    if rule := next((rule for rule in rules if rule.takes(report)), None):
        return rule.reason
    return NOTES.get(report.kind, "")
