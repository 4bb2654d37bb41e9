"""Our cases as NIPA writes a run, so that its own pages and people's scripts can read them.

The shapes of a run object: `full` is the file of a run, with subtests; `normal` has no subtests; `l2` has each subtest
as a test called ``test.sub``, in the place of its test.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

from shared.model.results import Case, Result

Shape = Literal["full", "normal", "l2"]

# NIPA knows four words. An expected failure is what was wanted, and an unexpected pass counts against nobody with us,
# so both pass. An error shows in red, as a test that broke should; what never ran counts for nothing, as a skip does.
_WORDS: Mapping[Result, str] = {
    Result.PASS: "pass",
    Result.XFAIL: "pass",
    Result.XPASS: "pass",
    Result.WARN: "warn",
    Result.FAIL: "fail",
    Result.ERROR: "fail",
    Result.SKIP: "skip",
    Result.NOT_RUN: "skip",
}
_RANK = ("skip", "pass", "warn", "fail")
_UNSEEN = "skip"
"""What NIPA writes for the first run of a test that was seen in the retry alone."""


def run_object(
    cases: Iterable[Case],
    *,
    branch: str,
    executor: str,
    started: datetime | None,
    ended: datetime | None,
    link: str = "",
    remote: str = "",
    device: Mapping[str, Any] | None = None,
    shape: Shape = "full",
) -> dict[str, Any]:
    """One run. `remote` is what a collector adds; empty ones are left out, as `device` is."""
    run: dict[str, Any] = {"executor": executor, "branch": branch, "start": _time(started), "end": _time(ended)}
    run |= {key: value for key, value in (("remote", remote), ("link", link), ("device", device)) if value}
    run["results"] = _shaped(_tests(cases, link), shape)
    return run


def _time(when: datetime | None) -> str | None:
    return None if when is None else str(when)


def _tests(cases: Iterable[Case], link: str) -> list[dict[str, Any]]:
    """The tests in order, each with its attempts in one row and its subtests below it."""
    tests: dict[tuple[str, str], dict[str, Any]] = {}
    below: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for case in cases:
        key = (case.group, case.test)
        row = tests.setdefault(key, {"test": case.test, "group": case.group, "link": link})
        if case.subtest:
            _put(below.setdefault(key, {}).setdefault(case.subtest, {"test": case.subtest}), case)
        else:
            row["link"] = case.link or row["link"]
            _put(row, case)
            row |= {"crashes": [*row.get("crashes", ()), *case.crashes]} if case.crashes else {}
    for key, row in tests.items():
        if subtests := below.get(key):
            row.setdefault("result", max((sub["result"] for sub in subtests.values()), key=_RANK.index))
            row["results"] = list(subtests.values())
    return list(tests.values())


def _put(row: dict[str, Any], case: Case) -> None:
    """`result` is the first run's word, `retry` that of the last one."""
    if case.attempt == 0:
        row["result"] = _WORDS[case.result]
    else:
        row.setdefault("result", _UNSEEN)
        row["retry"] = _WORDS[case.result]
    if case.seconds is not None:
        row.setdefault("time", case.seconds)


def _shaped(tests: list[dict[str, Any]], shape: Shape) -> list[dict[str, Any]]:
    match shape:
        case "full":
            return tests
        case "normal":
            return [_without(row, "results") for row in tests]
        case "l2":
            return [flat for row in tests for flat in _flat(row)]


def _flat(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The subtests as tests. The time and the retry of their test are not theirs."""
    if "results" not in row:
        return [row]
    frame = _without(row, "results", "time", "retry")
    return [frame | sub | {"test": f"{row['test']}.{sub['test']}"} for sub in row["results"]]


def _without(row: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in keys}
