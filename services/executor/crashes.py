"""What the kernel's log of a test means for the test. Pure.

A crash that counts fails the test, whatever the test said: the machine it ran on is no longer sound, and a program that
passes beside a warning of the kernel has found something all the same. One that is let pass by a rule, or accuses
nobody, changes no result; it is told in the test's detail and in its file of crashes, with the reason.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import structlog

from services.executor.drivers.base import Symbols
from shared.errors import InfraError
from shared.formats.clean import cut
from shared.formats.oops import Judged, Report, Rule, judge, read
from shared.formats.run_model import CRASH, CRASHES
from shared.model.results import Case, Cause, Result
from shared.settings import CrashIgnore

log = structlog.get_logger(__name__)

FILE = "crashes"
"""The name of an attempt's file that has each report with its text."""

_TOLD = 3
"""Crashes that are named in a detail; the file has all."""
_DETAIL = 600


def rules(tables: Iterable[CrashIgnore]) -> tuple[Rule, ...]:
    """The rules of an executor's ``crash_ignore``."""
    return tuple(Rule(table.pattern, table.reason) for table in tables)


def in_log(log: str, ignore: Sequence[Rule]) -> Judged:
    """The crashes in what the kernel logged during a test."""
    return judge(read(log), ignore)


HUNG = "the machine stopped answering"
"""The title of a crash that its kernel said nothing of."""


async def with_places(judged: Judged, symbols: Symbols | None) -> Judged:
    """The same, with places in the source for the functions of what counts, where they can be told."""
    if symbols is None or not judged.crashes:
        return judged
    return replace(judged, crashes=tuple([await _with_places(report, symbols) for report in judged.crashes]))


async def _with_places(report: Report, symbols: Symbols) -> Report:
    try:
        return replace(report, text=tuple(await symbols(report.text)))
    except InfraError as exc:
        # The crash is a fact, whether its places can be told or not.
        log.warning("crash: no places in the source", error=str(exc))
        return report


def blame(cases: tuple[Case, ...], judged: Judged, hung: bool = False) -> tuple[Case, ...]:
    """The test's cases, its own first, with what the kernel said. `hung`: its machine stopped answering, whatever the
    kernel said. Subtests keep their word.
    """
    if not cases or not (judged.crashes or judged.passed or hung):
        return cases
    test, *rest = cases
    test = replace(test, detail=_detail("; ".join(filter(None, (HUNG if hung else "", test.detail))), judged))
    if judged.crashes or hung:
        titles = tuple(cut(str(report), CRASH) for report in judged.crashes[:CRASHES]) or (HUNG,)
        test = replace(test, result=Result.FAIL, cause=Cause.CRASH, crashes=titles)
    return (test, *rest)


def _detail(said: str, judged: Judged) -> str:
    passed = [f"ignored: {report.title} ({reason})" for report, reason in judged.passed]
    told = [report.title for report in judged.crashes][:_TOLD] + passed[:_TOLD]
    more = len(judged.crashes) + len(passed) - len(told)
    parts = [*told, *([f"{more} more from the kernel"] if more else []), *([said] if said else [])]
    return cut("; ".join(parts), _DETAIL)


def written(judged: Judged) -> bytes:
    """The attempt's file: each report under its title, fingerprints and fate; b"" if there is none."""
    reports = [*((report, "") for report in judged.crashes), *judged.passed]
    return "\n".join("\n".join(_section(report, reason)) + "\n" for report, reason in reports).encode()


def _section(report: Report, reason: str) -> Iterator[str]:
    yield report.title
    yield f"  fingerprint: {report.fingerprint}"
    if report.nipa:
        yield f"  in NIPA: {report.nipa}"
    yield f"  ignored: {reason}" if reason else "  counts as a crash"
    yield f"  at line {report.number} of dmesg" + (f", {report.source}" if report.source else "")
    if report.broken:
        yield f"  not whole: {report.broken}"
    yield from (f"    {line}" for line in report.text)
