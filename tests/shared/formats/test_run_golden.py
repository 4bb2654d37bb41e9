"""Documents of our own form with what is read of them, or told to their author, and cases as JUnit XML; reviewed.

``python -m tests.shared.formats.test_run_golden`` writes what the present code says; review the difference.
"""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.formats.junit_write import render
from shared.formats.run_document import cases, read
from tests.shared.formats.lab import told

FOLDER = Path(__file__).parents[2] / "golden" / "formats" / "run"
NOW = datetime(2026, 8, 21, tzinfo=UTC)
FILES = sorted(path.name for path in FOLDER.glob("*.json") if ".said." not in path.name)


def says(file: str) -> dict[str, Any]:
    data = (FOLDER / file).read_bytes()
    if found := told(lambda: read(data, NOW)):
        return {"faults": [asdict(fault) for fault in found]}
    document = read(data, NOW)
    about = document.model_dump(mode="json", exclude={"cases"}, exclude_defaults=True)
    rows = [{k: v for k, v in asdict(case).items() if v not in ("", None, (), 0)} for case in cases(document)]
    shown: dict[str, Any] = json.loads(json.dumps(about | {"cases": rows}))
    return shown


def junit(file: str) -> str:
    document = read((FOLDER / file).read_bytes(), NOW)
    return render(cases(document), name=document.executor, started=document.started)


def wanted(file: str) -> Path:
    return (FOLDER / file).with_suffix(".said.json")


@pytest.mark.parametrize("file", FILES)
def test_document_gives_what_was_reviewed(file: str) -> None:
    assert says(file) == json.loads(wanted(file).read_text())


def test_cases_are_written_as_the_reviewed_xml() -> None:
    assert junit("branch.json") == (FOLDER / "branch.xml").read_text()


def write() -> None:
    for file in FILES:
        wanted(file).write_text(json.dumps(says(file), indent=1, ensure_ascii=False) + "\n")
    (FOLDER / "branch.xml").write_text(junit("branch.json"))


if __name__ == "__main__":
    write()
