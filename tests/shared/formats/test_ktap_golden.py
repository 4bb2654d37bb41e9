"""Whole logs with the report and the cases they must give, read by a person once.

``python -m tests.shared.formats.test_ktap_golden`` writes what the present code says; review the difference.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from shared.formats.ktap import read, to_cases
from shared.formats.ktap_report import Point
from shared.model.results import Case

FOLDER = Path(__file__).parents[2] / "golden" / "formats" / "ktap"
LOGS = sorted(path.name for path in FOLDER.glob("*.ktap"))


def compact(value: Point | Case, *left_out: str) -> dict[str, Any]:
    """The fields that say something."""
    fields = {k: v for k, v in asdict(value).items() if k not in left_out}
    return {k: v for k, v in fields.items() if v not in ("", None, (), [], 0, True) or k == "number"}


def says(text: str, exit_code: int | None) -> dict[str, Any]:
    report = read(text)
    cases = to_cases(
        text,
        group="net",
        test="t",
        exit_code=exit_code,
        timed_out=False,
        seconds=None,
        attempt=0,
        log="",
    )
    return {
        "exit_code": exit_code,
        "points": [compact(point, "path") for point in report.points],
        "skip": report.skip,
        "started": report.started,
        "faults": list(report.faults),
        "unsound": report.unsound,
        "seen": report.seen,
        "cases": [compact(case, "group") for case in cases],
    }


def load(log: str) -> tuple[str, Path]:
    path = FOLDER / log
    return path.read_bytes().decode("utf-8", "surrogateescape"), path.with_suffix(".json")


@pytest.mark.parametrize("log", LOGS)
def test_log_gives_the_reviewed_report(log: str) -> None:
    text, expected = load(log)
    wanted = json.loads(expected.read_text())
    assert json.loads(json.dumps(says(text, wanted["exit_code"]))) == wanted


def write() -> None:
    for log in LOGS:
        text, path = load(log)
        exit_code = json.loads(path.read_text())["exit_code"] if path.exists() else 0
        path.write_text(json.dumps(says(text, exit_code), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write()
