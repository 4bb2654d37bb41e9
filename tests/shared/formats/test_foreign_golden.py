"""Whole files as labs send them with the run they must give, read by a person once.

``python -m tests.shared.formats.test_foreign_golden`` writes what the present code says; review the difference.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from shared.formats.foreign import read

FOLDER = Path(__file__).parents[2] / "golden" / "formats"
KINDS = {"nipa": "nipa", "junit": "junit", "ktap-run": "ktap"}
FILES = sorted(
    f"{folder}/{path.name}"
    for folder in KINDS
    for path in (FOLDER / folder).iterdir()
    if not path.name.endswith(".run.json")
)


def says(file: str) -> dict[str, Any]:
    """The fields that say something."""
    run = asdict(read(KINDS[file.split("/")[0]], (FOLDER / file).read_bytes()))
    run["cases"] = [{k: v for k, v in case.items() if v not in ("", None, (), 0)} for case in run["cases"]]
    found: dict[str, Any] = json.loads(json.dumps({k: v for k, v in run.items() if v}, default=str))
    return found


def wanted(file: str) -> Path:
    return (FOLDER / file).with_suffix(".run.json")


@pytest.mark.parametrize("file", FILES)
def test_file_gives_the_reviewed_run(file: str) -> None:
    assert says(file) == json.loads(wanted(file).read_text())


def write() -> None:
    for file in FILES:
        wanted(file).write_text(json.dumps(says(file), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write()
