"""What of a run NIPA's readers are shown: attempts that mean something, and only tests that are steady. Pure."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from shared.model.results import Case, Cause, Result

Row = dict[str, Any]
Name = tuple[str, str, str]


def judged(cases: Iterable[Case]) -> list[Case]:
    """`cases` without the attempts that machines broke, numbered anew. A test that has no other was not run.

    NIPA has no word for a broken machine, and its readers would take it for a broken test.
    """
    cases = list(cases)
    if not any(case.cause is Cause.INFRA for case in cases):
        return cases
    by_name: dict[Name, list[Case]] = defaultdict(list)
    for case in cases:
        by_name[case.group, case.test, case.subtest].append(case)
    return [case for tries in by_name.values() for case in _renumbered(tries)]


def _renumbered(tries: list[Case]) -> list[Case]:
    sound = [case for case in tries if case.cause is not Cause.INFRA]
    if not sound:
        return [replace(tries[0], attempt=0, result=Result.NOT_RUN, crashes=())]
    lost = sum(case.attempt < sound[0].attempt for case in tries)
    return [replace(case, attempt=case.attempt - lost) for case in sound] if lost else sound


def reported(tests: Iterable[Row], ignored: Collection[Name]) -> list[Row]:
    """The tests of a run, with their subtests, of which those that are not steady yet are left out.

    A crash is always shown. What passes in all that is left of it passes.
    """
    return [row for test in tests if (row := _reported(test, ignored)) is not None]


def _reported(test: Row, ignored: Collection[Name]) -> Row | None:
    group, name = test["group"], test["test"]
    if "results" not in test:
        return None if (group, name, "") in ignored and not test.get("crashes") else test
    left = [sub for sub in test["results"] if (group, name, sub["test"]) not in ignored]
    if len(left) == len(test["results"]):
        return test
    if not left:
        return {key: value for key, value in test.items() if key != "results"} if test.get("crashes") else None
    row = test | {"results": left}
    if row.get("crashes"):
        return row
    if all(sub["result"] == "pass" for sub in left):
        row["result"] = "pass"
    if "retry" in row and all(sub.get("retry") == "pass" for sub in left):
        row["retry"] = "pass"
    return row
