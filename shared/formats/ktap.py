"""A program's KTAP output, with its exit code, judged as cases.

The front door of the KTAP modules: `read` and `KtapParser` say what a log says, `to_cases` what it is worth.
The rules are those of the kernel's own runner (tools/testing/selftests/kselftest/runner.sh), but for one: a
program that exits 0 after a subtest failed has not passed. Guesses nothing from words in free text.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shared.formats.clean import cut
from shared.formats.ktap_parser import KtapParser
from shared.formats.ktap_report import Point, Report, unique
from shared.formats.selftests import Spelling, unwrap
from shared.model.results import Case, Cause, Result

__all__ = ["KtapParser", "Point", "Report", "every_test", "read", "to_cases"]

_TIMEOUT = 124
_WRAPPER = "selftests: "


def read(text: str | Iterable[str], *, cut_short: bool = False, max_results: int = 10_000) -> Report:
    """The report of a whole log, given as one text or as lines, with or without their newlines.

    A log is bytes: decode it with ``errors="replace"``, nothing that matters here is beyond ASCII.
    """
    parser = KtapParser(max_results=max_results)
    if isinstance(text, str):
        for at in range(0, len(text), 1 << 20):
            parser.feed(text[at : at + (1 << 20)])
    else:
        for line in text:
            parser.feed(line if line.endswith("\n") else line + "\n")
    return parser.finish(cut_short=cut_short)


@dataclass(frozen=True, slots=True)
class _Ending:
    """How the program as a whole ended, before its subtests are asked."""

    result: Result
    cause: Cause | None = None
    detail: str = ""


def to_cases(
    lines: str | Iterable[str],
    *,
    group: str,
    test: str,
    exit_code: int | None,
    timed_out: bool,
    seconds: float | None,
    attempt: int,
    log: str,
    max_results: int = 10_000,
) -> tuple[Case, ...]:
    """The test's case and those of its subtests, from the output of one program.

    `lines` may be the program's own output or the runner's, which wraps it: then the runner's word on the
    program counts too, for run_kselftest.sh exits 0 whatever happened. `exit_code` None means that nobody
    knows: the connection died, and the test did not run as far as a verdict is concerned; the subtests that
    were reported stand.
    """
    ending = _ending(exit_code, timed_out, seconds)
    report = read(lines, cut_short=ending.cause is not None, max_results=max_results)
    wrapper, points = _unwrap(report.points)
    below = 0 if wrapper is None else 1
    ending = _judge(_with_wrapper(ending, wrapper), points, report.unsound, below)
    if not points and ending.result in (Result.PASS, Result.SKIP) and report.skip is not None:
        ending = _Ending(Result.SKIP, None, report.skip or ending.detail)
    detail = ending.detail
    if report.bail and ending.result is Result.FAIL and report.bail not in detail:
        detail = f"{detail}: {report.bail}"
    first = Case(group, test, ending.result, "", ending.cause, attempt, seconds, detail, log)
    return (first, *_subtests(points, first, below))


def every_test(report: Report, group: str) -> Iterator[Case]:
    """The cases of a log of many programs, each test before its subtests.

    A test that the kernel's runner wraps is named by its target and its program; any other, as KUnit's suites are,
    by its own name, in `group`; one that a plan promised and no line tells of, in the group of the test before.
    Exit codes are not known here: the log's own word on each test is what counts, and its subtests correct it.
    """
    spelling = Spelling()
    seen: dict[str, dict[str, int]] = {}
    of = group
    for top, below in _by_test(report.points):
        name = top.name
        if wrapped := unwrap(name):
            of, name = spelling.of(*wrapped)
        elif top.line:
            of = group
        name = unique(name, seen.setdefault(of, {}))
        ending = _judge(_said(top), below, "", 1)
        detail = ending.detail or top.detail
        first = Case(of, name, ending.result, "", ending.cause, 0, top.seconds, detail)
        yield from (first, *_subtests(below, first, 1))


def _by_test(points: tuple[Point, ...]) -> Iterator[tuple[Point, tuple[Point, ...]]]:
    starts = [index for index, point in enumerate(points) if point.depth == 0]
    for start, end in zip(starts, [*starts[1:], len(points)], strict=False):
        yield points[start], points[start + 1 : end]


def _said(top: Point) -> _Ending:
    """The log's word on a test of which nothing else is known."""
    if top.said is Result.NOT_RUN:
        return _Ending(top.result, Cause.TEST if top.result.bad else None, top.detail)
    return _with_wrapper(_Ending(Result.PASS), top)


