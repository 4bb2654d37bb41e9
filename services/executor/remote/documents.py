"""Cases as the documents that a lab posts, within the limits that the server keeps. Pure."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.formats.clean import cut, plain
from shared.formats.run_model import CASES, CRASH, CRASHES, DETAIL, NAME, SECONDS
from shared.model.results import Case


def batch(cases: Sequence[Case]) -> dict[str, Any]:
    """The body of a batch: each test with its subtests below it. What is over a limit is cut to it."""
    tests: dict[tuple[str, str, int], dict[str, Any]] = {}
    for case in cases:
        if not case.subtest:
            tests[case.group, case.test, case.attempt] = _test(case)
    for case in cases:
        if case.subtest and (test := tests.get((case.group, case.test, case.attempt))) is not None:
            test.setdefault("cases", []).append(_result(case.subtest, case))
    for test in tests.values():
        _bound(test)
    return {"cases": list(tests.values())}


def as_text(files: Mapping[str, bytes]) -> bytes:
    """What an attempt said as one text: its standard output, then what else there is under a line of its name."""
    parts = [
        data if i == 0 else b"\n--- %s ---\n%s" % (_last(name), data) for i, (name, data) in enumerate(files.items())
    ]
    return b"".join(parts)


def _last(name: str) -> bytes:
    return name.rpartition("/")[2].encode()


def fit_for_path(name: str) -> bool:
    """Whether the server takes a file under this name."""
    return len(name) <= 200 and all(re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", part) for part in name.split("/"))


def with_link(body: Mapping[str, Any], key: tuple[str, str, int], link: str) -> Mapping[str, Any]:
    """The same batch, the test named by `key` (group, test, attempt) leading to what it printed."""
    cases = [
        case | {"link": link} if (case["group"], case["test"], case["attempt"]) == key else case
        for case in body["cases"]
    ]
    return {**body, "cases": cases}


def _test(case: Case) -> dict[str, Any]:
    made = {"group": _name(case.group)} | _result(case.test, case) | {"attempt": min(case.attempt, 9)}
    if case.crashes:
        made["crashes"] = [plain(title)[:CRASH] for title in case.crashes[:CRASHES]]
    return made


def _result(name: str, case: Case) -> dict[str, Any]:
    made: dict[str, Any] = {"test": _name(name), "result": str(case.result)}
    if case.cause is not None:
        made["cause"] = str(case.cause)
    if case.seconds is not None and math.isfinite(case.seconds):
        made["seconds"] = min(max(case.seconds, 0.0), float(SECONDS))
    if case.detail:
        made["detail"] = _text(case.detail)[:DETAIL]
    return made


def _name(name: str) -> str:
    return cut(plain(name).replace("\ufffd", "?"), NAME) or "no-name"


def _text(text: str) -> str:
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _bound(test: dict[str, Any]) -> None:
    """No name twice below one test, and no more of them than one body may have."""
    below: Iterable[dict[str, Any]] = test.get("cases", ())
    kept = list({sub["test"]: sub for sub in below}.values())
    if kept:
        test["cases"] = kept[: CASES - 1]
