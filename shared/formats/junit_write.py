"""JUnit XML from our cases: strict in what it writes, so that any reader takes it.

What JUnit has no word for (attempts, subtests, causes, expected failures) goes into properties ``netci.*`` of the
case, from which `junit` reads it back; other readers see the nearest they know.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from xml.sax.saxutils import quoteattr

from shared.model.results import Case, Cause, Result

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ELEMENTS = {
    Result.FAIL: "failure",
    Result.ERROR: "error",
    Result.SKIP: "skipped",
    Result.NOT_RUN: "skipped",
    Result.XFAIL: "skipped",
}
PLAIN = {"": Result.PASS, "failure": Result.FAIL, "error": Result.ERROR, "skipped": Result.SKIP}
"""What an element means where no property says more; "" is none of them."""


def render(cases: Iterable[Case], *, name: str = "netci", started: datetime | None = None) -> str:
    """The whole document; `name` is the run's. A suite is a group, in the order in which the groups come."""
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.group, []).append(case)
    suites = [_suite(group, of, started) for group, of in groups.items()]
    every = [case for of in groups.values() for case in of]
    return "\n".join(
        ['<?xml version="1.0" encoding="UTF-8"?>', f"<testsuites{_totals(name, every)}>", *suites, "</testsuites>\n"]
    )


def _suite(group: str, cases: list[Case], started: datetime | None) -> str:
    when = "" if started is None else f" timestamp={_quoted(started.isoformat())}"
    return "\n".join([f"<testsuite{_totals(group, cases)}{when}>", *map(_case, cases), "</testsuite>"])


def _totals(name: str, cases: list[Case]) -> str:
    said = [_ELEMENTS.get(case.result, "") for case in cases]
    time = sum(case.seconds or 0.0 for case in cases if not case.subtest)
    return (
        f' name={_quoted(name)} tests="{len(cases)}" failures="{said.count("failure")}"'
        f' errors="{said.count("error")}" skipped="{said.count("skipped")}" time="{time!r}"'
    )


def _case(case: Case) -> str:
    time = "" if case.seconds is None else f' time="{case.seconds!r}"'
    lines = [f"<testcase name={_quoted(case.name)} classname={_quoted(case.group)}{time}>"]
    if more := _properties(case):
        lines += ["<properties>", *more, "</properties>"]
    if element := _ELEMENTS.get(case.result):
        kind = f" type={_quoted(case.cause)}" if case.cause and element != "skipped" else ""
        lines.append(f"<{element} message={_quoted(case.detail)}{kind}/>")
    return "\n".join([*lines, "</testcase>"])


def _properties(case: Case) -> list[str]:
    element = _ELEMENTS.get(case.result, "")
    said = {
        "result": case.result if PLAIN[element] is not case.result else "",
        "cause": case.cause or ("none" if case.result is Result.ERROR else ""),
        "subtest": case.subtest,
        "attempt": str(case.attempt or ""),
        "detail": "" if element else case.detail,
        "link": case.link,
        "log": case.log,
    }
    if case.result is Result.ERROR and case.cause is Cause.TEST:
        said["cause"] = ""
    pairs = [(key, value) for key, value in said.items() if value] + [("crash", title) for title in case.crashes]
    return [f'<property name="netci.{key}" value={_quoted(value)}/>' for key, value in pairs]


def _quoted(text: str) -> str:
    """An attribute's value. What XML cannot spell at all is left out."""
    return quoteattr(_ILLEGAL.sub("", text))