def _ending(exit_code: int | None, timed_out: bool, seconds: float | None) -> _Ending:
    if timed_out or exit_code == _TIMEOUT:
        after = "" if seconds is None else f" after {seconds:.0f} s"
        return _Ending(Result.FAIL, Cause.TIMEOUT, f"timed out{after}")
    match exit_code:
        case None:
            return _Ending(Result.NOT_RUN, Cause.INFRA, "no exit code: the connection was lost")
        case 0:
            return _Ending(Result.PASS)
        case 4:
            return _Ending(Result.SKIP, None, "exit=4")
        case code:
            return _Ending(Result.FAIL, None, f"exit={code}")


def _unwrap(points: tuple[Point, ...]) -> tuple[Point | None, tuple[Point, ...]]:
    """The runner's point around the program's, if the runner wrote the log, and the program's own."""
    tops = [point for point in points if point.depth == 0]
    if len(tops) == 1 and tops[0].name.startswith(_WRAPPER):
        return tops[0], points[1:]
    return None, points


def _with_wrapper(ending: _Ending, wrapper: Point | None) -> _Ending:
    """The runner's word on the program, where there is one: then the exit code is only the runner's own."""
    if wrapper is None or ending.cause is not None:
        return ending
    if wrapper.directive == "TIMEOUT":
        return _Ending(Result.FAIL, Cause.TIMEOUT, f"timed out: {wrapper.detail}")
    if wrapper.said is Result.NOT_RUN:
        lost = _Ending(Result.ERROR, Cause.TEST, "the runner gave no result")
        return lost if ending.result is Result.PASS else ending
    if wrapper.said is not Result.PASS:
        return _Ending(wrapper.said, None, wrapper.detail)
    if wrapper.result is Result.PASS or ending.result is not Result.PASS:
        return ending
    return _Ending(wrapper.result, Cause.TEST if wrapper.result.bad else None, wrapper.detail)


def _judge(ending: _Ending, points: tuple[Point, ...], unsound: str, below: int) -> _Ending:
    """Let the subtests correct an ending better than they are. Failures speak before broken reports."""
    if ending.result is Result.FAIL or ending.cause not in (None, Cause.TEST):
        return ending
    for bad, cause in ((Result.FAIL, None), (Result.ERROR, Cause.TEST)):
        if hits := [point for point in points if point.result is bad]:
            hit = min(hits, key=lambda point: not point.leaf)
            name = cut(".".join(hit.path[below:]), 200)
            return _Ending(bad, cause, f"subtest {name}: {hit.detail or hit.result}")
    if ending.result is Result.PASS and unsound:
        return _Ending(Result.ERROR, Cause.TEST, unsound)
    if ending.result is Result.PASS and points and all(p.result is Result.SKIP for p in points if p.leaf):
        return _Ending(Result.SKIP, None, "all subtests skipped")
    return ending


def _subtests(points: tuple[Point, ...], test: Case, below: int) -> Iterator[Case]:
    seen: dict[str, int] = {}
    for point in points:
        name = unique(".".join(point.path[below:]), seen)
        result, cause = _blame(point, test)
        yield Case(
            test.group, test.test, result, name, cause,
            test.attempt, point.seconds, point.detail, test.log,
        )  # fmt: skip


def _blame(point: Point, test: Case) -> tuple[Result, Cause | None]:
    """A subtest without a word of its own in a program that was stopped did not run, for the same reason.

    But if it had begun when the time ran out, it is the one that took too long.
    """
    if point.directive == "TIMEOUT" and point.result is Result.FAIL:
        return point.result, Cause.TIMEOUT
    if point.said is Result.NOT_RUN and test.cause in (Cause.INFRA, Cause.TIMEOUT):
        began = point.line > 0 and point.leaf
        return Result.FAIL if began and test.cause is Cause.TIMEOUT else Result.NOT_RUN, test.cause
    return point.result, Cause.TEST if point.result is Result.ERROR else None
