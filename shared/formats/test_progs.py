"""What the BPF selftests' test_progs says: a line for each test and subtest, a summary, and perhaps a JSON file.

The text names all with their outcome. The JSON of ``--json-summary`` has the same counts, and of what failed the
messages. The text's counts, the JSON's and the lines must agree.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.formats.bounded import read_json
from shared.formats.clean import cut, plain
from shared.formats.faults import Faulty
from shared.model.results import Result

MOST = 5000
"""Tests and subtests of one output."""

_LINE = re.compile(
    r"^#[0-9]{1,9}(?:/[0-9]{1,9})? +(\S[^\n]{0,299}):(OK|SKIP|FAIL)(?: \(SKIP: [0-9]+/[0-9]+\))?\r?$", re.MULTILINE
)
_SUMMARY = re.compile(
    r"^Summary: ([0-9]{1,9})/([0-9]{1,9}) PASSED, ([0-9]{1,9}) SKIPPED, ([0-9]{1,9}) FAILED\r?$", re.MULTILINE
)
_RESULTS = {"OK": Result.PASS, "SKIP": Result.SKIP, "FAIL": Result.FAIL}


@dataclass(frozen=True, slots=True)
class Told:
    """`results` by ``test`` and ``test/subtest``, `why` the last words of those that failed; `fault` says how the
    output does not add up, and is empty if it does.
    """

    results: Mapping[str, Result] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True, slots=True)
class _Counts:
    tests: int
    subtests: int
    skipped: int
    failed: int

    def __str__(self) -> str:
        return f"{self.tests}/{self.subtests} passed, {self.skipped} skipped, {self.failed} failed"


def read(text: str, summary: bytes = b"") -> Told:
    """What was printed, and the JSON file's content if there is one. Never raises."""
    json = _json(summary)
    results = _results(text)
    return Told(results, _messages(json), _fault(text, json, results))


def _results(text: str) -> dict[str, Result]:
    """A failure is printed again at the end, with all logs: the last word on each counts."""
    found: dict[str, Result] = {}
    for line in _LINE.finditer(text):
        if len(found) >= MOST:
            break
        found[plain(line[1])] = _RESULTS[line[2]]
    return found


def _json(data: bytes) -> dict[str, Any]:
    """The summary; {} where there is none, or none that can be read."""
    try:
        value = read_json(data) if data.strip() else {}
    except Faulty:
        return {}
    return value if isinstance(value, dict) else {}


def _messages(summary: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for test in _objects(summary.get("results")):
        found[str(test.get("name"))] = _last(test.get("message"))
        for subtest in _objects(test.get("subtests")):
            found[f"{test.get('name')}/{subtest.get('name')}"] = _last(subtest.get("message"))
    return found


def _objects(value: object) -> Iterator[Mapping[str, Any]]:
    yield from (one for one in value if isinstance(one, dict)) if isinstance(value, list) else ()


def _last(message: object) -> str:
    lines = message[-4000:].splitlines() if isinstance(message, str) else []
    return cut(plain(next((line for line in reversed(lines) if line.strip()), "").strip()), 500)


def _fault(text: str, summary: Mapping[str, Any], results: Mapping[str, Result]) -> str:
    said = _SUMMARY.findall(text)
    if not said:
        return "no summary: the program did not come to its end"
    counts = _Counts(*(int(number) for number in said[-1]))
    if summary:
        keys = ("success", "success_subtest", "skipped", "failed")
        json = _Counts(*(number if type(number := summary.get(key)) is int else -1 for key in keys))
        if json != counts:
            return f"the text counts {counts}, the JSON {json}"
    failed = sum(result is Result.FAIL for name, result in results.items() if "/" not in name)
    return "" if failed == counts.failed else f"the program counts {counts.failed} failed, and names {failed}"
